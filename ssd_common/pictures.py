"""Boxes with names and scores on images, colours of classes, and contact sheets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ssd_common.image_limits import chunks_fit, refuse_too_large, too_large

_FONT = cv2.FONT_HERSHEY_DUPLEX
_SMALL_FONT = cv2.FONT_HERSHEY_SIMPLEX
_PAPER = (255, 255, 255)
_INK = (40, 40, 40)
_MOUNT = 235  # grey around a thumbnail
_FOOT = 24  # pixels below a square, for its caption
_CAPTION_SCALE = 0.42


def decoded(data: bytes, flags: int) -> np.ndarray | None:
    """Decode an image file's bytes as cv2.imdecode does; None where that fails.

    flags: cv2.IMREAD_…
    Raises CaffeError for an image of more pixels than the limit, before it takes their memory.
    """
    if not data:
        return None
    refuse_too_large(data)
    if not chunks_fit(data):
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:  # a damaged header may give an absurd size
        if "CV_IO_MAX_IMAGE" in str(error):
            raise too_large("its pixels") from None
    return None


@dataclass(frozen=True)
class Box:
    """A box to draw.

    corners: xmin, ymin, xmax, ymax, normalised.
    label: its class's number.
    name: its class's name.
    score: None for ground truth.
    difficult: an object of ground truth that is hard to see.
    """

    corners: Sequence[float]
    label: int
    name: str
    score: float | None = None
    difficult: bool = False

    @property
    def caption(self) -> str:
        """Its name, and its score if it has one."""
        if self.score is None:
            return self.name
        return f"{self.name} {self.score:.2f}"

    def pixels(self, image: np.ndarray) -> np.ndarray:
        """Return its corners in pixels of an image (H, W, ...)."""
        height, width = image.shape[:2]
        return np.array(self.corners) * [width, height, width, height]


def colour(label: int) -> tuple[int, int, int]:
    """Return a class's BGR colour, always the same.

    Classes with neighbouring numbers lie far apart in hue.
    """
    # The golden angle fills the circle evenly, however many classes there are.
    hue = int(label * 180 * 0.618034) % 180
    value = 215
    if label % 2:
        value = 255
    return _from_hsv(hue, 235, value)


def _from_hsv(hue: int, saturation: int, value: int) -> tuple[int, int, int]:
    """Return the BGR colour of a hue (0 to 179), a saturation and a value (0 to 255)."""
    pixel = np.array([[[hue, saturation, value]]], np.uint8)
    b, g, r = cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return b, g, r


def draw(image: np.ndarray, boxes: Sequence[Box]) -> np.ndarray:
    """Copy an image and draw boxes on the copy.

    Captions cover all lines, and those of higher scores cover the others.
    image: (H, W, 3), BGR, uint8.
    """
    canvas = np.ascontiguousarray(image).copy()
    height, width = canvas.shape[:2]
    line = max(1, round(min(height, width) / 200))
    limits = [width - 1, height - 1, width - 1, height - 1]
    tags = []
    for box in sorted(boxes, key=lambda b: b.score or 0):
        corners = np.nan_to_num(box.pixels(canvas)).clip(0, limits)
        x0, y0, x1, y1 = corners.round().astype(int).tolist()
        cv2.rectangle(canvas, (x0, y0), (x1, y1), colour(box.label), line)
        tags.append((box, (x0, y0)))
    for box, corner in tags:
        _tag(canvas, box.caption, corner, colour(box.label), line)
    return canvas


def _tag(
    canvas: np.ndarray,
    caption: str,
    corner: tuple[int, int],
    fill: tuple[int, int, int],
    line: int,
) -> None:
    """Write the caption on a plate above the corner, never beyond the image's sides.

    The plate lies below the corner where there is no room above.
    """
    height, width = canvas.shape[:2]
    words = _ascii(caption)
    scale = max(0.36, min(height, width) / 1000)
    (w, h), base = cv2.getTextSize(words, _FONT, scale, 1)
    pad = line + 1
    x = max(0, min(corner[0], width - w - 2 * pad))
    y = corner[1] - h - base - pad
    if y < 0:
        y = min(corner[1], height - h - base - pad)
    cv2.rectangle(canvas, (x, y), (x + w + 2 * pad, y + h + base + pad), fill, cv2.FILLED)
    place = (x + pad, y + h + pad)
    cv2.putText(canvas, words, place, _FONT, scale, _ink_on(fill), 1, cv2.LINE_AA)


def _ink_on(fill: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return black for a light BGR colour, white for a dark one."""
    light = 0.114 * fill[0] + 0.587 * fill[1] + 0.299 * fill[2] > 130
    if light:
        return (0, 0, 0)
    return (255, 255, 255)


def _ascii(caption: str) -> str:
    """Return the caption with "?" for letters that cv2's fonts lack."""
    return caption.encode("ascii", "replace").decode()


def contact_sheet(
    images: Sequence[np.ndarray],
    captions: Sequence[str] = (),
    columns: int | None = None,
    tile: int = 320,
    gap: int | None = None,
) -> np.ndarray:
    """Put images on one sheet, each unstretched within a square, above its caption.

    images: (H, W, 3), BGR, uint8.
    columns: images in a row; None: about as many as rows.
    tile: side of a square, in pixels.
    gap: pixels between squares; None: a 32nd of a side.
    Returns the sheet, (H, W, 3), BGR, uint8.
    Raises ValueError without images.
    """
    if not images:
        raise ValueError("no images for a sheet")
    wanted = columns or math.ceil(math.sqrt(len(images)))
    columns = min(len(images), wanted)
    rows = math.ceil(len(images) / columns)
    if gap is None:
        gap = tile // 32
    foot = 0
    if captions:
        foot = _FOOT
    down = tile + foot + gap
    across = tile + gap
    paper = np.full((gap + rows * down, gap + columns * across, 3), _PAPER, np.uint8)
    for i, image in enumerate(images):
        row, column = divmod(i, columns)
        top = gap + row * down
        left = gap + column * across
        square = paper[top : top + tile, left : left + tile]
        _place(square, scaled(image, tile))
        if i < len(captions):
            _caption(paper, captions[i], (left, top + tile), tile)
    return paper


def scaled(
    image: np.ndarray,
    side: int,
    shrink_only: bool = False,
) -> np.ndarray:
    """Scale an image (H, W, 3) without stretching it.

    side: pixels of the longer side.
    shrink_only: enlarge fast and coarsely, for callers that mostly shrink.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    interpolation = cv2.INTER_AREA
    if scale >= 1 and not shrink_only:
        interpolation = cv2.INTER_CUBIC
    return cv2.resize(image, size, interpolation=interpolation)


def _place(square: np.ndarray, image: np.ndarray) -> None:
    """Put an image in the middle of a square, in place."""
    height, width = image.shape[:2]
    y = (square.shape[0] - height) // 2
    x = (square.shape[1] - width) // 2
    square[y : y + height, x : x + width] = image


def _caption(
    paper: np.ndarray,
    caption: str,
    corner: tuple[int, int],
    tile: int,
) -> None:
    """Write a caption in the middle below a square.

    corner: x, y of the square's lower left corner.
    """
    words = _ascii(caption)
    (width, _), _ = cv2.getTextSize(words, _FONT, _CAPTION_SCALE, 1)
    place = (corner[0] + max(0, (tile - width) // 2), corner[1] + 16)
    cv2.putText(paper, words, place, _FONT, _CAPTION_SCALE, _INK, 1, cv2.LINE_AA)


def bright_colour(label: int) -> tuple[int, int, int]:
    """Return a bright BGR colour for a class, for thumbnails, where lines are thin."""
    # `colour` cannot serve here: data_prep's contact sheets must stay the same byte for byte.
    return _from_hsv(label * 67 % 180, 230, 255)


def thumbnail(
    image: np.ndarray,
    boxes: Sequence[Box],
    side: int = 240,
) -> np.ndarray:
    """Draw a small square picture of an image with its boxes.

    image: (H, W, 3), BGR, uint8.
    boxes: their lines lie around the objects, thin for difficult ones; their names have a dark
        rim, legible on any ground.
    side: in pixels.
    Returns (side, side, 3), BGR, uint8.
    """
    small = scaled(image, side, shrink_only=True)
    height, width = small.shape[:2]
    for box in boxes:
        corners = np.nan_to_num(box.corners).clip(-1, 2)  # some may lie far outside
        pixels = (corners * [width, height, width, height]).round().astype(int)
        xmin, ymin, xmax, ymax = pixels.tolist()
        line = 2
        if box.difficult:
            line = 1
        ink = bright_colour(box.label)
        cv2.rectangle(small, (xmin - 1, ymin - 1), (xmax, ymax), ink, line)
        place = (xmin, max(ymin - 4, 9))
        for shade, thickness in (((0, 0, 0), 3), (ink, 1)):
            cv2.putText(small, box.name, place, _SMALL_FONT, 0.36, shade, thickness, cv2.LINE_AA)
    result = np.full((side, side, 3), _MOUNT, np.uint8)
    _place(result, small)
    return result


def encode(image: np.ndarray, suffix: str) -> bytes | None:
    """Encode an image as a file of the type that a suffix names (".png").

    image: (H, W, 3), BGR, uint8.
    Returns None where there is no such type, or the image is too large for it.
    """
    try:
        done, data = cv2.imencode(suffix, image)
    except cv2.error:
        return None
    if not done:
        return None
    return data.tobytes()
