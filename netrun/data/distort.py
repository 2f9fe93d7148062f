"""Photometric distortion (SSD paper, section 2.2, after Howard 2013): brightness, contrast, saturation, hue, channel order.

Source of the semantics: weiliu89/caffe, branch ssd, src/caffe/util/im_transforms.cpp. What the fork computes pixel by pixel in
float and rounds to bytes is a table of 256 bytes here, with the same result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.errors import CaffeError

_BYTES = np.arange(256, dtype=np.float32)
_SAME = np.arange(256, dtype=np.uint8)
Table = np.ndarray  # (256,) uint8: byte in, byte out
Step = Callable[[np.ndarray], np.ndarray]


def table(factor: float, offset: float) -> Table:
    """Byte to byte: factor * x + offset, rounded half to even and saturated, as OpenCV's convertTo does."""
    return np.rint(_BYTES * np.float32(factor) + np.float32(offset)).clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Distortion:
    """What is done to the pixels of one image, in order. It works pixel by pixel, hence may follow a crop instead of preceding it."""

    steps: list[Step]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 BGR -> the same, distorted."""
        for step in self.steps:
            image = step(image)
        return image


def check(param: pb.DistortionParameter) -> None:
    """Raises CaffeError for ranges that the fork refuses once it draws from them."""
    for kind in ("contrast", "saturation"):
        prob, lower, upper = (getattr(param, f"{kind}_{field}") for field in ("prob", "lower", "upper"))
        if prob > 0 and not 0 <= lower <= upper:
            raise CaffeError(f"distort_param: needs 0 <= {kind}_lower <= {kind}_upper, has {lower:g} and {upper:g}")
    for kind in ("brightness", "hue"):
        if getattr(param, f"{kind}_prob") > 0 and getattr(param, f"{kind}_delta") < 0:
            raise CaffeError(f"distort_param: {kind}_delta must not be negative")


def draw(param: pb.DistortionParameter, rng: np.random.Generator) -> Distortion:
    """A random distortion. Contrast comes second or last with equal chance; each part has its own probability."""
    contrast_second, *chances = rng.random(6)
    amounts = rng.random(4)

    def between(k: int, low: float, high: float) -> float:
        return float(low + amounts[k] * (high - low))

    before, after = _SAME, _SAME
    if chances[0] < param.brightness_prob:
        before = table(1, between(0, -param.brightness_delta, param.brightness_delta))
    if chances[1] < param.contrast_prob:
        contrast = table(between(1, param.contrast_lower, param.contrast_upper), 0)
        if contrast_second > 0.5:
            before = contrast[before]
        else:
            after = contrast
    steps: list[Step] = []
    if before is not _SAME:
        steps.append(lambda image: cv2.LUT(image, before))
    if chances[2] < param.saturation_prob:
        steps.append(_hsv(1, table(between(2, param.saturation_lower, param.saturation_upper), 0)))
    if chances[3] < param.hue_prob:
        steps.append(_hsv(0, table(1, between(3, -param.hue_delta, param.hue_delta))))
    if after is not _SAME:
        steps.append(lambda image: cv2.LUT(image, after))
    if chances[4] < param.random_order_prob:
        order = rng.permutation(3)
        steps.append(lambda image: np.ascontiguousarray(image[:, :, order]))
    return Distortion(steps)


def _hsv(channel: int, change: Table) -> Step:
    """Change one of hue, saturation, value by a table."""
    tables = np.repeat(_SAME[None, :, None], 3, axis=2)
    tables[0, :, channel] = change

    def step(image: np.ndarray) -> np.ndarray:
        hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
        return cv2.cvtColor(cv2.LUT(hsv, tables, dst=hsv), cv2.COLOR_HSV2BGR, dst=hsv)

    return step
