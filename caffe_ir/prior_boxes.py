"""The default boxes that a PriorBox layer sets (SSD section 2.2, "Choosing scales and aspect ratios for default boxes")."""

from __future__ import annotations

import math

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.detection import aspect_ratios

_f = np.float32


def prior_boxes(param: pb.PriorBoxParameter, feature: tuple[int, int], image: tuple[int, int]) -> np.ndarray:
    """Priors and their variances, float32 (2, H*W*A*4), for a feature map and an image of these (height, width).

    There are boxes_per_cell(param) boxes a cell (A), in the order of min_size; sizes lose their fraction.
    Source: the arithmetic is that of PriorBoxLayer::Forward_cpu, prior_box_layer.cpp of weiliu89/caffe (ssd).
    """
    others = aspect_ratios(param)[1:]  # without the 1 of the square boxes
    sides: list[tuple[np.float32, np.float32]] = []
    for i, smallest in enumerate(map(int, param.min_size)):
        sides.append((_f(smallest), _f(smallest)))
        if param.max_size:
            side = _f(math.sqrt(smallest * int(param.max_size[i])))
            sides.append((side, side))
        for ratio in others:
            stretch = np.sqrt(_f(ratio))
            sides.append((_f(smallest * stretch), _f(smallest / stretch)))

    if param.HasField("img_h") or param.HasField("img_w"):
        image = (param.img_h, param.img_w)
    elif param.HasField("img_size"):
        image = (param.img_size, param.img_size)
    if param.HasField("step_h") or param.HasField("step_w"):
        steps = (_f(param.step_h), _f(param.step_w))
    elif param.HasField("step"):
        steps = (_f(param.step), _f(param.step))
    else:
        steps = (_f(image[0]) / _f(feature[0]), _f(image[1]) / _f(feature[1]))

    height, width = image
    y, x = ((np.arange(n, dtype=_f) + _f(param.offset)) * step for n, step in zip(feature, steps, strict=True))
    half = np.array(sides, _f).astype(float) / 2  # (A, 2): the fork takes the last steps in double
    boxes = np.empty((*feature, len(sides), 4))
    boxes[..., 0] = (x[None, :, None] - half[:, 0]) / width
    boxes[..., 1] = (y[:, None, None] - half[:, 1]) / height
    boxes[..., 2] = (x[None, :, None] + half[:, 0]) / width
    boxes[..., 3] = (y[:, None, None] + half[:, 1]) / height
    priors = boxes.astype(_f).reshape(-1, 4)
    if param.clip:
        priors = priors.clip(0, 1)
    variances = np.broadcast_to(np.array(param.variance or [0.1], _f), priors.shape)
    return np.stack([priors.ravel(), variances.ravel()])
