"""From boxes of the net's input, normalised to [0, 1], to boxes in pixels of the photograph that it was resized from."""

from __future__ import annotations

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb

_f = np.float32


def area(boxes: np.ndarray, normalized: bool = True) -> np.ndarray:
    """Areas of boxes (..., 4); in pixels (not normalized) both edges belong to a box."""
    one = _f(0 if normalized else 1)
    with np.errstate(over="ignore", invalid="ignore"):  # a net that diverges has boxes without bounds
        width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
        return np.where((width < 0) | (height < 0), _f(0), (width + one) * (height + one))


def to_pixels(boxes: np.ndarray, height: int, width: int, resize: pb.ResizeParameter | None) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, 4) in pixels of a height x width photograph, and their areas (n,), both float32.

    resize: how the net's input was made from it; None: warped. Arithmetic of OutputBBox, util/bbox_util.cpp of weiliu89/caffe (ssd).
    """
    boxes = boxes.astype(_f)
    if resize is not None and resize.resize_mode == pb.ResizeParameter.FIT_LARGE_SIZE_AND_PAD:
        boxes = _without_padding(boxes, height, width, resize)
    elif resize is not None and resize.resize_mode == pb.ResizeParameter.FIT_SMALL_SIZE and resize.height_scale and resize.width_scale:
        scaled = boxes * _scale(resize.height_scale, resize.width_scale)
        clipped = scaled.clip(0, _scale(height, width))
        return clipped, area(clipped)
    scaled = boxes.clip(0, 1) * _scale(height, width)
    return scaled, area(scaled, normalized=height <= 1 and width <= 1)


def _scale(height: int, width: int) -> np.ndarray:
    return np.array([width, height, width, height], _f)


def _without_padding(boxes: np.ndarray, height: int, width: int, resize: pb.ResizeParameter) -> np.ndarray:
    """Boxes relative to the photograph inside its padding; those wholly in the padding stay as they are."""
    aspect, target = _f(width) / _f(height), _f(resize.width) / _f(resize.height)
    inner = np.array([0, 0, 1, 1], _f)
    if aspect > target:
        inner[1] = (_f(resize.height) - _f(resize.width) / aspect) / 2 / resize.height
        inner[3] = 1 - inner[1]
    else:
        inner[0] = (_f(resize.width) - _f(resize.height) * aspect) / 2 / resize.width
        inner[2] = 1 - inner[0]
    beside = np.any(boxes[:, :2] >= inner[2:], 1) | np.any(boxes[:, 2:] <= inner[:2], 1)
    size = inner[2:] - inner[:2]
    moved = (boxes - np.tile(inner[:2], 2)) / np.tile(size, 2)
    return np.where(np.expand_dims(beside, 1), boxes, moved)
