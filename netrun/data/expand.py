"""Zoom out: put the image at a random place on a larger canvas of the mean colour.

Paper: SSD, section 3.6.
This module makes only the window that is later cut out of the canvas, and reuses memory from window
to window.
Source: weiliu89/caffe, branch ssd, src/caffe/data_transformer.cpp.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from netrun.data.boxes import Box

# cv2.flip's code, by whether to flip left to right and top to bottom.
_FLIPS = {(True, False): 1, (False, True): 0, (True, True): -1}


@dataclass(frozen=True)
class Rect:
    """A rectangle of whole pixels; left and top may be negative."""

    left: int
    top: int
    width: int
    height: int

    def of(self, image: np.ndarray) -> np.ndarray:
        """Return a view of an (H, W, C) image inside the rectangle; the image must contain it."""
        right = self.left + self.width
        bottom = self.top + self.height
        return image[self.top : bottom, self.left : right]

    def within(self, window: Rect) -> Rect:
        """Return the rectangle's part inside a window, in the rectangle's own coordinates.

        The part has no width or no height where the two do not meet.
        """
        left = max(window.left - self.left, 0)
        top = max(window.top - self.top, 0)
        right = min(window.left + window.width - self.left, self.width)
        bottom = min(window.top + window.height - self.top, self.height)
        return Rect(left, top, max(right - left, 0), max(bottom - top, 0))


def draw(
    param: pb.ExpansionParameter,
    width: int,
    height: int,
    rng: np.random.Generator,
) -> Rect | None:
    """Draw a random canvas around an image.

    width, height: of the image.
    Returns the canvas in the image's pixels (left and top are at most 0), or None where this image
    is not expanded.
    """
    chance, amount, x, y = rng.random(4).tolist()
    if chance > param.prob or abs(param.max_expand_ratio - 1) < 1e-2:
        return None
    ratio = 1 + amount * (param.max_expand_ratio - 1)
    wide = int(width * ratio)
    high = int(height * ratio)
    return Rect(-int(x * (wide - width)), -int(y * (high - height)), wide, high)


def pixels(window: Box, width: int, height: int) -> Rect:
    """Return the pixels of an image that lie in a window inside [0, 1], at least one each way.

    width, height: of the image.
    """
    corners = np.array(window, np.float32) * np.array([width, height] * 2, np.float32)
    left, top = (int(v) for v in corners[:2])
    wide, high = (max(int(v), 1) for v in corners[2:] - corners[:2])
    left = min(left, width - 1)
    top = min(top, height - 1)
    return Rect(left, top, min(wide, width - left), min(high, height - top))


def turned(place: Rect, width: int, height: int) -> tuple[Rect, int | None]:
    """Flip a rectangle in a canvas so that its wider margins lie to the right and below.

    `Resize` saves the work on margins there.
    width, height: of the canvas.
    Returns the rectangle and cv2.flip's code, None where nothing is flipped.
    """
    right = width - place.left - place.width
    below = height - place.top - place.height
    flip = _FLIPS.get((place.left > right, place.top > below))
    left = min(place.left, right)
    top = min(place.top, below)
    return Rect(left, top, place.width, place.height), flip


class Canvas(threading.local):
    """Memory that a thread keeps for its windows.

    While no window is in use, all of it has the mean colour.
    mean: the colour, one value for all channels or one per channel; empty: black.
    """

    def __init__(self, mean: Sequence[float]) -> None:
        colour = np.array(mean or [0], np.float32)
        self._mean = np.rint(colour).clip(0, 255).astype(np.uint8)
        self._memory = np.empty((0, 1), np.uint8)

    def _row(self, width: int, channels: int) -> np.ndarray:
        return np.broadcast_to(self._mean, (width, channels)).copy()

    @contextmanager
    def window(
        self,
        size: tuple[int, int],
        image: np.ndarray,
        place: Rect,
        flip: int | None = None,
    ) -> Iterator[np.ndarray]:
        """Lend a canvas with an image on it, valid until the block ends.

        size: (width, height) of the canvas.
        place: where the image lies on it.
        flip: cv2.flip's code for the image, None: as it is.
        Yields (height, width, C) uint8.
        """
        width, height = size
        channels = image.shape[2]
        if len(self._memory) < width * height or self._memory.shape[1] != channels:
            self._memory = self._row(width * height, channels)
        canvas = self._memory[: width * height].reshape(height, width, -1)
        if flip is None:
            place.of(canvas)[:] = image
        else:
            cv2.flip(image, flip, dst=place.of(canvas))
        try:
            yield canvas
        finally:
            # By rows: pixel by pixel takes ten times as long.
            place.of(canvas)[:] = self._row(place.width, channels)
