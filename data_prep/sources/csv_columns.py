"""The columns of tables, with and without a header."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from data_prep.sources import fields
from ssd_common.errors import ParseError
from ssd_common.suggest import suggest

# Names of columns, in small letters and digits alone; the first of a header counts.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "image": (
        "filename",
        "image",
        "imageid",
        "imagename",
        "imagepath",
        "imagefile",
        "path",
        "filepath",
        "file",
        "img",
        "imgid",
        "imgpath",
    ),
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
CORNERS = ("xmin", "ymin", "xmax", "ymax")
CORNER_AND_SIDES = ("x", "y", "box_width", "box_height")
RETINANET = ("image", *CORNERS, "class")
CLASS_SECOND = ("image", "class", *CORNERS)
TENSORFLOW = ("image", "width", "height", "class", *CORNERS)
# Rows that show the columns of a table without a header.
SAMPLE = 200


def find_columns(path: Path, reader: Iterator[list[str]]) -> tuple[dict[str, int], bool]:
    """Find the column of each thing, and whether row 1 is a header. Raises ParseError."""
    sample = list(islice(reader, SAMPLE))
    if not sample:
        raise ParseError(str(path), "is empty")
    found = _named_columns(sample[0])
    if any(word.strip() == "region_shape_attributes" for word in sample[0]):
        raise ParseError(str(path), "VIA's CSV, which is another kind: data_prep via", 1)
    if "image" in found and len(found) > 1:
        return _header(path, sample[0], found), True
    whole = next(filter(_is_whole, sample), sample[0])
    order = _usual_order(whole)
    if not order:
        wanted = "a header such as filename,xmin,ymin,xmax,ymax,class"
        fault = f"these {len(whole)} columns are not known without"
        raise ParseError(str(path), f"{wanted} is missing, and {fault}", 1)
    return {thing: column for column, thing in enumerate(order)}, False


def _named_columns(header: list[str]) -> dict[str, int]:
    """Return the column of each thing that a header names in one of the usual ways."""
    found: dict[str, int] = {}
    for column, word in enumerate(header):
        plain = re.sub(r"[^a-z0-9]", "", word.lower())
        for thing, names in COLUMNS.items():
            if plain in names:
                found.setdefault(thing, column)
    return found


def _usual_order(row: list[str]) -> tuple[str, ...]:
    """Tell what the columns of a table without a header hold, by one of its rows; () if unknown."""
    order = {6: RETINANET, 8: TENSORFLOW}.get(len(row), ())
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


def _header(path: Path, header: list[str], found: dict[str, int]) -> dict[str, int]:
    """Return the columns of a table with a header. Raises ParseError where one is missing.

    width and height are the box's where a table has x, y and no other sides.
    """
    box: tuple[str, ...] = CORNERS
    if "xmax" not in found:
        box = _corner_and_sides(found)
    for thing in ("class", *box):
        if thing not in found:
            raise ParseError(str(path), _no_column(thing, header, found), 1)
    return found


def _corner_and_sides(found: dict[str, int]) -> tuple[str, ...]:
    """Return the things that make up the box of a table without xmax; puts sides in their place."""
    if "box_width" not in found and {"width", "height"} <= found.keys():
        found["box_width"] = found.pop("width")
        found["box_height"] = found.pop("height")
    if "box_width" not in found:
        return CORNERS
    for thing in ("x", "y"):
        corner = f"{thing}min"
        if corner in found:
            found.setdefault(thing, found[corner])
    return CORNER_AND_SIDES


def _no_column(thing: str, header: list[str], found: dict[str, int]) -> str:
    """Return the message for a column that a header lacks."""
    used = found.values()
    unknown = [word for column, word in enumerate(header) if column not in used]
    near = suggest(thing, map(fields.excerpt, unknown))
    if near:
        near = near.replace("did you mean", "there is")
    else:
        known = fields.excerpt(", ".join(header))
        near = f"; there are {known}"
    return f"no column '{thing}'{near}"
