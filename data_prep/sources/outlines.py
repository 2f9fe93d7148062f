"""The upright boxes around outlines, turned boxes and ellipses (pixels)."""

from __future__ import annotations

import math
from collections.abc import Sequence

Box = list[float]  # xmin, ymin, xmax, ymax
Point = tuple[float, float]


def around(points: Sequence[Point]) -> Box:
    """Return the box around points. Raises ValueError without any."""
    if not points:
        raise ValueError("an outline without points")
    xs = [x for x, _ in points]
    ys = [y for _, y in points]
    return [min(xs), min(ys), max(xs), max(ys)]


def turned(box: Sequence[float], degrees: float, pivot: Point) -> Box:
    """Return the box around a box that is turned.

    degrees: clockwise, as an image is seen.
    pivot: the point that stays where it is.
    """
    xmin, ymin, xmax, ymax = box
    corners = ((xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax))
    cosine, sine = _cosine_and_sine(degrees)
    points = []
    for x, y in corners:
        across, down = x - pivot[0], y - pivot[1]
        point = (
            pivot[0] + across * cosine - down * sine,
            pivot[1] + across * sine + down * cosine,
        )
        points.append(point)
    return around(points)


def ellipse(centre: Point, radii: Point, degrees: float = 0) -> Box:
    """Return the box around an ellipse, which may be turned.

    radii: across and down, before it is turned by degrees (clockwise).
    """
    cosine, sine = _cosine_and_sine(degrees)
    across = math.hypot(radii[0] * cosine, radii[1] * sine)
    down = math.hypot(radii[0] * sine, radii[1] * cosine)
    x, y = centre
    return [x - across, y - down, x + across, y + down]


def _cosine_and_sine(degrees: float) -> Point:
    """Return cosine and sine of an angle, without rounding at quarter turns."""
    quarters = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}
    turn = degrees % 360
    if turn in quarters:
        return quarters[int(turn)]
    angle = math.radians(turn)
    return math.cos(angle), math.sin(angle)
