"""The records of a COCO-style JSON file, read as a stream."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.sources import fields, json_lines
from data_prep.sources.coco_boxes import find_box, is_number
from data_prep.sources.json_stream import Element, elements
from data_prep.sources.picture import is_set
from data_prep.sources.source import Finding
from ssd_common.errors import ParseError
from ssd_common.suggest import suggest
from ssd_common.words import counted

SECTIONS = ("images", "annotations", "categories")
RESULTS = """
these are detections (COCO's results), not annotations; `netrun coco` holds them against annotations
""".strip()


class Image(NamedTuple):
    """A record of an image.

    file_name: its path, as the file has it.
    width, height: in pixels, 0 where the file does not say.
    line: of the record, from 1.
    """

    file_name: str
    width: int
    height: int
    line: int


class Records:
    """The records of one JSON file.

    images: by id.
    rows: id of an image to its annotations, each after a comma, as _row makes them; in less than
      half the memory of lists of texts.
    names: id of a category to its class.
    """

    def __init__(self) -> None:
        self.images: dict[str, Image] = {}
        self.rows: dict[str, bytearray] = {}
        self.names: dict[str, str] = {}
        self._groups: dict[str, str] = {}  # id of a category to its supercategory
        self._used: set[str] = set()  # ids of the categories of annotations

    def add(self, section: str, value: dict[str, Any], line: int) -> None:
        """Keep one record. Raises KeyError for what it lacks, ValueError for what is wrong."""
        if section == "images":
            self._add_image(value, line)
        elif section == "categories":
            self._add_category(value)
        else:
            rows = self.rows.setdefault(_id(value["image_id"]), bytearray())
            rows += b"," + _row(value, line).encode()
            self._used.add(_id(value.get("category_id")))

    def _add_image(self, value: dict[str, Any], line: int) -> None:
        image_id = _id(value["id"])
        if image_id in self.images:
            given = fields.excerpt(image_id)
            raise ValueError(f"there is another image with id {given}")
        # LVIS has URLs alone.
        key = "file_name"
        if key not in value and "coco_url" in value:
            key = "coco_url"
        name = fields.image_name(str(value[key]))
        width = _side(value, "width")
        height = _side(value, "height")
        self.images[image_id] = Image(name, width, height, line)

    def _add_category(self, value: dict[str, Any]) -> None:
        category_id = _id(value["id"])
        name = fields.class_name(str(value["name"]))
        if self.names.setdefault(category_id, name) != name:
            given = fields.excerpt(category_id)
            other = self.names[category_id]
            raise ValueError(f"'{name}' has the id {given}, as '{other}' has: one would be lost")
        self._groups[category_id] = str(value.get("supercategory", ""))

    def names_by_id(self) -> dict[str, str]:
        """Return classes by the ids of their categories, in the order of the ids."""
        in_order = sorted(self.names, key=_id_order)
        return {category_id: self.names[category_id] for category_id in in_order}

    def tidy(self, place: str) -> list[Finding]:
        """Drop what belongs to no image and what is no class, and say so. place: the file."""
        return [*self._drop_strays(place), *self._drop_group(place), *self._same_names(place)]

    def _drop_strays(self, place: str) -> Iterator[Finding]:
        """Drop annotations of images that the file does not list."""
        strays = self.rows.keys() - self.images.keys()
        if not strays:
            return
        count = 0
        first: tuple[float, str] = (math.inf, "")
        for image_id in strays:
            rows = json.loads(f"[{self.rows.pop(image_id)[1:].decode()}]")
            count += len(rows)
            first = min(first, (_line_of(rows[0]), image_id))
        line, image_id = first
        those = f"{counted(count, 'annotation')} of {counted(len(strays), 'image')}"
        given = fields.excerpt(image_id)
        message = f"{those} not in 'images', the first of image {given}: left out"
        yield Finding("stray", f"{place}:{line}", message)

    def _drop_group(self, place: str) -> Iterator[Finding]:
        """Drop the category 0 that Roboflow writes for all others together, without a box."""
        others = {group for category_id, group in self._groups.items() if category_id != "0"}
        name = self.names.get("0")
        is_group = others == {name} and self._groups["0"] != name
        if is_group and "0" not in self._used:
            del self.names["0"]
            message = f"category 0, '{name}', is the supercategory of all others and has no box"
            yield Finding("group", place, message)

    def _same_names(self, place: str) -> Iterator[Finding]:
        """Say which categories are one class."""
        first: dict[str, str] = {}
        for category_id, name in self.names_by_id().items():
            other = first.setdefault(name, category_id)
            if other != category_id:
                message = f"categories {other} and {category_id} are both '{name}'"
                yield Finding("same-name", place, message)


def read_records(path: Path) -> Records:
    """Return the records of a JSON file.

    Raises ParseError, with the record at fault, for a file that is not COCO's. A fault of a single
      annotation is kept in its row.
    """
    _check_start(path)
    found = Records()
    for element in elements(path, SECTIONS):
        _add(found, element, path)
    if not found.images:
        fault = "no 'images' in it: not a COCO-style annotation file"
        raise ParseError(str(path), fault)
    return found


def _check_start(path: Path) -> None:
    """Raise ParseError for a JSON list, which is some other format's."""
    start = json_lines.start(path)
    if not start.startswith("["):
        return
    fault = "a JSON list where COCO has an object with 'images', 'annotations' and 'categories'"
    if json_lines.has_keys(path, "[", "image_id", "category_id", "score"):
        fault = RESULTS
    raise ParseError(str(path), fault, 1)


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


def _id(value: Any) -> str:
    """Return an id as a text; 1.0, as tables of numbers write it, is 1."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _side(value: dict[str, Any], side: str) -> int:
    """Return a side of an image (pixels), 0 where the record does not say. Raises ValueError."""
    size = value.get(side) or 0
    if not is_number(size) or not 0 <= size < 1e6:
        given = json.dumps(size)[:40]
        raise ValueError(f"{side} is {given}, not a number of pixels")
    return int(size)


def _row(value: dict[str, Any], line: int) -> str:
    """Return one annotation as an item carries it, or `line:fault`.

    It has category, crowd, box and line, and what the box is around where it is not its own.
    """
    try:
        box, source = find_box(value)
        category = _category(value)
    except ValueError as error:
        annotation_id = fields.excerpt(str(value.get("id", "")))
        return json.dumps(f"{line}:annotation {annotation_id}: {error}")
    crowd = value.get("iscrowd")
    if isinstance(crowd, str):  # "0" is no crowd
        crowd = is_set(crowd)
    row = [category, int(bool(crowd)), *box, line]
    if source:
        row.append(source)
    return json.dumps(row, separators=(",", ":"))


def _category(value: dict[str, Any]) -> int | str:
    """Return the id of an annotation's category. Raises ValueError."""
    category = value.get("category_id")
    if isinstance(category, float) and category.is_integer():
        return int(category)
    if not isinstance(category, (int, str)) or isinstance(category, bool):
        given = json.dumps(category)[:40]
        raise ValueError(f"category_id is {given}")
    return category


def _line_of(row: str | list[Any]) -> int:
    """Return the line of a row that _row made."""
    if isinstance(row, str):
        return int(row.partition(":")[0])
    return int(row[6])
