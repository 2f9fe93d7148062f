"""The default boxes that a PriorBox layer sets (SSD section 2.2, "Choosing scales and aspect ratios for default boxes")."""

from __future__ import annotations

import math

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb

_f = np.float32


def prior_boxes(param: pb.PriorBoxParameter, feature: tuple[int, int], image: tuple[int, int]) -> np.ndarray:
    """Priors and their variances, float32 (2, H*W*A*4), for a feature map and an image of these (height, width).

    Arithmetic as in prior_box_layer.cpp of weiliu89/caffe (ssd): sizes lose their fraction, ratios within 1e-6 count once.
    """
    ratios: list[float] = []
    known = [1.0]
    for ratio in param.aspect_ratio:
        if all(abs(_f(ratio) - _f(k)) >= 1e-6 for k in known):
            new = [ratio, float(_f(1) / _f(ratio))] if param.flip else [ratio]
            known += new
            ratios += [r for r in new if abs(r - 1) >= 1e-6]
    sides: list[tuple[np.float32, np.float32]] = []
    for i, smallest in enumerate(map(int, param.min_size)):
        sides.append((_f(smallest), _f(smallest)))
        if param.max_size:
            side = _f(math.sqrt(smallest * int(param.max_size[i])))
            sides.append((side, side))
        sides += [(_f(smallest * np.sqrt(_f(r))), _f(smallest / np.sqrt(_f(r)))) for r in ratios]

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
