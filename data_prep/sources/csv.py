"""Tables: a row for each box, with the image's name in it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from data_prep.sources import fields, image_lists
from data_prep.sources.bundle import Bundle
from data_prep.sources.csv_rows import read_rows
from data_prep.sources.kind import Kind, register
from data_prep.sources.source import NO_ALIASES, Annotation, Item, Object, read_each
from ssd_common.errors import CaffeError, ParseError


class Csv(Bundle):
    """A folder with tables of boxes, or one table.

    Boxes are in fractions of the image if none of a table's numbers is above 1.
    """

    suffixes = (".csv", ".tsv")
    classes: list[str] | None = None
    aliases = NO_ALIASES

    def load(self, path: Path) -> list[Item]:
        """Return the items of one table, an image each, in the order of their first rows.

        Raises ParseError with the row at fault. A fault of a single box is an error only when its
          image is read.
        """
        # Less than half the memory of lists of texts.
        rows: dict[str, bytearray] = {}
        largest = 0.0
        for line, (name, box, size) in read_rows(path):
            if name not in rows:
                _check_place(path, name, line)
                rows[name] = bytearray(json.dumps(size), "ascii")
            if not box:
                continue
            packed = json.dumps(box, separators=(",", ":"))
            rows[name] += b"," + packed.encode()
            if isinstance(box, list):
                largest = max(largest, *map(abs, box[2:6]))
        if not rows:
            raise ParseError(str(path), "a table without a row")
        fractions = int(0 < largest <= 1)
        folders = self._folders(path)
        folder, extension = image_lists.locate(self.root, rows, folders)
        file_name = self.below(path)
        items = []
        for name in list(rows):
            item = Item(
                image=f"{folder}{name}{extension}",
                annotation=file_name,
                content=f"{fractions},{rows.pop(name).decode()}",
            )
            items.append(item)
        return items

    def _folders(self, path: Path) -> list[str]:
        """Return where the images of a table may be, relative to the root, the likeliest first."""
        beside = self.below(path.parent)
        split = path.stem
        return [
            "",
            beside,
            "images",
            f"{beside}/images",
            split,
            f"images/{split}",
            "JPEGImages",
        ]

    def read(self, item: Item) -> Annotation:
        """Return the annotation of an image. Raises ParseError with the row that is wrong."""
        fractions, (width, height), *rows = json.loads(f"[{item.content}]")
        objects = read_each(lambda row: self._object(item, row), rows)
        if fractions and objects:
            if not width or not height:
                width, height = image_lists.size_of(self.root / item.image)
            if not width:
                return Annotation(0, 0, [])
            objects = [_scaled(found, (width, height)) for found in objects]
        return Annotation(width, height, objects)

    def _object(self, item: Item, row: str | list[Any]) -> Object:
        """Return the object of a row as an item carries it. Raises ParseError."""
        if isinstance(row, str):
            number, _, fault = row.partition(":")
            raise ParseError(self.file(item), fault, int(number))
        name, difficult, *box, line = row
        return fields.make_object(name, bool(difficult), box, line)


def _scaled(found: Object, size: tuple[int, int]) -> Object:
    """Return an object with its box, in fractions of the image, scaled to pixels."""
    box = fields.to_pixels(found[2:6], size)
    return fields.make_object(found.name, found.difficult, box, found.line)


def _check_place(path: Path, name: str, line: int) -> None:
    """Raise ParseError for an image's path from / or C:/ whose folder this machine lacks."""
    absolute = re.match(r"/|[A-Za-z]:/", name)
    if not absolute or os.path.isdir(os.path.dirname(name)):
        return
    given = fields.excerpt(name)
    fault = (
        f"'{given}' is a path of another machine, whose folder is not"
        " here: write names without folders in this column, or with those in DIR"
    )
    raise ParseError(str(path), fault, line)


def _looks_like(path: Path) -> bool:
    """Return whether a folder has tables whose first row can be read, or a file is one."""
    try:
        files = Csv(path).files().values()
        return any(next(read_rows(file), None) for file in files if file.suffix in Csv.suffixes)
    except (CaffeError, OSError):
        return False


KIND = Kind(
    name="csv",
    position=3,
    title="a table of boxes (CSV)",
    notes="""
DIR holds one or more tables NAME.csv (comma, semicolon or tab) and the images, or
NAME/_annotations.csv as Roboflow writes it; or name one table. The header tells the columns:
filename,width,height,class,xmin,ymin,xmax,ymax as for TensorFlow, Open Images'
ImageID,…,XMin,XMax,YMin,YMax in fractions, x,y and the box's width and height, and other usual
names, in any order. Without a header: image,xmin,ymin,xmax,ymax,class as for keras-retinanet,
image,class,xmin,ymin,xmax,ymax, or TensorFlow's order. A row with no more than an image is an
image without objects.
""",
    examples="""
data_prep csv PHOTOS --test-share 0.2 --out data/mine
data_prep csv PHOTOS --train-list train --test-list test --out data/mine  # PHOTOS/train.csv, …
data_prep csv boxes.csv --out data/mine/train_lmdb
""",
    folder="folder with tables and images, or one table",
    open=Csv,
    layout="""
DIR/boxes.csv          filename,width,height,class,xmin,ymin,xmax,ymax
DIR/a.jpg
""",
    looks_like=_looks_like,
)
register(KIND)
