"""Reads COCO's annotation files and result files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssd_common.errors import ParseError

# The fields that each entry of an annotation file must have.
_FIELDS = {
    "images": ("id",),
    "annotations": ("image_id", "category_id", "bbox", "area", "iscrowd", "id"),
    "categories": ("id",),
}


def read_truth(path: str) -> dict[str, Any]:
    """Read a COCO annotation file (instances_*.json).

    Raises ParseError for a file of another kind, and for one without annotations.
    """
    truth = _json(path)
    for part in _FIELDS:
        if not isinstance(truth, dict) or not isinstance(truth.get(part), list):
            raise ParseError(path, f"is no COCO annotation file: it has no list '{part}'")
    if not truth["annotations"]:
        none = "has no annotations to compare with (COCO's image_info files have none)"
        raise ParseError(path, none)
    for part, fields in _FIELDS.items():
        for i, entry in enumerate(truth[part]):
            missing = _missing(entry, fields)
            if missing is not None:
                raise ParseError(path, f"{part}[{i}] has no '{missing}'")
    return truth


def _missing(entry: Any, fields: Sequence[str]) -> str | None:
    """The first field that an entry lacks."""
    for field in fields:
        if not isinstance(entry, dict) or field not in entry:
            return field
    return None


def read_results(path: str, truth: dict[str, Any]) -> list[dict[str, Any]]:
    """Read a result file's detections.

    Raises ParseError for a file of another kind, and for images or categories that the truth
    lacks.
    """
    found = _json(path)
    if not isinstance(found, list):
        raise ParseError(path, "is no COCO result file: a list of detections")
    images = {entry["id"] for entry in truth["images"]}
    categories = {entry["id"] for entry in truth["categories"]}
    for i, entry in enumerate(found):
        if not _is_detection(entry):
            has = "a detection has image_id, category_id, bbox [x, y, width, height] and score"
            raise ParseError(path, f"entry {i}: {has}")
        image = entry.get("image_id")
        if image not in images:
            none = f"image {image!r} is none of the annotation file's {len(images)}"
            raise ParseError(path, f"entry {i}: {none}")
        category = entry.get("category_id")
        if category not in categories:
            none = f"category {category!r} is none of the annotation file's"
            names = "label map names must be COCO's category ids (labelmap_coco.prototxt)"
            raise ParseError(path, f"entry {i}: {none}; {names}")
    return found


def _is_detection(entry: Any) -> bool:
    """Tell whether an entry of a result file has a box of four numbers and a score."""
    if not isinstance(entry, dict):
        return False
    box = entry.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        return False
    return all(_is_finite(value) for value in [*box, entry.get("score")])


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and bool(np.isfinite(value))


def _json(path: str) -> Any:
    try:
        return json.loads(Path(path).read_bytes())
    except OSError as error:
        raise ParseError(path, error.strerror or "cannot be read") from None
    except ValueError as error:
        line = getattr(error, "lineno", None)
        raise ParseError(path, f"is not JSON: {error}", line) from None
