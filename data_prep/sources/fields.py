"""Fields of annotation files: numbers, names and boxes, and how messages quote them."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable

from data_prep.sources.source import Object

LARGEST = 1e9  # pixels
LONGEST = 1000  # characters of an image's path
# By how much a box in rounded fractions may leave its image.
SLACK = 1e-4
DIGITS = 300  # of a whole number; Python refuses to read thousands
QUOTED = 60  # characters of a file that a message quotes


def excerpt(text: str) -> str:
    """Return a piece of a file for a message: one short line, printable on a terminal."""
    start = "".join(map(_printable, text[:QUOTED]))
    if len(text) > QUOTED:
        start += "…"
    return start


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return "·"


def number(text: str) -> float:
    """Parse a number of pixels, whole ones as int.

    Raises ValueError for text that is no number, and for a number that no image has.
    """
    if text.isdecimal() and len(text) < 10:  # nearly every number of VOC's; twice as fast
        return int(text)
    value = float(text)
    # NaN is not less, either.
    if not abs(value) < LARGEST or "_" in text:
        raise ValueError(text)
    return _int_if_whole(value)


def is_number(text: str) -> bool:
    """Return whether number() accepts a text."""
    try:
        number(text)
    except ValueError:
        return False
    return True


def is_whole(text: str) -> bool:
    """Return whether a text is a whole number without sign, small enough for int() to read."""
    return text.isdecimal() and len(text) <= DIGITS


def _int_if_whole(value: float) -> float:
    whole = int(value)
    if value == whole:
        return whole
    return value


def written(value: float) -> str:
    """Write a number of pixels as a person does: 0.1 for single precision's 0.10000000149."""
    short = f"{value:.7g}"
    # Neither 1e+07 nor 1 for 0.99999999.
    if "e" in short or float(short).is_integer():
        return str(value)
    return short


def float32(value: float) -> float:
    """Round a number to single precision, in which the fork adds corner and side."""
    return struct.unpack("f", struct.pack("f", value))[0]


def corners_float32(box: Iterable[float]) -> list[float]:
    """Return the corners of a box in single precision, as the fork adds them.

    box: x, y, width, height (pixels).
    Returns xmin, ymin, xmax, ymax.
    """
    x, y, width, height = map(float32, box)
    return [x, y, float32(x + width), float32(y + height)]


@functools.lru_cache(maxsize=4096)
def class_name(name: str) -> str:
    """Return a class's name as label maps and messages can have it.

    Raises ValueError, saying why, for a name that they cannot have.
    """
    return _readable_name(name, "class", "a class")


@functools.lru_cache(maxsize=64)
def image_name(name: str) -> str:
    """Return an image's path as Caffe's lists can have it.

    Raises ValueError, saying why, for a path that they cannot have.
    """
    name = _readable_name(name, "image", "an image")
    parts = name.split("/")
    if len(name) > LONGEST or any(len(part.encode()) > 255 for part in parts):
        given = excerpt(name)
        raise ValueError(f"image name '{given}' is too long for a file")
    name = name.replace("\\", "/").removeprefix("./")
    if name.endswith(("/", "..")) or name in ("", "."):
        raise ValueError(f"'{name}' is no image, but a folder")
    return name


def _readable_name(name: str, kind: str, bearer: str) -> str:
    """Return a name without the blanks around it. Raises ValueError if nobody could read it."""
    name = name.strip()
    if not name:
        raise ValueError(f"{bearer} without a name")
    if not name.isprintable():
        given = excerpt(name)
        raise ValueError(f"{kind} name '{given}' has characters that cannot be printed")
    return name


def make_object(name: str, difficult: bool, box: Iterable[float], line: int) -> Object:
    """Make the object with this box.

    box: xmin, ymin, xmax, ymax (pixels); the object has whole numbers as int.
    line: of the box in its file.
    """
    xmin, ymin, xmax, ymax = map(_int_if_whole, box)
    return Object(name, difficult, xmin, ymin, xmax, ymax, line)


def to_pixels(box: Iterable[float], size: tuple[int, int]) -> list[float]:
    """Scale a box to pixels.

    box: xmin, ymin, xmax, ymax in fractions of the image; one that leaves the image by no more than
      the last digit's rounding ends at the image's edge.
    size: width and height of the image (pixels).
    """
    within = map(_at_edge, box)
    return [x * side for x, side in zip(within, size * 2, strict=True)]


def _at_edge(x: float) -> float:
    """Return a fraction, moved to 0 or 1 where rounding alone took it beyond."""
    edge = min(max(x, 0), 1)
    if abs(x - edge) <= SLACK:
        return edge
    return x
