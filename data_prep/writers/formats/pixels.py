"""Coordinates of records, in pixels again.

Records hold a pixel divided by the image's side, rounded to single precision. Of all numbers that
give the same record, the one with the fewest decimals is what the annotation had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from data_prep.sources.fields import float32

DIGITS = 9  # decimals of a pixel that are tried; single precision has fewer
FRACTION_DIGITS = (6, 17)  # decimals of a fraction: six are usual, seventeen tell all


def unchanged(value: float) -> float:
    """Return a number as it is: what formats with double precision read."""
    return value


def pixel(fraction: float, side: int, read: Callable[[float], float] = unchanged) -> float:
    """Return the pixel of a fraction, whole ones as int.

    fraction: of the side (single precision).
    side: in pixels.
    read: what a reader of the format makes of a number, such as float32.
    """
    exact = fraction * side
    for value in _rounded(exact):
        if float32(read(value) / side) == fraction:
            return value
    return exact


def length(start: float, end: float, side: int) -> float:
    """Return the length that leads from a pixel to a fraction, where readers add in float32.

    start: pixel.
    end: fraction of the side (single precision).
    side: in pixels.
    """
    first = float32(start)
    for value in _rounded(end * side - start):
        if float32(float32(first + float32(value)) / side) == end:
            return value
    return end * side - start


def centre_and_length(low: float, high: float, side: int) -> tuple[str, str]:
    """Return the centre and the length between two fractions as texts, with decimals enough.

    low, high: single precision.
    side: in pixels.
    """
    start = pixel(low, side) / side
    end = pixel(high, side) / side
    centre = (start + end) / 2
    whole = end - start
    fewest, most = FRACTION_DIGITS
    for digits in range(fewest, most + 1):
        words = f"{centre:.{digits}f}", f"{whole:.{digits}f}"
        middle, half = float(words[0]), float(words[1]) / 2
        if [float32(middle - half), float32(middle + half)] == [low, high]:
            return words
    return repr(centre), repr(whole)


def corners(box: Sequence[float], size: tuple[int, int]) -> list[float]:
    """Return a box's corners in pixels.

    box: xmin, ymin, xmax, ymax (fractions).
    size: width and height of the image (pixels).
    """
    return [pixel(value, side) for value, side in zip(box, size * 2, strict=True)]


def _rounded(exact: float) -> Iterator[float]:
    """Yield a number with ever more decimals, first as int."""
    yield round(exact)
    for digits in range(1, DIGITS + 1):
        yield round(exact, digits)
