"""Reads COCO's annotation files and result files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ssd_common.errors import ParseError
from ssd_common.json_file import is_id, is_number, read_json

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
    truth = read_json(path)
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
            for field in fields:
                _check_value(path, f"{part}[{i}]", field, entry[field])
    for part in ("images", "categories"):
        _check_one_kind_of_id(path, part, truth[part])
    return truth


def _check_value(path: str, where: str, field: str, value: Any) -> None:
    """Raise ParseError where the value of an annotation file's field cannot be computed with."""
    fits, wanted = _VALUES.get(field, (is_id, "a number or a text"))
    if not fits(value):
        given = _excerpt(value)
        raise ParseError(path, f"{where}: {field} should be {wanted}, not {given}")


def _check_one_kind_of_id(path: str, part: str, entries: Sequence[dict[str, Any]]) -> None:
    """Raise ParseError where some ids of a list are texts and others numbers: they are sorted."""
    texts = [isinstance(entry["id"], str) for entry in entries]
    if any(texts) and not all(texts):
        at = texts.index(not texts[0])
        ids = f"{entries[0]['id']!r} and {entries[at]['id']!r}"
        raise ParseError(path, f"{part}[{at}]: ids are texts and numbers: {ids}")


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
    found = read_json(path)
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
    """Tell whether an entry of a result file has ids, a box of four numbers, and a score."""
    if not isinstance(entry, dict):
        return False
    ids = (entry.get("image_id"), entry.get("category_id"))
    return all(map(is_id, ids)) and _is_box(entry.get("bbox")) and is_number(entry.get("score"))


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(is_number, value))


def _is_flag(value: Any) -> bool:
    return isinstance(value, (int, float)) and value in (0, 1)


def _excerpt(value: Any) -> str:
    """The beginning of a value, for an error's line."""
    try:
        text = repr(value)
    except ValueError:
        return "a number of many digits"
    if len(text) > 60:
        return f"{text[:57]}..."
    return text


# What a field of an annotation file must be. Others are ids.
_VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "bbox": (_is_box, "[x, y, width, height] in numbers"),
    "area": (is_number, "a number"),
    "iscrowd": (_is_flag, "0 or 1"),
}
