"""DetectionEvaluate: which detections are right, judged against the ground truth of each image."""

from __future__ import annotations

import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import name_size
from caffe_ir.rules.registry import Facts
from netrun.detection.pixels import area, to_pixels
from netrun.layers.registry import Context, Layer, layer

_f = np.float32


def overlaps(a: np.ndarray, b: np.ndarray, area_a: np.ndarray, area_b: np.ndarray, normalized: bool) -> np.ndarray:
    """IoU (A, B) as JaccardOverlap takes it, areas given. In pixels both edges count, and boxes apart share one pixel at (0, 0)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    apart = np.any((a[:, None, :2] > b[None, :, 2:]) | (b[None, :, :2] > a[:, None, 2:]), -1, keepdims=True)
    side = np.where(apart, _f(0), high - low) + _f(0 if normalized else 1)
    shared = side.prod(-1)
    meet = (side > 0).all(-1)
    union = area_a[:, None] + area_b[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=meet & (union != 0))


@layer("DetectionEvaluate")
class DetectionEvaluate(Layer):
    """Bottoms: detections (1, 1, D, 7), labels (1, 1, R, 8). Top: (1, 1, C' + V, 5), V the detections that are none's stand-in.

    First a row [-1, label, number of objects, -1, -1] for each class but background, then [image, label, score, true_pos, false_pos]
    in order of image, label and (where the image has such objects) falling score. Both are 0 for a detection that met a difficult
    object while those do not count. With name_size_file boxes are compared in pixels, image by image in the file's order, begun
    anew at its end. Source: detection_evaluate_layer.cpp of weiliu89/caffe (ssd).
    """

    has_backward = False
    no_gradient_to = frozenset({0, 1})

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        p = self.options = layer.detection_evaluate_param
        if not p.num_classes:
            raise self.refuse("must say how many classes there are, background included", "num_classes")
        if p.overlap_threshold <= 0:
            raise self.refuse("must be positive", "overlap_threshold")
        self.resize = p.resize_param if p.HasField("resize_param") else None
        self.sizes = [size[1:] for size in name_size.read(p.name_size_file)] if p.name_size_file else []
        self._image = 0  # how far in `sizes`

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        p = self.options
        found = bottoms[0].detach().cpu().float().numpy().reshape(-1, 7)
        truth = bottoms[1].detach().cpu().float().numpy().reshape(-1, 8)
        found = found[found[:, 0] != -1]
        padding = np.flatnonzero(truth[:, 0].astype(int) == -1)
        truth = truth[: padding[0]] if len(padding) else truth
        for rows, what in ((found, "detections"), (truth, "ground truth")):
            if (rows[:, 1].astype(int) == p.background_label_id).any():
                raise self.refuse(f"found background label {p.background_label_id} in the {what}")

        counted = truth if p.evaluate_difficult_gt else truth[truth[:, 7] == 0]
        labels = [c for c in range(p.num_classes) if c != p.background_label_id]
        head = [[-1, c, (counted[:, 1].astype(int) == c).sum(), -1, -1] for c in labels]
        body = []
        for image in np.unique(found[:, 0].astype(int)):
            of_image = found[found[:, 0].astype(int) == image]
            for label in np.unique(of_image[:, 1].astype(int)):
                if label != -1:
                    own = (truth[:, 0].astype(int) == image) & (truth[:, 1].astype(int) == label)
                    body.append(self._judge(of_image[of_image[:, 1].astype(int) == label], truth[own]))
            # As in the fork, an image without a single row does not count here; batches of one image always have one.
            self._image = (self._image + 1) % max(1, len(self.sizes))
        table = np.concatenate([np.array(head, _f).reshape(-1, 5), *body])
        return [torch.from_numpy(table[None, None]).to(bottoms[0].device)]

    def _judge(self, found: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Rows (n, 5) for the detections of one label in one image against its objects there."""
        p = self.options
        if len(truth):
            found = found[np.argsort(-found[:, 2], kind="stable")]
        rows = np.zeros((len(found), 5), _f)
        rows[:, :3] = found[:, :3]
        if not len(truth):
            rows[:, 4] = 1
            return rows
        boxes, objects = found[:, 3:], truth[:, 3:7]
        if self.sizes:
            (boxes, areas), (objects, object_areas) = (to_pixels(b, *self.sizes[self._image], self.resize) for b in (boxes, objects))
        else:
            areas, object_areas = area(boxes), area(objects)
        overlap = overlaps(boxes, objects, areas, object_areas, normalized=not self.sizes)
        nearest, best = overlap.argmax(1), overlap.max(1)
        met = best >= _f(p.overlap_threshold)
        counts = p.evaluate_difficult_gt | (truth[nearest, 7] == 0)
        _, first = np.unique(np.where(met & counts, nearest, -1), return_index=True)
        first = first[(met & counts)[first]]
        rows[first, 3] = 1
        rows[:, 4] = 1 - rows[:, 3]
        rows[met & ~counts, 4] = 0
        return rows
