"""Computes the default boxes of a PriorBox layer.

Source: SSD section 2.2, "Choosing scales and aspect ratios for default boxes".
"""

from __future__ import annotations

import math

import numpy as np
from numpy import float32

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.detection import aspect_ratios

Size = tuple[int, int]  # height, width


def prior_boxes(param: pb.PriorBoxParameter, feature: Size, image: Size) -> np.ndarray:
    """Compute the priors of a feature map, and their variances.

    feature: the map's height and width (H, W).
    image: the image's height and width in pixels, used where the layer's fields give none.
    Returns float32 (2, H*W*A*4): corners of the A = boxes_per_cell(param) boxes of each cell,
    normalised to the image, then the variances. Boxes come in the order of min_size; sizes lose
    their fraction, as in Caffe.
    Source: PriorBoxLayer::Forward_cpu, prior_box_layer.cpp of weiliu89/caffe (ssd).
    """
    height, width = image_size(param, image)
    step_h, step_w = _steps(param, feature, (height, width))
    offset = float32(param.offset)
    y = (np.arange(feature[0], dtype=float32) + offset) * step_h
    x = (np.arange(feature[1], dtype=float32) + offset) * step_w
    sides = _box_sizes(param)
    # (A, 2). The fork computes the last steps in double.
    half = np.array(sides, float32).astype(float) / 2
    boxes = np.empty((*feature, len(sides), 4))
    boxes[..., 0] = (x[None, :, None] - half[:, 0]) / width
    boxes[..., 1] = (y[:, None, None] - half[:, 1]) / height
    boxes[..., 2] = (x[None, :, None] + half[:, 0]) / width
    boxes[..., 3] = (y[:, None, None] + half[:, 1]) / height
    priors = boxes.astype(float32).reshape(-1, 4)
    if param.clip:
        priors = priors.clip(0, 1)
    variance = np.array(param.variance or [0.1], float32)
    variances = np.broadcast_to(variance, priors.shape)
    return np.stack([priors.ravel(), variances.ravel()])


def _box_sizes(param: pb.PriorBoxParameter) -> list[tuple[float32, float32]]:
    """Return width and height in pixels of each box of a cell."""
    others = aspect_ratios(param)[1:]  # without the 1 of the square boxes
    sides: list[tuple[float32, float32]] = []
    for i, smallest in enumerate(map(int, param.min_size)):
        sides.append((float32(smallest), float32(smallest)))
        if param.max_size:
            side = float32(math.sqrt(smallest * int(param.max_size[i])))
            sides.append((side, side))
        for ratio in others:
            stretch = np.sqrt(float32(ratio))
            width = float32(smallest * stretch)
            height = float32(smallest / stretch)
            sides.append((width, height))
    return sides


def image_size(param: pb.PriorBoxParameter, image: Size) -> Size:
    """Return the height and width in pixels from the fields, or else from the image."""
    if param.HasField("img_h") or param.HasField("img_w"):
        return (param.img_h, param.img_w)
    if param.HasField("img_size"):
        return (param.img_size, param.img_size)
    return image


def _steps(param: pb.PriorBoxParameter, feature: Size, image: Size) -> tuple[float32, float32]:
    """Return the distance in pixels from cell to cell, vertical and horizontal."""
    if param.HasField("step_h") or param.HasField("step_w"):
        return (float32(param.step_h), float32(param.step_w))
    if param.HasField("step"):
        return (float32(param.step), float32(param.step))
    vertical = float32(image[0]) / float32(feature[0])
    horizontal = float32(image[1]) / float32(feature[1])
    return (vertical, horizontal)
