"""Boxes with names and scores on images, and images side by side on one sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

_FONT = cv2.FONT_HERSHEY_DUPLEX
_PAPER = (255, 255, 255)
_INK = (40, 40, 40)


@dataclass(frozen=True)
class Box:
    """A box to be drawn. corners: xmin, ymin, xmax, ymax, normalised. label: number of its class. score: None for ground truth."""

    corners: Sequence[float]
    label: int
    name: str
    score: float | None = None

    @property
    def caption(self) -> str:
        return self.name if self.score is None else f"{self.name} {self.score:.2f}"

    def pixels(self, image: np.ndarray) -> np.ndarray:
        """Its corners in pixels of an image (H, W, ...)."""
        height, width = image.shape[:2]
        return np.array(self.corners) * [width, height, width, height]


def colour(label: int) -> tuple[int, int, int]:
    """A BGR colour for a class: neighbours in number lie far apart in hue, every class always has its own."""
    hue = int(label * 180 * 0.618034) % 180  # the golden angle fills the circle evenly, however many classes there are
    value = 255 if label % 2 else 215
    b, g, r = cv2.cvtColor(np.array([[[hue, 235, value]]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return b, g, r


def draw(image: np.ndarray, boxes: Sequence[Box]) -> np.ndarray:
    """A copy of the image (H, W, 3, BGR, uint8) with its boxes, their captions above all lines, the surest ones' on top."""
    canvas = np.ascontiguousarray(image).copy()
    height, width = canvas.shape[:2]
    line = max(1, round(min(height, width) / 200))
    limits = [width - 1, height - 1, width - 1, height - 1]
    tags = []
    for box in sorted(boxes, key=lambda b: b.score or 0):
        x0, y0, x1, y1 = np.clip(np.nan_to_num(box.pixels(canvas)), 0, limits).round().astype(int).tolist()
        cv2.rectangle(canvas, (x0, y0), (x1, y1), colour(box.label), line)
        tags.append((box, (x0, y0)))
    for box, corner in tags:
        _tag(canvas, box.caption, corner, colour(box.label), line)
    return canvas


def _tag(canvas: np.ndarray, caption: str, corner: tuple[int, int], fill: tuple[int, int, int], line: int) -> None:
    """The caption on a plate above the corner, or below where there is no room, never beyond the image's sides."""
    height, width = canvas.shape[:2]
    scale = max(0.36, min(height, width) / 1000)
    (w, h), base = cv2.getTextSize(_ascii(caption), _FONT, scale, 1)
    pad = line + 1
    x = max(0, min(corner[0], width - w - 2 * pad))
    y = corner[1] - h - base - pad
    if y < 0:
        y = min(corner[1], height - h - base - pad)
    cv2.rectangle(canvas, (x, y), (x + w + 2 * pad, y + h + base + pad), fill, cv2.FILLED)
    light = 0.114 * fill[0] + 0.587 * fill[1] + 0.299 * fill[2] > 130
    cv2.putText(canvas, _ascii(caption), (x + pad, y + h + pad), _FONT, scale, (0, 0, 0) if light else (255, 255, 255), 1, cv2.LINE_AA)


def _ascii(caption: str) -> str:
    """cv2's fonts have no more letters than these."""
    return caption.encode("ascii", "replace").decode()


def sheet(images: Sequence[np.ndarray], captions: Sequence[str] = (), columns: int | None = None, tile: int = 320) -> np.ndarray:
    """All images on one sheet, each within a square of `tile` pixels, its shape kept, its caption below it.

    columns: images in a row; None: about as many as rows. Raises ValueError without images.
    """
    if not images:
        raise ValueError("no images for a sheet")
    columns = min(len(images), columns or math.ceil(math.sqrt(len(images))))
    rows = math.ceil(len(images) / columns)
    gap, foot = tile // 32, 24 if captions else 0
    paper = np.full((gap + rows * (tile + foot + gap), gap + columns * (tile + gap), 3), _PAPER, np.uint8)
    for i, image in enumerate(images):
        height, width = image.shape[:2]
        scale = tile / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        top = gap + i // columns * (tile + foot + gap)
        left = gap + i % columns * (tile + gap)
        y, x = top + (tile - size[1]) // 2, left + (tile - size[0]) // 2
        paper[y : y + size[1], x : x + size[0]] = small
        if i < len(captions):
            caption = _ascii(captions[i])
            (w, _), _ = cv2.getTextSize(caption, _FONT, 0.42, 1)
            cv2.putText(paper, caption, (left + max(0, (tile - w) // 2), top + tile + 16), _FONT, 0.42, _INK, 1, cv2.LINE_AA)
    return paper
