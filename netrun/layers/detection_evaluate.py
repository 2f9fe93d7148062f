"""DetectionEvaluate: judges detections against the ground truth of each image."""

from __future__ import annotations

import logging

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from caffe_ir import name_size
from netrun.detection.pixels import area, to_pixels
from netrun.layers.predictions import require_classes
from netrun.layers.registry import Layer, Tensors, layer

log = logging.getLogger("netrun")

_f = np.float32


def overlaps(
    a: ndarray,
    b: ndarray,
    area_a: ndarray,
    area_b: ndarray,
    normalized: bool,
) -> ndarray:
    """The IoU (A, B) of boxes a (A, 4) and b (B, 4), as in Caffe's JaccardOverlap.

    area_a, area_b: the boxes' areas.
    normalized: whether boxes are in [0, 1]. In pixels both edges count, and boxes that do not meet
    share one pixel at (0, 0).
    """
    a_low, a_high = np.split(a[:, None], 2, -1)
    b_low, b_high = np.split(b[None], 2, -1)
    low = np.maximum(a_low, b_low)
    high = np.minimum(a_high, b_high)
    beyond = (a_low > b_high) | (b_low > a_high)
    apart = np.any(beyond, -1, keepdims=True)
    edge = _f(not normalized)
    side = np.where(apart, _f(0), high - low) + edge
    shared = side.prod(-1)
    meet = (side > 0).all(-1)
    union = area_a[:, None] + area_b[None] - shared
    zeros = np.zeros_like(shared)
    return np.divide(shared, union, out=zeros, where=meet & (union != 0))


@layer("DetectionEvaluate")
class DetectionEvaluate(Layer):
    """Lists the objects of each class, and each detection with its verdict.

    Bottoms: detections (1, 1, D, 7), labels (1, 1, R, 8). Top: (1, 1, C' + V, 5), where C' is the
    number of classes without background, and V the number of detections without the rows that stand
    for none.

    First comes a row [-1, label, number of objects, -1, -1] for each class but background, then
    [image, label, score, true_pos, false_pos] for each detection, in order of image, label and
    (where the image has objects of the label) falling score. true_pos and false_pos are both 0
    for a detection of a difficult object, unless evaluate_difficult_gt is set.
    With name_size_file, the layer compares boxes in pixels; images follow the file's order, and
    start again at its end.
    Source: weiliu89/caffe (ssd), detection_evaluate_layer.cpp.
    """

    has_backward = False
    no_gradient_to = frozenset({0, 1})

    def set_up(self) -> None:
        """Read the options and the images' sizes. Raises LayerError for invalid options."""
        p = self.options = self.param.detection_evaluate_param
        require_classes(self, p.num_classes)
        if p.overlap_threshold <= 0:
            raise self.refuse("must be positive", "overlap_threshold")
        self.resize = p.resize_param if p.HasField("resize_param") else None
        self.sizes: list[tuple[int, int]] = []
        if p.name_size_file:
            self.sizes = [size[1:] for size in name_size.read(p.name_size_file)]
        self._image = 0  # position in `sizes`
        self._told = False  # that it is the wrong one

    def forward(self, bottoms: Tensors) -> Tensors:
        """Count the objects of each class, then judge the detections of each image."""
        found = _rows(bottoms[0], 7)
        found = found[found[:, 0] != -1]
        truth = _without_padding(_rows(bottoms[1], 8))
        self._refuse_background(found, "detections")
        self._refuse_background(truth, "ground truth")

        self._warn_of_sizes(found, truth)

        tables = [self._object_counts(truth)]
        for image in np.unique(_whole(found, 0)):
            of_image = found[_whole(found, 0) == image]
            objects = truth[_whole(truth, 0) == image]
            tables += self._judge_image(of_image, objects)
            # As in the fork, an image without any row does not count here; a batch of one image
            # always has a row.
            self._image = (self._image + 1) % max(1, len(self.sizes))
        table = np.concatenate(tables)
        return [torch.from_numpy(table[None, None]).to(bottoms[0].device)]

    def _warn_of_sizes(self, found: ndarray, truth: ndarray) -> None:
        """Warn, once, where an image without a row makes the sizes those of other images."""
        if not self.sizes or self._told:
            return
        seen = set(_whole(found, 0))
        known = seen | set(_whole(truth, 0))
        missing = set(range(max(known, default=-1) + 1)) - seen
        if missing:
            self._told = True
            what = f"image {min(missing)} of a batch has no detection"
            effect = "from it on, as in the fork, boxes are compared at other images' sizes"
            log.warning("layer '%s': %s: %s; batch_size: 1 avoids it", self.name, what, effect)

    def _refuse_background(self, rows: ndarray, what: str) -> None:
        background = self.options.background_label_id
        if (_whole(rows, 1) == background).any():
            raise self.refuse(f"found background label {background} in the {what}")

    def _object_counts(self, truth: ndarray) -> ndarray:
        """Rows [-1, label, number of objects, -1, -1], one for each class but background."""
        p = self.options
        if not p.evaluate_difficult_gt:
            truth = truth[truth[:, 7] == 0]
        owner = _whole(truth, 1)
        rows = []
        for label in range(p.num_classes):
            if label != p.background_label_id:
                rows.append([-1, label, (owner == label).sum(), -1, -1])
        return np.array(rows, _f).reshape(-1, 5)

    def _judge_image(self, found: ndarray, truth: ndarray) -> list[ndarray]:
        """A table (n, 5) for each label among one image's detections."""
        tables = []
        for label in np.unique(_whole(found, 1)):
            if label != -1:
                of_label = found[_whole(found, 1) == label]
                objects = truth[_whole(truth, 1) == label]
                tables.append(self._judge(of_label, objects))
        return tables

    def _judge(self, found: ndarray, truth: ndarray) -> ndarray:
        """Rows (n, 5) for the detections of one label in one image against its objects there."""
        if len(truth):
            found = found[np.argsort(-found[:, 2], kind="stable")]
        rows = np.zeros((len(found), 5), _f)
        rows[:, :3] = found[:, :3]
        if not len(truth):
            rows[:, 4] = 1
            return rows
        p = self.options
        boxes, areas = self._measured(found[:, 3:])
        objects, object_areas = self._measured(truth[:, 3:7])
        in_pixels = bool(self.sizes)
        overlap = overlaps(boxes, objects, areas, object_areas, not in_pixels)
        nearest = overlap.argmax(1)
        met = overlap.max(1) >= _f(p.overlap_threshold)
        counts = p.evaluate_difficult_gt | (truth[nearest, 7] == 0)
        right = met & counts
        _, first = np.unique(np.where(right, nearest, -1), return_index=True)
        first = first[right[first]]
        rows[first, 3] = 1
        rows[:, 4] = 1 - rows[:, 3]
        rows[met & ~counts, 4] = 0
        return rows

    def _measured(self, boxes: ndarray) -> tuple[ndarray, ndarray]:
        """Boxes (n, 4), in pixels where image sizes are known, and their areas (n,)."""
        if self.sizes:
            return to_pixels(boxes, *self.sizes[self._image], self.resize)
        return boxes, area(boxes)


def _rows(blob: Tensor, columns: int) -> ndarray:
    return blob.detach().cpu().float().numpy().reshape(-1, columns)


def _whole(rows: ndarray, column: int) -> ndarray:
    """A column of image numbers or labels as integers."""
    return rows[:, column].astype(int)


def _without_padding(truth: ndarray) -> ndarray:
    """The ground truth up to the first row without an image."""
    padding = np.flatnonzero(_whole(truth, 0) == -1)
    if len(padding):
        return truth[: padding[0]]
    return truth
