"""Photometric distortion (SSD paper, section 2.2, after Howard 2013): brightness, contrast, saturation, hue, channel order.

Source of the semantics: weiliu89/caffe, branch ssd, src/caffe/util/im_transforms.cpp. The fork adds and multiplies in float and
rounds to bytes; here bytes are added by the rounded amount, and multiplied by the same OpenCV kernel, with the same result.
Every function overwrites its image, which is in the cache: new memory would take 3 % of the loader's time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from ssd_common.errors import CaffeError

Step = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Distortion:
    """What is done to the pixels of one image, in order. It works pixel by pixel, hence may follow a crop instead of preceding it."""

    steps: list[Step]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 BGR -> the same, distorted; the image given is overwritten."""
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
        if getattr(param, f"{kind}_prob") > 0 and not getattr(param, f"{kind}_delta") >= 0:
            raise CaffeError(f"distort_param: {kind}_delta must not be negative")


def draw(param: pb.DistortionParameter, rng: np.random.Generator) -> Distortion:
    """A random distortion. Contrast comes second or last with equal chance; each part has its own probability."""
    contrast_second, *chances = rng.random(6).tolist()
    amounts = rng.random(4).tolist()

    def between(k: int, low: float, high: float) -> float:
        return low + amounts[k] * (high - low)

    steps: list[Step] = []
    if chances[0] < param.brightness_prob:
        steps.append(partial(brightness, amount=between(0, -param.brightness_delta, param.brightness_delta)))
    if chances[1] < param.saturation_prob:
        steps.append(partial(saturation, factor=between(1, param.saturation_lower, param.saturation_upper)))
    if chances[2] < param.hue_prob:
        steps.append(partial(hue, amount=between(2, -param.hue_delta, param.hue_delta)))
    if chances[3] < param.contrast_prob:
        place = int(chances[0] < param.brightness_prob) if contrast_second > 0.5 else len(steps)
        steps.insert(place, partial(contrast, factor=between(3, param.contrast_lower, param.contrast_upper)))
    if chances[4] < param.random_order_prob:
        order = rng.permutation(3)
        steps.append(lambda image: np.ascontiguousarray(image[:, :, order]))
    return Distortion(steps)


def _add(image: np.ndarray, amount: float, channels: tuple[int, int, int]) -> np.ndarray:
    """image + amount * channels, saturated. OpenCV is six times as fast with bytes as with a negative addend."""
    change: Any = (*(round(min(abs(amount), 255.0)) * c for c in channels), 0)  # OpenCV's stubs know no scalars
    return cv2.add(image, change, dst=image) if amount >= 0 else cv2.subtract(image, change, dst=image)


def brightness(image: np.ndarray, amount: float) -> np.ndarray:
    """Add `amount` grey levels."""
    return _add(image, amount, (1, 1, 1))


def contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply by `factor`; within 0.001 of 1 the fork leaves the image alone."""
    return cv2.convertScaleAbs(image, alpha=factor, dst=image) if abs(factor - 1) > 1e-3 else image


def saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply the saturation of HSV by `factor`."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    plane = cv2.extractChannel(hsv, 1)
    cv2.insertChannel(cv2.convertScaleAbs(plane, alpha=factor, dst=plane), hsv, 1)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, dst=image)


def hue(image: np.ndarray, amount: float) -> np.ndarray:
    """Add `amount` to the hue of HSV (180 is the full circle; below 0 it stays 0, as in the fork)."""
    hsv = _add(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), amount, (1, 0, 0))
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, dst=image)
