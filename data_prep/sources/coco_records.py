"""The records of a COCO-style JSON file, read as a stream."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from data_prep.sources import fields
from data_prep.sources.json_stream import Element, elements
from ssd_common.errors import ParseError
from ssd_common.suggest import suggest

SECTIONS = ("images", "annotations", "categories")


class Records:
    """The records of one JSON file.

    images: id to name, width, height (pixels).
    rows: id of an image to its annotations, each after a comma, as _row makes them; in less than
      half the memory of lists of texts.
    names: id of a category to its class.
    """

    def __init__(self) -> None:
        self.images: dict[str, tuple[str, int, int]] = {}
        self.rows: dict[str, bytearray] = {}
        self.names: dict[str, str] = {}

    def add(self, section: str, value: dict[str, Any], line: int) -> None:
        """Keep one record. Raises KeyError for what it lacks, ValueError for what is wrong."""
        if section == "images":
            self._add_image(value)
        elif section == "categories":
            name = fields.class_name(str(value["name"]))
            self.names[str(value["id"])] = name
        else:
            image_id = str(value["image_id"])
            rows = self.rows.setdefault(image_id, bytearray())
            rows += b"," + _row(value, line).encode()

    def _add_image(self, value: dict[str, Any]) -> None:
        image_id = str(value["id"])
        if image_id in self.images:
            given = fields.excerpt(image_id)
            raise ValueError(f"there is another image with id {given}")
        name = fields.image_name(str(value["file_name"]))
        width = _side(value, "width")
        height = _side(value, "height")
        self.images[image_id] = (name, width, height)

    def names_by_id(self) -> dict[str, str]:
        """Return classes by the ids of their categories, in the order of the ids."""
        in_order = sorted(self.names, key=_id_order)
        return {category_id: self.names[category_id] for category_id in in_order}


def read_records(path: Path) -> Records:
    """Return the records of a JSON file.

    Raises ParseError, with the record at fault, for a file that is not COCO's. A fault of a single
      annotation is kept in its row.
    """
    found = Records()
    for element in elements(path, SECTIONS):
        _add(found, element, path)
    if not found.images:
        fault = "no 'images' in it: not a COCO-style annotation file"
        raise ParseError(str(path), fault)
    strays = found.rows.keys() - found.images.keys()
    if strays:
        first = fields.excerpt(min(strays))
        fault = f"annotations of {len(strays)} images that are not in 'images'"
        raise ParseError(str(path), f"{fault}, the first of image {first}")
    return found


def _add(found: Records, element: Element, path: Path) -> None:
    """Keep one record. Raises ParseError."""
    section, index, line, value = element
    place = f"{section}[{index}]"
    if not isinstance(value, dict):
        given = json.dumps(value)[:40]
        fault = f"{place} is {given}, not an object"
        raise ParseError(str(path), fault, line)
    try:
        found.add(section, value, line)
    except KeyError as error:
        missing = error.args[0]
        near = suggest(str(missing), value)
        near = near.replace("did you mean", "there is")
        fault = f"{place} without {missing!r}{near}"
        raise ParseError(str(path), fault, line) from None
    except ValueError as error:
        fault = f"{place}: {error}"
        raise ParseError(str(path), fault, line) from None


def _id_order(category_id: str) -> tuple[float, str]:
    """Return a sort key: numbers in order, then ids that are not numbers."""
    if fields.is_whole(category_id):
        return int(category_id), category_id
    return math.inf, category_id


def _side(value: dict[str, Any], side: str) -> int:
    """Return a side of an image (pixels), 0 where the record does not say. Raises ValueError."""
    size = value.get(side) or 0
    if not _is_number(size) or not 0 <= size < 1e6:
        given = json.dumps(size)[:40]
        raise ValueError(f"{side} is {given}, not a number of pixels")
    return int(size)


def _row(value: dict[str, Any], line: int) -> str:
    """Return one annotation as an item carries it: category, crowd, box, line; or `line:fault`."""
    fault = _fault(value)
    if fault:
        annotation_id = fields.excerpt(str(value.get("id", "")))
        return json.dumps(f"{line}:annotation {annotation_id}: {fault}")
    crowd = int(bool(value.get("iscrowd")))
    row = (value["category_id"], crowd, *value["bbox"], line)
    return json.dumps(row, separators=(",", ":"))


def _fault(value: dict[str, Any]) -> str:
    """Return what is wrong with an annotation; "" for nothing."""
    box = value.get("bbox")
    if box is None:
        return "no bbox (is this a file of captions?)"
    if not _is_box(box):
        given = json.dumps(box)[:60]
        return f"bbox is {given}, not [x, y, width, height] in pixels"
    category = value.get("category_id")
    if not isinstance(category, (int, str)) or isinstance(category, bool):
        given = json.dumps(category)[:40]
        return f"category_id is {given}"
    return ""


def _is_box(value: Any) -> bool:
    """Return whether a value is a list of four numbers, none of them infinite or NaN."""
    if not isinstance(value, list) or len(value) != 4:
        return False
    return all(_is_number(x) and abs(x) < fields.LARGEST for x in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
