"""Finds what is wrong with one box, and fixes it as `--fix` says."""

from __future__ import annotations

from typing import Literal

from data_prep.sources.fields import written
from data_prep.sources.source import Object

Fix = Literal["clip", "drop"]
# What clip does about a kind of fault, in words; it cuts boxes with any other fault.
DONE = {"normalised": "scaled to", "inverted": "corners put in order:"}


def is_normalised(objects: list[Object]) -> bool:
    """Tell whether the boxes of an image are fractions of it, not pixels.

    They are fractions if none of their numbers is far above 1 and some are not whole.
    """
    # The first box of nearly all images answers at once.
    if not objects or any(o.xmax >= 2 or o.ymax >= 2 for o in objects):
        return False
    numbers = [x for o in objects for x in o[2:6]]
    return max(numbers) < 2 and any(x != int(x) for x in numbers)


def box_fault(
    o: Object,
    width: int,
    height: int,
    normalised: bool = False,
    whole_pixels: bool = True,
) -> tuple[str, str] | None:
    """Find what is wrong with the box of an object.

    width, height: of the image, in pixels.
    normalised: the boxes of this image are fractions of it.
    whole_pixels: the fork reads only whole numbers from this kind of annotation.
    Returns the kind of the fault, and words for it; None where nothing is wrong.
    """
    if normalised:
        return "normalised", "is in fractions of the image, not in pixels"
    xmin, ymin, xmax, ymax = o[2:6]
    inside = 0 <= xmin < xmax <= width and 0 <= ymin < ymax <= height
    if not inside or xmax - xmin < 1 or ymax - ymin < 1:
        return _corner_fault(o, width, height)
    if whole_pixels and float in (type(xmin), type(ymin), type(xmax), type(ymax)):
        return "fraction", "is not in whole pixels (kept as it is; the fork's tool reads 0)"
    return None


def _corner_fault(o: Object, width: int, height: int) -> tuple[str, str]:
    """Name what is wrong with the corners of a box at fault, as box_fault returns it.

    Outside and inverted are the fork's own warnings, in its order.
    """
    xmin, ymin, xmax, ymax = o[2:6]
    before = min(xmin, ymin, xmax, ymax) < 0
    if before or max(xmin, xmax) > width or max(ymin, ymax) > height:
        return "outside", f"is outside the image of {width}x{height}"
    if xmin > xmax or ymin > ymax:
        return "inverted", "is inverted"
    if xmin == xmax or ymin == ymax:
        return "empty", "is without area"
    return "sub-pixel", "is less than a pixel wide or high"


def fixed_box(o: Object, kind: str, width: int, height: int, fix: Fix) -> tuple[Object | None, str]:
    """Fix an object whose box is at fault.

    "clip" scales fractions to pixels, puts corners in order and cuts the box to the image; it drops
    objects that then have no pixel, and objects that occur twice. "drop" drops every object at
    fault.

    kind: of the fault, as box_fault names it, or "duplicate".
    width, height: of the image, in pixels.
    Returns the new object, None where it is dropped, and what was done in words; the object itself
      and "" where it is kept.
    """
    if kind == "fraction":
        return o, ""
    if fix == "drop" or kind == "duplicate":
        return None, "left out"
    xs = sorted((o.xmin, o.xmax))
    ys = sorted((o.ymin, o.ymax))
    if kind == "normalised":
        xs = [x * width for x in xs]
        ys = [y * height for y in ys]
    xmin, xmax = (min(max(x, 0), width) for x in xs)
    ymin, ymax = (min(max(y, 0), height) for y in ys)
    if xmax - xmin < 1 or ymax - ymin < 1:
        return None, "left out"
    done = DONE.get(kind, "cut to")
    box = o._replace(xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax)
    return box, f"{done} {corners(box)}"


def corners(o: Object) -> str:
    """Write the corners of an object's box for a message."""
    return " ".join(map(written, o[2:6]))
