"""Photometric distortion: brightness, contrast, saturation, hue, channel order.

Paper: SSD, section 2.2, after Howard 2013.
The fork adds and multiplies in float and rounds to bytes. This module adds the rounded amount to
bytes, and multiplies them with the same OpenCV kernel; the result is the same. Every function
overwrites its image, which is in the cache: new memory would take 3 % of the loader's time.
Source: weiliu89/caffe, branch ssd, src/caffe/util/im_transforms.cpp.
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
    """The steps that change the pixels of one image, in order.

    Each step treats pixels one by one, so a crop may come before or after the distortion.
    """

    steps: list[Step]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Distort an (H, W, 3) uint8 BGR image, overwriting it."""
        for step in self.steps:
            image = step(image)
        return image


def check(param: pb.DistortionParameter) -> None:
    """Refuse the ranges that the fork refuses when it draws from them.

    Raises CaffeError for such a range.
    """
    for kind in ("contrast", "saturation"):
        prob = getattr(param, f"{kind}_prob")
        lower = getattr(param, f"{kind}_lower")
        upper = getattr(param, f"{kind}_upper")
        if prob > 0 and not 0 <= lower <= upper:
            raise CaffeError(
                f"distort_param: needs 0 <= {kind}_lower <= {kind}_upper, "
                f"has {lower:g} and {upper:g}"
            )
    for kind in ("brightness", "hue"):
        prob = getattr(param, f"{kind}_prob")
        delta = getattr(param, f"{kind}_delta")
        if prob > 0 and not delta >= 0:
            raise CaffeError(f"distort_param: {kind}_delta must not be negative")


def draw(param: pb.DistortionParameter, rng: np.random.Generator) -> Distortion:
    """Draw a random distortion; each part has its own probability.

    Contrast comes after brightness or last, with equal chance.
    """
    contrast_second, *chances = rng.random(6).tolist()
    amounts = rng.random(4).tolist()

    def between(k: int, low: float, high: float) -> float:
        return low + amounts[k] * (high - low)

    steps: list[Step] = []
    if chances[0] < param.brightness_prob:
        delta = param.brightness_delta
        steps.append(partial(brightness, amount=between(0, -delta, delta)))
    after_brightness = len(steps)
    if chances[1] < param.saturation_prob:
        factor = between(1, param.saturation_lower, param.saturation_upper)
        steps.append(partial(saturation, factor=factor))
    if chances[2] < param.hue_prob:
        delta = param.hue_delta
        steps.append(partial(hue, amount=between(2, -delta, delta)))
    if chances[3] < param.contrast_prob:
        place = len(steps)
        if contrast_second > 0.5:
            place = after_brightness
        factor = between(3, param.contrast_lower, param.contrast_upper)
        steps.insert(place, partial(contrast, factor=factor))
    if chances[4] < param.random_order_prob:
        order = rng.permutation(3)
        steps.append(lambda image: np.ascontiguousarray(image[:, :, order]))
    return Distortion(steps)


def _add(
    image: np.ndarray,
    amount: float,
    channels: tuple[int, int, int],
) -> np.ndarray:
    """Compute image + amount * channels, saturated, in place.

    OpenCV subtracts bytes six times as fast as it adds a negative number.
    """
    levels = round(min(abs(amount), 255.0))
    change: Any = (*(levels * c for c in channels), 0)  # OpenCV's stubs know no scalars
    if amount >= 0:
        return cv2.add(image, change, dst=image)
    return cv2.subtract(image, change, dst=image)


def brightness(image: np.ndarray, amount: float) -> np.ndarray:
    """Add `amount` grey levels."""
    return _add(image, amount, (1, 1, 1))


def contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply by `factor`; within 0.001 of 1 the fork leaves the image alone."""
    if abs(factor - 1) > 1e-3:
        return cv2.convertScaleAbs(image, alpha=factor, dst=image)
    return image


def saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply the saturation of HSV by `factor`."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    plane = cv2.extractChannel(hsv, 1)
    scaled = cv2.convertScaleAbs(plane, alpha=factor, dst=plane)
    cv2.insertChannel(scaled, hsv, 1)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, dst=image)


def hue(image: np.ndarray, amount: float) -> np.ndarray:
    """Add `amount` to the hue of HSV.

    180 is the full circle; a sum below 0 becomes 0, as in the fork.
    """
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    hsv = _add(hsv, amount, (1, 0, 0))
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, dst=image)
