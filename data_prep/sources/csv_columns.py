"""The columns of tables, with and without a header."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from data_prep.sources import fields
from ssd_common.errors import ParseError
from ssd_common.suggest import suggest

# Names of columns, in small letters and digits alone; the first of a header counts.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "image": (
        "filename",
        "image",
        "imagename",
        "imagepath",
        "imagefile",
        "path",
        "filepath",
        "file",
        "img",
        "imgpath",
    ),
    "image_id": ("imageid", "imgid", "frame", "frameid", "framename"),
    "class": (
        "class",
        "label",
        "labelname",
        "classname",
        "category",
        "categoryname",
        "name",
        "object",
    ),
    "class_id": ("classid", "labelid", "categoryid", "classnumber", "cls"),
    "xmin": ("xmin", "x1", "left", "minx", "bboxxmin", "bboxx1"),
    "ymin": ("ymin", "y1", "top", "miny", "bboxymin", "bboxy1"),
    "xmax": ("xmax", "x2", "right", "maxx", "bboxxmax", "bboxx2"),
    "ymax": ("ymax", "y2", "bottom", "maxy", "bboxymax", "bboxy2"),
    "x": ("x", "bboxx"),
    "y": ("y", "bboxy"),
    "x_center": ("xcenter", "xcentre", "centerx", "centrex", "cx", "xc", "bboxxcenter"),
    "y_center": ("ycenter", "ycentre", "centery", "centrey", "cy", "yc", "bboxycenter"),
    "box_width": ("w", "bboxwidth", "bboxw", "boxwidth"),
    "box_height": ("h", "bboxheight", "bboxh", "boxheight"),
    "bbox": ("bbox", "box", "boundingbox"),
    "width": ("width",),
    "height": ("height",),
    "image_width": ("imagewidth", "imgwidth", "imgw"),
    "image_height": ("imageheight", "imgheight", "imgh"),
    "difficult": ("difficult", "iscrowd", "isgroupof"),
}
CORNERS = ("xmin", "ymin", "xmax", "ymax")
CORNER_AND_SIDES = ("x", "y", "box_width", "box_height")
CENTRE_AND_SIDES = ("x_center", "y_center", "box_width", "box_height")
ONE_COLUMN = ("bbox",)
FORMS = (CORNERS, CORNER_AND_SIDES, CENTRE_AND_SIDES, ONE_COLUMN)
RETINANET = ("image", *CORNERS, "class")
CLASS_SECOND = ("image", "class", *CORNERS)
TENSORFLOW = ("image", "width", "height", "class", *CORNERS)
WITHOUT_CLASS = ("image", *CORNERS)
# Rows that show the columns of a table without a header.
SAMPLE = 200


class Columns(NamedTuple):
    """The columns of a table.

    of: the column of each thing that the rows need: image, the things of form, and, where there are
      such columns, class, difficult, image_width, image_height.
    form: what makes up a box, one of FORMS.
    header: row 1 is a header.
    """

    of: Mapping[str, int]
    form: tuple[str, ...]
    header: bool


def find_columns(path: Path, reader: Iterator[list[str]], class_name: str | None) -> Columns:
    """Find the columns of a table.

    class_name: of all boxes, for a table without classes.
    Raises ParseError.
    """
    sample = list(islice(reader, SAMPLE))
    if not sample:
        raise ParseError(str(path), "is empty")
    named = _named_columns(sample[0])
    if any(word.strip() == "region_shape_attributes" for word in sample[0]):
        raise ParseError(str(path), "VIA's CSV, which is another kind", 1)
    if _is_header(sample[0], named):
        found = _header(path, sample[0], named, class_name)
    else:
        found = _without_header(path, sample, class_name)
    if class_name and "class" in found.of:
        fault = "it has a column of classes; --class is for tables without (--map renames classes)"
        raise ParseError(str(path), fault, 1)
    return found


def _is_header(row: list[str], named: Mapping[str, int]) -> bool:
    """Return whether the first row of a table is a header, perhaps one that lacks a column."""
    if len(named) > 1 and not named.keys().isdisjoint(("image", "image_id")):
        return True
    return bool(named) and _is_whole(row) and not any(map(fields.is_number, row))


def _without_header(path: Path, sample: list[list[str]], class_name: str | None) -> Columns:
    """Find the columns of a table without a header, by its first rows. Raises ParseError."""
    whole = next(filter(_is_whole, sample), sample[0])
    order = _usual_order(whole, class_name)
    if not order:
        wanted = "a header such as filename,xmin,ymin,xmax,ymax,class"
        fault = f"these {len(whole)} columns are not known without"
        raise ParseError(str(path), f"{wanted} is missing, and {fault}", 1)
    columns = {thing: column for column, thing in enumerate(order)}
    return Columns(_with_image_size(columns), CORNERS, header=False)


def _named_columns(header: list[str]) -> dict[str, int]:
    """Return the column of each thing that a header names in one of the usual ways."""
    found: dict[str, int] = {}
    for column, word in enumerate(header):
        plain = plain_name(word)
        for thing, names in COLUMNS.items():
            if plain in names:
                found.setdefault(thing, column)
    return found


def plain_name(word: str) -> str:
    """Return the name of a column in small letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", word.lower())


def _usual_order(row: list[str], class_name: str | None) -> tuple[str, ...]:
    """Tell what the columns of a table without a header hold, by one of its rows; () if unknown."""
    orders = {6: RETINANET, 8: TENSORFLOW}
    if class_name:
        orders[5] = WITHOUT_CLASS
    order = orders.get(len(row), ())
    if not order:
        return ()
    last_is_number = fields.is_number(row[-1])
    if order == RETINANET and last_is_number and not fields.is_number(row[1]):
        order = CLASS_SECOND
    corners = [row[order.index(corner)] for corner in CORNERS]
    if any(row[1:]) and not all(map(fields.is_number, corners)):
        return ()
    return order


def _is_whole(row: list[str]) -> bool:
    """Return whether a row has a word in every column."""
    return all(word.strip() for word in row)


def _header(
    path: Path, header: list[str], named: dict[str, int], class_name: str | None
) -> Columns:
    """Return the columns of a table with a header. Raises ParseError where one is missing."""
    found = dict(named)
    for thing in ("image", "class"):
        if thing not in found and f"{thing}_id" in found:
            found[thing] = found.pop(f"{thing}_id")
    _name_sides(found)
    form = _form(found)
    for thing in ("image", *form, "class"):
        if thing not in found and not (thing == "class" and class_name):
            raise ParseError(str(path), _no_column(thing, header, named), 1)
    return Columns(_with_image_size(found), form, header=True)


def _name_sides(found: dict[str, int]) -> None:
    """Take width and height for the box's where it has no other sides, and x, y for its corner.

    Where it has one of the far corner's, they are the image's.
    """
    if not found.keys().isdisjoint(("xmax", "ymax")):
        return
    has_start = not found.keys().isdisjoint(("x", "xmin", "x_center"))
    if has_start and found.keys().isdisjoint(("box_width", "box_height")):
        for side in ("width", "height"):
            if side in found:
                found[f"box_{side}"] = found.pop(side)
    if "box_width" in found:
        for corner, thing in (("xmin", "x"), ("ymin", "y")):
            if corner in found:
                found.setdefault(thing, found[corner])


def _form(found: Container[str]) -> tuple[str, ...]:
    """Return the form of box of which a table has the most things; the first of several."""
    return max(FORMS, key=lambda form: sum(thing in found for thing in form) / len(form))


def _with_image_size(found: dict[str, int]) -> dict[str, int]:
    """Return columns with the image's size under the names that rows need."""
    for side in ("width", "height"):
        if side in found:
            found.setdefault(f"image_{side}", found.pop(side))
    return found


def _no_column(thing: str, header: list[str], named: dict[str, int]) -> str:
    """Return the message for a column that a header lacks, with the columns that are not known."""
    used = named.values()
    unknown = [fields.excerpt(word) for column, word in enumerate(header) if column not in used]
    fault = f"no column '{thing.removeprefix('box_')}'"
    near = suggest(thing, unknown)
    if near:
        return fault + near.replace("did you mean", "there is")
    if unknown:
        fault += f"; not known: {fields.excerpt(', '.join(unknown))}"
    if thing == "class":
        fault += " (--class NAME gives all boxes one class)"
    return fault
