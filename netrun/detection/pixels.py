"""Converts boxes of the net's input to pixels of the photograph that the input was made from."""

from __future__ import annotations

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb

_f = np.float32


def area(boxes: np.ndarray, normalized: bool = True) -> np.ndarray:
    """Compute the areas (...) of boxes (..., 4), 0 for a box with a negative side.

    normalized: whether coordinates are fractions of the image; in pixels, both edges
        belong to the box.
    """
    one = _f(not normalized)
    # The boxes of a net that diverges have no bounds.
    with np.errstate(over="ignore", invalid="ignore"):
        width = boxes[..., 2] - boxes[..., 0]
        height = boxes[..., 3] - boxes[..., 1]
        inverted = (width < 0) | (height < 0)
        return np.where(inverted, _f(0), (width + one) * (height + one))


def to_pixels(
    boxes: np.ndarray,
    height: int,
    width: int,
    resize: pb.ResizeParameter | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Convert normalised boxes to pixels of a height x width photograph.

    boxes: (n, 4), relative to the net's input.
    resize: how the net's input was made from the photograph; None: warped.
    Returns (boxes (n, 4), areas (n,)), both float32.
    Source: OutputBBox in util/bbox_util.cpp of weiliu89/caffe, branch ssd.
    """
    boxes = boxes.astype(_f)
    if resize is not None:
        mode = resize.resize_mode
        if mode == pb.ResizeParameter.FIT_LARGE_SIZE_AND_PAD:
            boxes = _without_padding(boxes, height, width, resize)
        has_scale = resize.height_scale and resize.width_scale
        if mode == pb.ResizeParameter.FIT_SMALL_SIZE and has_scale:
            scaled = boxes * _scale(resize.height_scale, resize.width_scale)
            clipped = scaled.clip(0, _scale(height, width))
            return clipped, area(clipped)
    scaled = boxes.clip(0, 1) * _scale(height, width)
    return scaled, area(scaled, normalized=height <= 1 and width <= 1)


def _scale(height: int, width: int) -> np.ndarray:
    return np.array([width, height, width, height], _f)


def _without_padding(
    boxes: np.ndarray,
    height: int,
    width: int,
    resize: pb.ResizeParameter,
) -> np.ndarray:
    """Boxes relative to the photograph without its padding; boxes wholly in the padding stay."""
    aspect = _f(width) / _f(height)
    target = _f(resize.width) / _f(resize.height)
    inner = np.array([0, 0, 1, 1], _f)
    if aspect > target:
        inner[1] = (_f(resize.height) - _f(resize.width) / aspect) / 2 / resize.height
        inner[3] = 1 - inner[1]
    else:
        inner[0] = (_f(resize.width) - _f(resize.height) * aspect) / 2 / resize.width
        inner[2] = 1 - inner[0]
    behind = np.any(boxes[:, :2] >= inner[2:], 1)
    before = np.any(boxes[:, 2:] <= inner[:2], 1)
    beside = behind | before
    size = inner[2:] - inner[:2]
    moved = (boxes - np.tile(inner[:2], 2)) / np.tile(size, 2)
    return np.where(np.expand_dims(beside, 1), boxes, moved)
