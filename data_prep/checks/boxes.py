"""What can be wrong with one box, and what `--fix` makes of it."""

from __future__ import annotations

from typing import Literal

from data_prep.sources.source import Object

Fix = Literal["clip", "drop"]


def is_normalised(objects: list[Object]) -> bool:
    """Whether the boxes of an image are fractions of it.

    None of their numbers is far above 1 then, and not all are whole.
    """
    # Nearly all images end with their first box.
    if not objects or any(o.xmax >= 2 or o.ymax >= 2 for o in objects):
        return False
    numbers = [x for o in objects for x in o[2:6]]
    return max(numbers) < 2 and any(x != int(x) for x in numbers)


def box_fault(
    o: Object, width: int, height: int, normalised: bool = False, whole_pixels: bool = True
) -> tuple[str, str] | None:
    """Kind and words of what is wrong with a box in an image of this size; None if nothing is.

    Outside and inverted are the fork's own warnings, in its order.
    """
    if normalised:
        return "normalised", "is in fractions of the image, not in pixels"
    xmin, ymin, xmax, ymax = o[2:6]
    if not (
        0 <= xmin < xmax <= width
        and 0 <= ymin < ymax <= height
        and xmax - xmin >= 1
        and ymax - ymin >= 1
    ):
        if min(xmin, ymin, xmax, ymax) < 0 or max(xmin, xmax) > width or max(ymin, ymax) > height:
            return "outside", f"is outside the image of {width}x{height}"
        if xmin > xmax or ymin > ymax:
            return "inverted", "is inverted"
        if xmin == xmax or ymin == ymax:
            return "empty", "is without area"
        return "sub-pixel", "is less than a pixel wide or high"
    if whole_pixels and float in (type(xmin), type(ymin), type(xmax), type(ymax)):
        return "fraction", "is not in whole pixels (kept as it is; the fork's tool reads 0)"
    return None


def fixed_box(o: Object, kind: str, width: int, height: int, fix: Fix) -> tuple[Object | None, str]:
    """What `--fix` makes of an object whose box is at fault.

    clip scales fractions to pixels, puts corners in order and cuts the box to the image; it leaves
    out what then has not one pixel, and objects that are there twice. drop leaves out everything at
    fault.

    kind: of the fault, as box_fault names it, or "duplicate"
    width, height: of the image, in pixels
    Returns the new object, None where it is left out, and what was done in words; the object itself
      and "" where it is kept.
    """
    if kind == "fraction":
        return o, ""
    if fix == "drop" or kind == "duplicate":
        return None, "left out"
    xs, ys = sorted((o.xmin, o.xmax)), sorted((o.ymin, o.ymax))
    if kind == "normalised":
        xs, ys = [x * width for x in xs], [y * height for y in ys]
    xmin, xmax = (min(max(x, 0), width) for x in xs)
    ymin, ymax = (min(max(y, 0), height) for y in ys)
    if xmax - xmin < 1 or ymax - ymin < 1:
        return None, "left out"
    done = {"normalised": "scaled to", "inverted": "corners put in order:"}.get(kind, "cut to")
    box = o._replace(xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax)
    return box, f"{done} {xmin} {ymin} {xmax} {ymax}"
