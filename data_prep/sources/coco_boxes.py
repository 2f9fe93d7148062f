"""The boxes of COCO-style annotations: their own, or those around their segmentation.

Source: cocodataset.org, "Data format"; cocodataset/cocoapi, PythonAPI/pycocotools/coco.py,
annToRLE.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from data_prep.sources import fields, outlines

CAPTIONS = "no bbox and no segmentation (is this a file of captions?)"


def find_box(annotation: Mapping[str, Any]) -> tuple[list[float], str]:
    """Return the box of an annotation, and "outline" or "mask" where its segmentation gave it.

    The box is x, y, width, height (pixels).
    Raises ValueError, saying why, for an annotation without a box.
    """
    box = annotation.get("bbox")
    outline = annotation.get("segmentation")
    if box or not outline:
        return _own_box(box), ""
    if isinstance(outline, dict):
        return _box_of_mask(outline), "mask"
    return _box_of_polygons(outline), "outline"


def _own_box(box: Any) -> list[float]:
    """Return the value of an annotation's bbox. Raises ValueError where it is no box."""
    if box is None:
        raise ValueError(CAPTIONS)
    if not _are_numbers(box) or len(box) != 4:
        given = json.dumps(box)[:60]
        raise ValueError(f"bbox is {given}, not [x, y, width, height] in pixels")
    found: list[float] = box
    return found


def _box_of_polygons(outline: Any) -> list[float]:
    """Return the box around polygons, each a list x, y, x, y, …. Raises ValueError."""
    polygons = outline
    if _are_numbers(outline):
        polygons = [outline]  # a single polygon, as some tools write it
    points: list[outlines.Point] = []
    for polygon in polygons if isinstance(polygons, list) else [polygons]:
        if not _are_numbers(polygon) or len(polygon) < 4 or len(polygon) % 2:
            given = json.dumps(polygon)[:60]
            raise ValueError(f"no bbox, and segmentation has {given}, not [x, y, x, y, …]")
        points += zip(polygon[::2], polygon[1::2], strict=True)
    xmin, ymin, xmax, ymax = outlines.around(points)
    return [xmin, ymin, xmax - xmin, ymax - ymin]


def _box_of_mask(mask: Mapping[str, Any]) -> list[float]:
    """Return the box around a mask with run lengths, compressed or not. Raises ValueError."""
    # Only masks need it.
    from pycocotools import mask as masks  # noqa: PLC0415

    size: Any = mask.get("size")
    counts: Any = mask.get("counts")
    if not _are_numbers(size) or len(size) != 2 or not _are_counts(counts):
        raise ValueError("no bbox, and segmentation is no mask with size and counts")
    encoded = {"size": [int(side) for side in size], "counts": counts}
    if isinstance(counts, list):
        encoded = masks.frPyObjects(encoded, *encoded["size"])
    xmin, ymin, width, height = map(float, masks.toBbox(encoded))
    if xmin + width > size[1] or ymin + height > size[0]:
        raise ValueError("no bbox, and the mask of segmentation is larger than its size")
    return [xmin, ymin, width, height]


def _are_counts(value: Any) -> bool:
    """Return whether a value is the run lengths of a mask, as a list or compressed as a text.

    pycocotools reads on beyond the end of a text whose last character says that more follows.
    """
    if isinstance(value, str):
        codes = [ord(character) - ord("0") for character in value]
        return bool(codes) and min(codes) >= 0 and max(codes) < 64 and codes[-1] < 32
    return _are_numbers(value) and min(value) >= 0


def _are_numbers(value: Any) -> bool:
    """Return whether a value is a list of numbers, none of them infinite or NaN."""
    if not isinstance(value, list) or not value:
        return False
    return all(is_number(x) and abs(x) < fields.LARGEST for x in value)


def is_number(value: Any) -> bool:
    """Return whether a value of a JSON text is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
