"""Measures how well a net's prior boxes cover the ground truth (SSD section 2.2, matching).

Training can match an object only where a prior box overlaps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.phase import filter_net
from caffe_ir.prior_boxes import prior_boxes
from caffe_ir.walk import walk
from ssd_common.errors import CaffeError
from ssd_common.installation import require_own_netgen

CHUNK = 1 << 22  # overlaps to compute at a time
MATCHED = 0.5  # overlap_threshold of MultiBoxLoss in all nets of the zoo


class NetPriors(NamedTuple):
    """A net's prior boxes.

    name: zoo id or prototxt.
    maps: prior boxes of each PriorBox layer by its name, (n, 4) normalised.
    width, height: of the input, in pixels.
    resize: how images are resized to the input.
    """

    name: str
    maps: dict[str, np.ndarray]
    width: int
    height: int
    resize: pb.ResizeParameter

    @property
    def boxes(self) -> np.ndarray:
        """(n, 4) prior boxes of all maps, normalised."""
        return np.concatenate(list(self.maps.values()))


class Cover(NamedTuple):
    """How prior boxes cover every object.

    best: (n,) best overlap (IoU) with a prior box.
    matched: (n,) number of prior boxes that overlap by at least MATCHED.
    map: (n,) index of the map with the best prior box.
    """

    best: np.ndarray
    matched: np.ndarray
    map: np.ndarray


def read_net(name: str) -> NetPriors:
    """Read the prior boxes of a net.

    name: a zoo id, or a prototxt of any phase.
    Raises CaffeError where the net cannot be read or has no prior boxes.
    """
    net = _net(name)
    maps: dict[str, np.ndarray] = {}
    size = (0, 0)
    for step in walk(net).layers:
        if step.layer.type != "PriorBox":
            continue
        param = step.layer.prior_box_param
        feature = _plane(step.bottoms[0])
        image = _plane(step.bottoms[-1])
        boxes = prior_boxes(param, feature, image)[0]
        maps[step.layer.name] = boxes.reshape(-1, 4)
        size = image
        if len(step.bottoms) == 1:  # with img_size, or img_h and img_w, a layer needs no image
            size = (param.img_h or param.img_size, param.img_w or param.img_size)
    if not maps:
        raise CaffeError(f"{name}: a net without PriorBox layers")
    resize = _resize_param(net)
    if resize.resize_mode == pb.ResizeParameter.FIT_SMALL_SIZE:
        raise CaffeError(
            f"{name}: its resize_mode FIT_SMALL_SIZE gives every image other prior boxes"
        )
    height, width = size
    return NetPriors(name, maps, width, height, resize)


def _net(name: str) -> pb.NetParameter:
    """Read a net in the phase that has its prior boxes.

    name: a zoo id, or a prototxt of any phase.
    Raises CaffeError for an unknown id, and for any id where netgen is another project's.
    """
    is_file = Path(name).suffix == ".prototxt" or Path(name).is_file()
    if not is_file:
        require_own_netgen()
        from netgen import build  # noqa: PLC0415  (not before it is known to be ours)

        return filter_net(build(name, "train"), pb.TRAIN)
    whole = text.read_net(name)
    net = filter_net(whole, pb.TRAIN)
    if any(layer.type == "PriorBox" for layer in net.layer):
        return net
    return filter_net(whole, pb.TEST)


def _plane(shape: Sequence[int]) -> tuple[int, int]:
    """Return (height, width) of a blob of a shape (N, C, H, W)."""
    return shape[2], shape[3]


def _resize_param(net: pb.NetParameter) -> pb.ResizeParameter:
    """Return how the data layer of a net resizes images; the default where it has none."""
    for layer in net.layer:
        if layer.type == "AnnotatedData":
            return layer.transform_param.resize_param
    return pb.ResizeParameter()


def at_input(corners: np.ndarray, images: np.ndarray, net: NetPriors) -> np.ndarray:
    """Turn boxes normalised to their images into boxes normalised to the net's input.

    corners: (n, 4).
    images: (n, 2) width and height in pixels.
    Returns (n, 4).
    """
    if net.resize.resize_mode != pb.ResizeParameter.FIT_LARGE_SIZE_AND_PAD:
        return corners
    scale = np.minimum(net.width / images[:, 0], net.height / images[:, 1])[:, None]
    # The image's share of the padded input.
    used = images * scale / [net.width, net.height]
    return corners * np.tile(used, 2) + np.tile((1 - used) / 2, 2)


def cover(corners: np.ndarray, net: NetPriors) -> Cover:
    """Measure how a net's prior boxes cover boxes.

    corners: (n, 4) normalised to the net's input.
    """
    priors = net.boxes.astype(np.float32).T
    areas = (priors[2] - priors[0]) * (priors[3] - priors[1])
    last = np.cumsum([len(boxes) for boxes in net.maps.values()])
    best = np.zeros(len(corners))
    matched = np.zeros(len(corners), int)
    best_map = np.zeros(len(corners), int)
    step = max(1, CHUNK // len(areas))
    for start in range(0, len(corners), step):
        part = slice(start, start + step)
        box = corners[part].astype(np.float32).T[:, :, None]
        wide = np.minimum(box[2], priors[2]) - np.maximum(box[0], priors[0])
        high = np.minimum(box[3], priors[3]) - np.maximum(box[1], priors[1])
        common = np.maximum(wide, 0) * np.maximum(high, 0)
        own = np.maximum(box[2] - box[0], 0) * np.maximum(box[3] - box[1], 0)
        overlap = common / (own + areas - common)
        top = overlap.argmax(1)
        best[part] = overlap[np.arange(len(top)), top]
        matched[part] = (overlap >= MATCHED).sum(1)
        best_map[part] = np.searchsorted(last, top, side="right")
    return Cover(best, matched, best_map)
