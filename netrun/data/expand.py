"""Zoom out: the image at a random place of a larger canvas of the mean colour (SSD paper, section 3.6).

Source of the semantics: weiliu89/caffe, branch ssd, src/caffe/data_transformer.cpp. Only the window that is cut out of the canvas
afterwards is ever made, and the mean colour of one window is the next one's.
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


@dataclass(frozen=True)
class Rect:
    """A rectangle of whole pixels; left and top may be negative."""

    left: int
    top: int
    width: int
    height: int

    def of(self, image: np.ndarray) -> np.ndarray:
        """The view of (H, W, C) that it covers, which must contain it."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]

    def within(self, window: Rect) -> Rect:
        """The part inside the window, in the coordinates of self; of no width or height where there is none."""
        left, top = max(window.left - self.left, 0), max(window.top - self.top, 0)
        right = min(window.left + window.width - self.left, self.width)
        bottom = min(window.top + window.height - self.top, self.height)
        return Rect(left, top, max(right - left, 0), max(bottom - top, 0))


def draw(param: pb.ExpansionParameter, width: int, height: int, rng: np.random.Generator) -> Rect | None:
    """The canvas, in the image's pixels (left and top are not positive), or None where this image is not expanded."""
    chance, amount, x, y = rng.random(4).tolist()
    if chance > param.prob or abs(param.max_expand_ratio - 1) < 1e-2:
        return None
    ratio = 1 + amount * (param.max_expand_ratio - 1)
    wide, high = int(width * ratio), int(height * ratio)
    return Rect(-int(x * (wide - width)), -int(y * (high - height)), wide, high)


def pixels(window: Box, width: int, height: int) -> Rect:
    """The pixels of an image of this size that lie in a window inside [0, 1]: at least one each way."""
    corners = np.array(window, np.float32) * np.array([width, height] * 2, np.float32)
    left, top = (int(v) for v in corners[:2])
    wide, high = (max(int(v), 1) for v in corners[2:] - corners[:2])
    left, top = min(left, width - 1), min(top, height - 1)
    return Rect(left, top, min(wide, width - left), min(high, height - top))


def turned(place: Rect, width: int, height: int) -> tuple[Rect, int | None]:
    """The rectangle in a canvas of this size that is flipped until its wider margins lie to the right and below, where `Resize` spares
    them; and cv2.flip's code, None where nothing is flipped.
    """
    right, below = width - place.left - place.width, height - place.top - place.height
    flip = {(True, False): 1, (False, True): 0, (True, True): -1}.get((place.left > right, place.top > below))
    return Rect(min(place.left, right), min(place.top, below), place.width, place.height), flip


class Canvas(threading.local):
    """Memory that a thread keeps for its windows: all of it is of the mean colour whenever no window is out.

    mean: the colour, one value for all channels, one per channel, or none for black.
    """

    def __init__(self, mean: Sequence[float]) -> None:
        self._mean = np.rint(np.array(mean or [0], np.float32)).clip(0, 255).astype(np.uint8)
        self._memory = np.empty((0, 1), np.uint8)

    def _row(self, width: int, channels: int) -> np.ndarray:
        return np.broadcast_to(self._mean, (width, channels)).copy()

    @contextmanager
    def window(self, size: tuple[int, int], image: np.ndarray, place: Rect, flip: int | None = None) -> Iterator[np.ndarray]:
        """A (height, width, C) canvas of `size` (width, height) with `image` at `place`, valid until the block ends.

        flip: cv2.flip's code, for the image.
        """
        width, height = size
        if len(self._memory) < width * height or self._memory.shape[1] != image.shape[2]:
            self._memory = self._row(width * height, image.shape[2])
        canvas = self._memory[: width * height].reshape(height, width, -1)
        if flip is None:
            place.of(canvas)[:] = image
        else:
            cv2.flip(image, flip, dst=place.of(canvas))
        try:
            yield canvas
        finally:
            place.of(canvas)[:] = self._row(place.width, image.shape[2])  # by rows: pixel by pixel is ten times as slow
