"""Tables: a row for each box, with the image's name in it."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from data_prep.images.encoding import IMAGE_NAMES
from data_prep.sources import image_lists
from data_prep.sources.bundle import Bundle
from data_prep.sources.kind import Kind
from data_prep.sources.source import NO_ALIASES, Annotation, Item, Object, read_each
from ssd_common.errors import ParseError
from ssd_common.suggest import suggest

# Names of columns, in small letters and digits alone; the first of a header counts.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "image": ("filename", "image", "imageid", "imagename", "imagepath", "imagefile", "path", "filepath", "file", "img", "imgid", "imgpath"),
    "class": ("class", "label", "labelname", "classname", "category", "categoryname", "name", "object"),
    "xmin": ("xmin", "x1", "left", "minx", "bboxxmin", "bboxx1"),
    "ymin": ("ymin", "y1", "top", "miny", "bboxymin", "bboxy1"),
    "xmax": ("xmax", "x2", "right", "maxx", "bboxxmax", "bboxx2"),
    "ymax": ("ymax", "y2", "bottom", "maxy", "bboxymax", "bboxy2"),
    "x": ("x", "bboxx"),
    "y": ("y", "bboxy"),
    "box_width": ("w", "bboxwidth", "bboxw", "boxwidth"),
    "box_height": ("h", "bboxheight", "bboxh", "boxheight"),
    "width": ("width", "imagewidth", "imgwidth", "imgw"),
    "height": ("height", "imageheight", "imgheight", "imgh"),
    "difficult": ("difficult", "iscrowd", "isgroupof"),
}
CORNERS, CORNER_AND_SIDES = ("xmin", "ymin", "xmax", "ymax"), ("x", "y", "box_width", "box_height")
RETINANET = ("image", *CORNERS, "class")
CLASS_SECOND = ("image", "class", *CORNERS)
TENSORFLOW = ("image", "width", "height", "class", *CORNERS)
SAMPLE = 200  # rows that a table without a header is known by


class Csv(Bundle):
    """A folder with tables of boxes, or one table.

    Boxes are in fractions of the image if none of a table's numbers is above 1.
    """

    suffixes = (".csv", ".tsv")
    classes: list[str] | None = None
    aliases = NO_ALIASES

    def load(self, path: Path) -> list[Item]:
        """The items of one table, an image each, in the order of their first rows.

        Raises ParseError with the row at fault; what is wrong with a single box is told when its
          image is read.
        """
        rows: dict[str, bytearray] = {}  # less than half the memory of lists of texts
        largest = 0.0
        for name, row, size, line in _rows(path):
            if name not in rows and _is_elsewhere(name):
                said = (
                    f"'{image_lists.shown(name)}' is a path of another machine, whose folder is not"
                    " here: write names without folders in this column, or with those in DIR"
                )
                raise ParseError(str(path), said, line)
            if name not in rows:
                rows[name] = bytearray(json.dumps(size), "ascii")
            if row:
                rows[name] += b"," + json.dumps(row, separators=(",", ":")).encode()
            if row and isinstance(row, list):
                largest = max(largest, *map(abs, row[2:6]))
        if not rows:
            raise ParseError(str(path), "a table without a row")
        beside = self.below(path.parent)
        folders = ("", beside, "images", f"{beside}/images", path.stem, f"images/{path.stem}", "JPEGImages")
        folder, extension = image_lists.locate(self.root, rows, folders)
        unit = "1" if 0 < largest <= 1 else "0"
        file_name = self.below(path)
        return [Item(f"{folder}{name}{extension}", file_name, content=f"{unit},{rows.pop(name).decode()}") for name in list(rows)]

    def read(self, item: Item) -> Annotation:
        """The annotation of an image. Raises ParseError with the row that is wrong."""
        fractions, (width, height), *rows = json.loads(f"[{item.content}]")
        objects = read_each(lambda row: self._object(item, row), rows)
        if fractions and objects:
            if not width or not height:
                width, height = image_lists.size_of(self.root / item.image)
            if not width:
                return Annotation(0, 0, [])
            objects = [_scaled(o, (width, height)) for o in objects]
        return Annotation(width, height, objects)

    def _object(self, item: Item, row: str | list[Any]) -> Object:
        if isinstance(row, str):
            line, _, said = row.partition(":")
            raise ParseError(self.file(item), said, int(line))
        name, difficult, *box, number = row
        return image_lists.placed(name, bool(difficult), box, number)


def _rows(path: Path) -> Iterator[tuple[str, list | str, list[int], int]]:
    """What each row of a table says, see _row, and its line. Raises ParseError."""
    with path.open(encoding=image_lists.encoding(path), newline="") as file:
        try:
            delimiter = _delimiter(file.readline())
            file.seek(0)
            columns, header = _columns(path, csv.reader(file, delimiter=delimiter))
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            for number, words in enumerate(reader):
                if (number == 0 and header) or not any(words):
                    continue
                try:
                    found = _row(words, columns, reader.line_num)
                except ValueError as error:
                    raise ParseError(str(path), str(error), reader.line_num) from None
                yield *found, reader.line_num
        except UnicodeDecodeError:
            raise ParseError(str(path), f"not a table: {image_lists.NO_TEXT}") from None
        except csv.Error as error:
            raise ParseError(str(path), f"not a table: {error}") from None


def _scaled(o: Object, size: tuple[int, int]) -> Object:
    """An object whose box is in fractions of its image, in pixels."""
    return image_lists.placed(o.name, o.difficult, image_lists.scaled(o[2:6], size), o.line)


def _is_elsewhere(name: str) -> bool:
    """Whether an image's path starts at a root, as / or C:/, and its folder is not there."""
    return re.match(r"/|[A-Za-z]:/", name) is not None and not os.path.isdir(os.path.dirname(name))


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _columns(path: Path, reader: Iterator[list[str]]) -> tuple[dict[str, int], bool]:
    """Column of each thing, and whether the first row is a header."""
    sample = list(islice(reader, SAMPLE))
    if not sample:
        raise ParseError(str(path), "is empty")
    found: dict[str, int] = {}
    for column, word in enumerate(sample[0]):
        plain = re.sub(r"[^a-z0-9]", "", word.lower())
        for thing, names in COLUMNS.items():
            if plain in names:
                found.setdefault(thing, column)
    if "image" in found and len(found) > 1:
        return _header(path, sample[0], found), True
    whole = next(filter(_is_whole, sample), sample[0])
    order = {6: RETINANET, 8: TENSORFLOW}.get(len(whole), ())
    if order == RETINANET and _is_number(whole[5]) and not _is_number(whole[1]):
        order = CLASS_SECOND
    if not order or (any(whole[1:]) and not all(_is_number(whole[order.index(c)]) for c in CORNERS)):
        wanted = "a header such as filename,xmin,ymin,xmax,ymax,class"
        raise ParseError(str(path), f"{wanted} is missing, and these {len(whole)} columns are not known without", 1)
    return {thing: column for column, thing in enumerate(order)}, False


def _is_whole(row: list[str]) -> bool:
    """Whether a row has a word in every column."""
    return all(word.strip() for word in row)


def _header(path: Path, header: list[str], found: dict[str, int]) -> dict[str, int]:
    """The columns of a table with a header.

    width and height are the box's where a table has x, y and no other sides.
    """
    if "xmax" not in found and {"width", "height"} <= found.keys() and "box_width" not in found:
        found["box_width"], found["box_height"] = found.pop("width"), found.pop("height")
    if "xmax" not in found and "box_width" in found:
        for thing in ("x", "y"):
            found.setdefault(thing, found.get(f"{thing}min", -1))
            if found[thing] < 0:
                del found[thing]
    box = CORNER_AND_SIDES if "box_width" in found and "xmax" not in found else CORNERS
    unknown = [image_lists.shown(word) for column, word in enumerate(header) if column not in found.values()]
    for thing in ("class", *box):
        if thing not in found:
            near = suggest(thing, unknown).replace("did you mean", "there is")
            known = near or f"; there are {image_lists.shown(', '.join(header))}"
            raise ParseError(str(path), f"no column '{thing}'{known}", 1)
    return found


def _is_number(text: str) -> bool:
    try:
        image_lists.number(text)
    except ValueError:
        return False
    return True


def _side(word: str) -> int:
    """A side of an image in pixels, 0 for a word that is none."""
    return int(word) if word.isdecimal() and len(word) < 7 else 0


def _row(words: list[str], columns: Mapping[str, int], line: int) -> tuple[str, list | str, list[int]]:
    """What a row says: its image, its box as an item carries it, and the image's size.

    A box is name, difficult, corners, line; empty for none; or `line:fault`.

    Raises ValueError for a row without an image.
    """
    cells = {thing: words[column].strip() if column < len(words) else "" for thing, column in columns.items()}
    image = image_lists.image_name(cells["image"])
    if Path(image).is_absolute() and Path(image).suffix.lower() not in IMAGE_NAMES:
        raise ValueError(f"'{image}' is no image")
    size = [_side(cells.get(side, "")) for side in ("width", "height")]
    box = CORNERS if "xmax" in columns else CORNER_AND_SIDES
    if not any(cells[thing] for thing in (*box, "class")):
        return image, [], size
    try:
        for thing in box:
            if not _is_number(cells[thing]):
                raise ValueError(f"{thing} is '{image_lists.shown(cells[thing])}', not a number")
        numbers = [image_lists.number(cells[thing]) for thing in box]
        if box is CORNER_AND_SIDES:
            numbers[2:] = [numbers[0] + numbers[2], numbers[1] + numbers[3]]
        difficult = cells.get("difficult", "").lower() in ("1", "true", "yes")
        return image, [image_lists.class_name(cells["class"]), int(difficult), *numbers, line], size
    except ValueError as error:
        return image, f"{line}:{error}", size


KIND = Kind(
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
)
