"""Lists of images and annotation files, as the SSD fork's create_annoset.py takes them.

Every image has a file of its own: XML, JSON or text.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_prep.sources import image_lists, label_map
from data_prep.sources.kind import Kind, Option
from data_prep.sources.source import NO_ALIASES, UNLABELLED, Annotation, Item, Object, read_each
from data_prep.sources.voc import Folder
from ssd_common.errors import CaffeError, ParseError

TYPES = ("xml", "json", "txt")


class Annoset(Folder):
    """A folder with annotation files of one type, json or txt. names: of a text file's labels.

    Coordinates are single-precision numbers, as in the fork. Source: weiliu89/caffe (ssd),
    src/caffe/util/io.cpp.
    """

    whole_pixels = False
    aliases = NO_ALIASES

    def __init__(self, root: Path, label_type: str, names: dict[int, str]) -> None:
        super().__init__(root)
        self._type, self._names = label_type, names

    def items(self) -> list[Item]:
        """Raises CaffeError: only a list says which images there are."""
        raise CaffeError(f"--label-type {self._type} needs --list, or --train-list and --test-list")

    def read(self, item: Item) -> Annotation:
        """The annotation of an image. Raises ParseError with the file and, for text, the line."""
        if item.annotation == UNLABELLED:
            return Annotation(0, 0, [])
        path = Path(self.file(item))
        if self._type == "json":
            return self._json(path)
        return Annotation(0, 0, read_each(lambda line: self._txt(path, *line), image_lists.read_lines(path, "an annotation")))

    def _json(self, path: Path) -> Annotation:
        try:
            values = json.loads(path.read_bytes())
            size = values.get("image") or {}
            width, height = int(size.get("width") or 0), int(size.get("height") or 0)
            rows = list(enumerate(values["annotation"]))
        except KeyError:
            raise ParseError(str(path), "without 'annotation'", 1) from None
        except json.JSONDecodeError as error:
            raise ParseError(str(path), f"not JSON: {error.msg}", error.lineno, error.colno) from None
        except (ValueError, OverflowError, TypeError, AttributeError, RecursionError):
            wanted = (
                "an object `image` with width and height,"
                " and a list `annotation` of objects with category_id and bbox"
            )
            raise ParseError(str(path), f"not {wanted}", 1) from None
        return Annotation(width, height, read_each(lambda row: _placed(path, *row), rows))

    def _txt(self, path: Path, number: int, line: str) -> Object:
        """The object of a line of a text file. Raises ParseError."""
        try:
            label, *box = line.split()
            if len(box) != 4 or not label.isdecimal():
                raise ValueError(line)
            corners = [image_lists.single(image_lists.number(word)) for word in box]
        except ValueError:
            raise ParseError(str(path), f"'{image_lists.shown(line)}' is not `label xmin ymin xmax ymax`", number) from None
        if int(label) not in self._names:
            raise ParseError(str(path), f"label {label} is not in the label map", number)
        return image_lists.placed(self._names[int(label)], False, corners, number)


def _placed(path: Path, number: int, row: Any) -> Object:
    """The object of a row of a JSON file's list `annotation`. Raises ParseError."""
    try:
        x, y, across, down = (image_lists.single(image_lists.number(str(v))) for v in row["bbox"])
        corners = (x, y, image_lists.single(x + across), image_lists.single(y + down))
        return image_lists.placed(image_lists.class_name(str(row["category_id"])), bool(row.get("iscrowd")), corners, 1)
    except KeyError as error:
        raise ParseError(str(path), f"annotation[{number}] is without {error.args[0]!r}", 1) from None
    except (ValueError, OverflowError, TypeError, AttributeError):
        raise ParseError(str(path), f"annotation[{number}] has no category_id or no bbox of four numbers", 1) from None


def _open(folder: Path, label_type: str = "xml", labelmap: str | None = None) -> Folder:
    """The data set below a folder.

    label_type: one of TYPES
    labelmap: names the labels of text files
    """
    if label_type == "xml":
        return Folder(folder)
    if label_type == "txt" and not labelmap:
        raise CaffeError("--label-type txt needs --labelmap: annotations have label numbers, not names")
    names: dict[int, str] = {}
    if labelmap:
        from caffe_ir.label_map import read  # noqa: PLC0415  protobuf, which help does without

        names = {item.label: item.name for item in read(label_map.find(labelmap)).item}
    return Annoset(folder, label_type, names)


KIND = Kind(
    title="a list of images and annotation files, as the fork has them,",
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
