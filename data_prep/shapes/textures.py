"""Backgrounds, fillings and light of the drawn data set. Images are size x size x 3, uint8, BGR."""

from __future__ import annotations

import cv2
import numpy as np


def colour(rng: np.random.Generator, saturation: tuple[int, int] = (60, 255), value: tuple[int, int] = (60, 255)) -> np.ndarray:
    """A random BGR colour, float32."""
    hsv = np.array([[[rng.integers(180), rng.integers(*saturation), rng.integers(*value)]]], np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].astype(np.float32)


def ramp(size: int, rng: np.random.Generator) -> np.ndarray:
    """Size x size values from 0 to 1 that rise along a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    x = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    values = x[None] * np.float32(np.cos(angle)) + x[:, None] * np.float32(np.sin(angle))
    return (values - values.min()) / (values.max() - values.min())


def stripes(size: int, rng: np.random.Generator) -> np.ndarray:
    """Soft stripes, 4 to 14 over the image."""
    return 0.5 + 0.5 * np.sin(ramp(size, rng) * np.float32(2 * np.pi * rng.uniform(4, 14)))


def clouds(size: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of two scales."""
    total = np.zeros((size, size), np.float32)
    for cells, weight in ((int(rng.integers(3, 7)), 0.65), (int(rng.integers(12, 32)), 0.35)):
        total += weight * cv2.resize(rng.random((cells, cells), np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(total, 0, 1)


def tiles(size: int, rng: np.random.Generator) -> np.ndarray:
    """A chequered floor in perspective-free tiles of uneven grey."""
    cells = int(rng.integers(4, 12))
    grey = rng.random((cells, cells), np.float32) * 0.35
    grey[np.add.outer(np.arange(cells), np.arange(cells)) % 2 == 1] += 0.6
    return cv2.resize(grey, (size, size), interpolation=cv2.INTER_NEAREST)


def background(size: int, rng: np.random.Generator) -> np.ndarray:
    """A textured background of two muted colours, with a few thin lines as clutter."""
    texture = (ramp, stripes, clouds, tiles)[int(rng.choice(4, p=[0.2, 0.2, 0.4, 0.2]))](size, rng)
    first, second = (colour(rng, (10, 120), (40, 230)) for _ in range(2))
    second = first + (second - first) * rng.uniform(0.35, 0.8)
    image = first + (second - first) * texture[..., None]
    image = np.clip(image, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 5))):
        ends = rng.integers(0, size, (2, 2)).tolist()
        cv2.line(image, ends[0], ends[1], colour(rng, (10, 140)).tolist(), int(rng.integers(1, 3)), cv2.LINE_AA)
    return image


def paint(image: np.ndarray, mask: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    """Paint a shape onto the image, in place: shadow, filling and rim.

    The filling stands out from what is behind it.

    mask: size x size, uint8, the shape's coverage
    radius: in pixels
    """
    offset = max(1.0, radius * 0.08)
    x, y, width, height = cv2.boundingRect(mask)
    reach = int(4 * offset) + 1  # of the shadow; beyond it nothing changes
    y0, y1, x0, x1 = max(y - reach, 0), y + height + reach, max(x - reach, 0), x + width + reach
    image, mask = image[y0:y1, x0:x1], mask[y0:y1, x0:x1]
    rows, columns = mask.shape
    side = max(rows, columns)

    behind = np.array(cv2.mean(image, mask)[:3], np.float32)
    for _ in range(8):
        fill = colour(rng)
        if np.abs(fill - behind).max() > 80:
            break
    pattern = (ramp, stripes, clouds)[int(rng.choice(3, p=[0.6, 0.2, 0.2]))](side, rng)[:rows, :columns, None]
    light = 0.8 + 0.35 * ramp(side, rng)[:rows, :columns, None]
    inside = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    rim = np.clip(max(1.0, radius * 0.05) + 0.5 - inside, 0, 1)[..., None]
    light *= 1 - rim * np.float32(rng.uniform(0.25, 0.55))
    filled = (fill + (colour(rng) - fill) * np.float32(rng.uniform(0, 0.3)) * pattern) * light

    shifted = cv2.warpAffine(mask, np.array([[1, 0, offset], [0, 1, offset]], np.float32), (columns, rows))
    shadow = cv2.GaussianBlur(shifted, (0, 0), offset).astype(np.float32)[..., None] / 255
    alpha = mask[..., None].astype(np.float32) / 255
    shaded = image * (1 - 0.45 * shadow)
    image[:] = np.clip(shaded + (filled - shaded) * alpha, 0, 255)


def finish(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a camera adds: a little blur, sometimes, and noise."""
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.0))
    noise = rng.standard_normal(image.shape[:2], np.float32) * rng.uniform(1, 9)
    return np.clip(image + noise[..., None], 0, 255).astype(np.uint8)
