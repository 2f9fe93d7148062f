"""The rows of tables: image, size and box."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.sources import fields, image_lists, text_file
from data_prep.sources.csv_columns import (
    CENTRE_AND_SIDES,
    CORNERS,
    ONE_COLUMN,
    Columns,
    find_columns,
)
from ssd_common.errors import ParseError


class Row(NamedTuple):
    """What a row of a table says.

    image: path of its image.
    box: name, difficult, corners and line, as an item carries it; empty for none; or `line:fault`.
    size: width and height of the image (pixels), 0 where the row does not say.
    """

    image: str
    box: list[Any] | str
    size: list[int]


def read_rows(path: Path, class_name: str | None = None) -> Iterator[tuple[int, Row]]:
    """Yield line and content of each row of a table.

    class_name: of all boxes, for a table without classes.
    Raises ParseError.
    """
    with text_file.opened(path, "a table", newline="") as file:
        delimiter = _delimiter(file.readline())
        file.seek(0)
        columns = find_columns(path, csv.reader(file, delimiter=delimiter), class_name)
        file.seek(0)
        reader = csv.reader(file, delimiter=delimiter)
        for number, words in enumerate(reader):
            if (number == 0 and columns.header) or not any(words):
                continue
            line = reader.line_num
            try:
                row = _row(words, columns, class_name, line)
            except ValueError as error:
                raise ParseError(str(path), str(error), line) from None
            yield line, row


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _row(words: list[str], columns: Columns, class_name: str | None, line: int) -> Row:
    """Return what a row says. Raises ValueError for a row without an image."""
    of = columns.of
    padded = words + [""] * (max(of.values()) + 1 - len(words))
    cells = {thing: padded[column].strip() for thing, column in of.items()}
    image = fields.image_name(cells["image"])
    is_image = image_lists.has_image_extension(image)
    if Path(image).is_absolute() and not is_image:
        raise ValueError(f"'{image}' is no image")
    size = [_side(cells.get(side, "")) for side in ("image_width", "image_height")]
    said = [cells[thing] for thing in columns.form]
    if said == ["[]"] or not any([*said, cells.get("class")]):
        return Row(image, [], size)
    difficult = cells.get("difficult", "").lower() in ("1", "true", "yes")
    try:
        corners = _corners(cells, columns.form)
        name = fields.class_name(class_name or cells["class"])
    except ValueError as error:
        return Row(image, f"{line}:{error}", size)
    return Row(image, [name, int(difficult), *corners, line], size)


def _side(word: str) -> int:
    """Return a side of an image in pixels, 0 for a word that is no such number."""
    if word.isdecimal() and len(word) < 7:
        return int(word)
    return 0


def _corners(cells: Mapping[str, str], form: tuple[str, ...]) -> list[float]:
    """Return the corners of a row's box. form: what makes it up.

    Raises ValueError for a cell that is no number.
    """
    if form == ONE_COLUMN:
        numbers = _four(cells["bbox"])
    else:
        numbers = [_number(cells, thing) for thing in form]
    if form == CORNERS:
        return numbers
    x, y, width, height = numbers
    if form == CENTRE_AND_SIDES:
        x -= width / 2
        y -= height / 2
    return [x, y, x + width, y + height]


def _number(cells: Mapping[str, str], thing: str) -> float:
    """Return the number in a row's cell. Raises ValueError where it has none."""
    try:
        return fields.number(cells[thing])
    except ValueError:
        given = fields.excerpt(cells[thing])
        raise ValueError(f"{thing} is '{given}', not a number") from None


def _four(cell: str) -> list[float]:
    """Return the numbers of a cell such as [10, 20, 40, 40]. Raises ValueError."""
    words = re.split(r"[,;\s]+", cell.strip("[](){} "))
    if len(words) == 4 and all(map(fields.is_number, words)):
        return [fields.number(word) for word in words]
    raise ValueError(f"bbox is '{fields.excerpt(cell)}', not [x, y, width, height]")
