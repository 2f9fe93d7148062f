"""Backgrounds, fillings and light of the drawn images, which are size x size x 3, uint8, BGR."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

INSIDE = 127  # coverage above which a pixel belongs to a shape
CONTRAST = 80  # one channel of a filling differs by more than this from the background
TRIES = 8  # fillings tried for that contrast
BLUR_SHARE = 0.3  # of images that the camera blurs


def colour(
    rng: Generator,
    saturation: tuple[int, int] = (60, 255),
    value: tuple[int, int] = (60, 255),
) -> np.ndarray:
    """Return a random BGR colour, float32.

    saturation, value: ranges to draw from, of 0 to 255.
    """
    hsv = [rng.integers(180), rng.integers(*saturation), rng.integers(*value)]
    pixel = np.array([[hsv]], np.uint8)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0].astype(np.float32)


def ramp(size: int, rng: Generator) -> np.ndarray:
    """Return size x size values from 0 to 1 that rise along a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    x = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    across = x[None] * np.float32(np.cos(angle))
    down = x[:, None] * np.float32(np.sin(angle))
    values = across + down
    return (values - values.min()) / (values.max() - values.min())


def stripes(size: int, rng: Generator) -> np.ndarray:
    """Return soft stripes, 4 to 14 over the image: size x size values from 0 to 1."""
    rising = ramp(size, rng)
    count = rng.uniform(4, 14)
    return 0.5 + 0.5 * np.sin(rising * np.float32(2 * np.pi * count))


def clouds(size: int, rng: Generator) -> np.ndarray:
    """Return smooth noise of two scales: size x size values from 0 to 1."""
    coarse = int(rng.integers(3, 7))  # cells along a side
    fine = int(rng.integers(12, 32))
    total = np.zeros((size, size), np.float32)
    for cells, weight in ((coarse, 0.65), (fine, 0.35)):
        noise = rng.random((cells, cells), np.float32)
        smooth = cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
        total += weight * smooth
    return np.clip(total, 0, 1)


def tiles(size: int, rng: Generator) -> np.ndarray:
    """Return a chequered floor of uneven tiles, without perspective: size x size values."""
    cells = int(rng.integers(4, 12))
    grey = rng.random((cells, cells), np.float32) * 0.35
    numbers = np.arange(cells)
    light = np.add.outer(numbers, numbers) % 2 == 1
    grey[light] += 0.6
    return cv2.resize(grey, (size, size), interpolation=cv2.INTER_NEAREST)


BACKGROUNDS = (ramp, stripes, clouds, tiles)
FILLINGS = (ramp, stripes, clouds)


def background(size: int, rng: Generator) -> np.ndarray:
    """Draw a textured background of two muted colours, with a few thin lines as clutter."""
    pattern = BACKGROUNDS[rng.choice(4, p=[0.2, 0.2, 0.4, 0.2])]
    texture = pattern(size, rng)
    first = colour(rng, (10, 120), (40, 230))
    second = colour(rng, (10, 120), (40, 230))
    second = first + (second - first) * rng.uniform(0.35, 0.8)
    image = first + (second - first) * texture[..., None]
    image = np.clip(image, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 5))):
        start, end = rng.integers(0, size, (2, 2)).tolist()
        line_colour = colour(rng, (10, 140)).tolist()
        width = int(rng.integers(1, 3))
        cv2.line(image, start, end, line_colour, width, cv2.LINE_AA)
    return image


def paint(image: np.ndarray, mask: np.ndarray, radius: float, rng: Generator) -> None:
    """Paint a shape onto the image, in place: shadow, filling and rim.

    The filling stands out from the background.

    mask: size x size, uint8, the shape's coverage.
    radius: in pixels.
    """
    offset = max(1.0, radius * 0.08)  # of the shadow, in pixels
    reach = int(4 * offset) + 1  # pixels around the shape that may change
    x, y, width, height = cv2.boundingRect(mask)
    rows = slice(max(y - reach, 0), y + height + reach)
    columns = slice(max(x - reach, 0), x + width + reach)
    image = image[rows, columns]
    mask = mask[rows, columns]
    filled = _filling(image, mask, radius, rng)
    shadow = _shadow(mask, offset)
    alpha = mask[..., None].astype(np.float32) / 255
    shaded = image * (1 - 0.45 * shadow)
    image[:] = np.clip(shaded + (filled - shaded) * alpha, 0, 255)


def _filling(
    image: np.ndarray,
    mask: np.ndarray,
    radius: float,
    rng: Generator,
) -> np.ndarray:
    """Return the colours (H, W, 3) of a shape: a pattern of two colours, lit, with a dark rim.

    image: (H, W, 3), the background.
    mask: (H, W), the shape's coverage.
    radius: in pixels.
    """
    rows, columns = mask.shape
    side = max(rows, columns)
    fill = _contrasting(image, mask, rng)
    pattern = FILLINGS[rng.choice(3, p=[0.6, 0.2, 0.2])]
    texture = pattern(side, rng)[:rows, :columns, None]
    light = 0.8 + 0.35 * ramp(side, rng)[:rows, :columns, None]
    covered = (mask > INSIDE).astype(np.uint8)
    depth = cv2.distanceTransform(covered, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    rim = np.clip(max(1.0, radius * 0.05) + 0.5 - depth, 0, 1)[..., None]
    light *= 1 - rim * np.float32(rng.uniform(0.25, 0.55))
    other = colour(rng)
    strength = np.float32(rng.uniform(0, 0.3))
    return (fill + (other - fill) * strength * texture) * light


def _contrasting(image: np.ndarray, mask: np.ndarray, rng: Generator) -> np.ndarray:
    """Return a colour (3,) that stands out from the mean of the background, if a few tries do."""
    behind = np.array(cv2.mean(image, mask)[:3], np.float32)
    for _ in range(TRIES):
        fill = colour(rng)
        if np.abs(fill - behind).max() > CONTRAST:
            break
    return fill


def _shadow(mask: np.ndarray, offset: float) -> np.ndarray:
    """Return the shadow (H, W, 1) of a shape, from 0 to 1: its mask, moved and blurred.

    offset: in pixels.
    """
    rows, columns = mask.shape
    shift = np.array([[1, 0, offset], [0, 1, offset]], np.float32)
    shifted = cv2.warpAffine(mask, shift, (columns, rows))
    blurred = cv2.GaussianBlur(shifted, (0, 0), offset)
    return blurred.astype(np.float32)[..., None] / 255


def finish(image: np.ndarray, rng: Generator) -> np.ndarray:
    """Add what a camera adds: noise, and in some images a little blur."""
    if rng.random() < BLUR_SHARE:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.0))
    noise = rng.standard_normal(image.shape[:2], np.float32) * rng.uniform(1, 9)
    return np.clip(image + noise[..., None], 0, 255).astype(np.uint8)
