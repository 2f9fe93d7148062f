"""Lists of images and annotation files, as the SSD fork's create_annoset.py takes them.

Every image has a file of its own: XML, JSON or text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_prep.sources import fields, image_lists, label_map
from data_prep.sources.kind import Kind, Option, register
from data_prep.sources.source import NO_ALIASES, UNLABELLED, Annotation, Item, Object, read_each
from data_prep.sources.voc import Folder
from ssd_common.errors import ParseError, UsageError
from ssd_common.files import read_regular

TYPES = ("xml", "json", "txt")


class Annoset(Folder):
    """A folder with annotation files of one type, json or txt.

    Coordinates are single-precision numbers, as in the fork.

    names: classes by the labels of text files.
    Source: weiliu89/caffe (ssd), src/caffe/util/io.cpp.
    """

    whole_pixels = False
    aliases = NO_ALIASES

    def __init__(self, root: Path, label_type: str, names: dict[int, str]) -> None:
        super().__init__(root)
        self._type = label_type
        self._names = names

    def items(self) -> list[Item]:
        """Refuse: only a list can name the images. Raises UsageError."""
        needed = "--list, or --train-list and --test-list"
        raise UsageError(f"--label-type {self._type} needs {needed}")

    def read(self, item: Item) -> Annotation:
        """Read the annotation of an image. Raises ParseError with file and, for text, line."""
        if item.annotation == UNLABELLED:
            return Annotation(0, 0, [])
        path = Path(self.file(item))
        if self._type == "json":
            return _read_json(path)
        lines = image_lists.read_lines(path, "an annotation")
        objects = read_each(lambda line: self._text_object(path, *line), lines)
        return Annotation(0, 0, objects)

    def _text_object(self, path: Path, number: int, line: str) -> Object:
        """Return the object of a line of a text file. Raises ParseError."""
        try:
            label, *box = line.split()
            if len(box) != 4 or not fields.is_whole(label):
                raise ValueError(line)
            corners = [fields.float32(fields.number(word)) for word in box]
        except ValueError:
            given = fields.excerpt(line)
            fault = f"'{given}' is not `label xmin ymin xmax ymax`"
            raise ParseError(str(path), fault, number) from None
        name = self._names.get(int(label))
        if name is None:
            fault = f"label {label} is not in the label map"
            raise ParseError(str(path), fault, number)
        return fields.make_object(name, False, corners, number)


def _read_json(path: Path) -> Annotation:
    """Return the annotation in a JSON file. Raises ParseError."""
    try:
        values = json.loads(read_regular(path))
        size = values.get("image") or {}
        width = int(size.get("width") or 0)
        height = int(size.get("height") or 0)
        rows = list(enumerate(values["annotation"]))
    except KeyError:
        raise ParseError(str(path), "without 'annotation'", 1) from None
    except json.JSONDecodeError as error:
        fault = f"not JSON: {error.msg}"
        raise ParseError(str(path), fault, error.lineno, error.colno) from None
    except (ValueError, OverflowError, TypeError, AttributeError, RecursionError):
        wanted = (
            "an object `image` with width and height,"
            " and a list `annotation` of objects with category_id and bbox"
        )
        raise ParseError(str(path), f"not {wanted}", 1) from None
    objects = read_each(lambda row: _json_object(path, *row), rows)
    return Annotation(width, height, objects)


def _json_object(path: Path, index: int, row: Any) -> Object:
    """Return the object of a row of a JSON file's list `annotation`. Raises ParseError."""
    try:
        return _object_of(row)
    except KeyError as error:
        fault = f"is without {error.args[0]!r}"
    except (ValueError, OverflowError, TypeError, AttributeError):
        fault = "has no category_id or no bbox of four numbers"
    raise ParseError(str(path), f"annotation[{index}] {fault}", 1)


def _object_of(row: Mapping[str, Any]) -> Object:
    """Return the object of a row. Raises KeyError, ValueError and others where it is none."""
    box = [fields.number(str(value)) for value in row["bbox"]]
    corners = fields.corners_float32(box)
    name = fields.class_name(str(row["category_id"]))
    return fields.make_object(name, bool(row.get("iscrowd")), corners, 1)


def _open(folder: Path, label_type: str = "xml", labelmap: str | None = None) -> Folder:
    """Return the data set below a folder.

    label_type: one of TYPES.
    labelmap: names the labels of text files.
    Raises UsageError for text files without it.
    """
    if label_type == "xml":
        return Folder(folder)
    if label_type == "txt" and not labelmap:
        reason = "annotations have label numbers, not names"
        raise UsageError(f"--label-type txt needs --labelmap: {reason}")
    names = {}
    if labelmap:
        names = _names_by_label(label_map.find(labelmap))
    return Annoset(folder, label_type, names)


def _names_by_label(path: Path) -> dict[int, str]:
    """Return the class names of a label map's file."""
    # Protobuf, which help does without.
    from caffe_ir.label_map import read  # noqa: PLC0415

    return {item.label: item.name for item in read(path).item}


KIND = Kind(
    name="annoset",
    position=7,
    title="a list of images and annotation files, as the fork has them",
    notes="""
A LIST has lines `image annotation`, relative to DIR. --label-type says what the annotations are:
xml, as in VOC; json, as the fork's scripts split COCO, an object `image` and a list `annotation`
in each file; txt, lines `label xmin ymin xmax ymax` in pixels.
""",
    examples="""
data_prep annoset coco --list minival.txt --label-type json --labelmap coco --out data/minival_lmdb
""",
    folder="what the paths in a list are relative to",
    open=_open,
    layout="""
LIST                   lines: JPEGImages/a.jpg Annotations/a.xml
DIR/JPEGImages/a.jpg, DIR/Annotations/a.xml
""",
    options=(
        Option(
            "label_type",
            "format of the annotation files (default: xml)",
            choices=TYPES,
            default="xml",
        ),
    ),
    needs_labelmap=True,
)
register(KIND)
