"""A VOC-style folder of smooth noise, to convert."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from data_prep.shapes.shapes import annotation_xml
from data_prep.sources.source import Object

IMAGES = 2000  # distinct ones, about 25 kB each
SIDE = 300  # pixels
_FOLDERS = ("Annotations", "JPEGImages")


def draw(root: Path) -> list[str]:
    """Draw the images with their annotations, and return the lines of a list of them."""
    rng = np.random.default_rng(0)
    for name in _FOLDERS:
        (root / name).mkdir(parents=True)
    lines = []
    for i in range(IMAGES):
        image = f"JPEGImages/{i}.jpg"
        annotation = f"Annotations/{i}.xml"
        (root / image).write_bytes(_jpeg(rng))
        objects = _objects(rng, 1 + i % 4)
        (root / annotation).write_text(annotation_xml(str(i), SIDE, objects))
        lines.append(f"{image} {annotation}\n")
    return lines


def described(root: Path, lines: list[str]) -> str:
    """Return number and size of the images in words."""
    total = 0
    for line in lines:
        total += (root / line.split()[0]).stat().st_size
    return f"{IMAGES} images of {SIDE}x{SIDE} pixels, {total / IMAGES / 1000:.0f} kB each"


def _jpeg(rng: np.random.Generator) -> bytes:
    coarse = rng.integers(0, 256, (40, 40, 3), np.uint8)
    smooth = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    rough = rng.integers(-12, 13, smooth.shape, np.int16)
    pixels = np.clip(smooth + rough, 0, 255).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return encoded.tobytes()


def _objects(rng: np.random.Generator, count: int) -> list[Object]:
    """Return boxes of 60x40 pixels, of two classes in turn."""
    corners = rng.integers(0, SIDE - 60, (count, 2)).tolist()
    found = []
    for k, (x, y) in enumerate(corners):
        name = ("cat", "dog")[k % 2]
        found.append(Object(name, False, x, y, x + 60, y + 40, 0))
    return found
