"""The rows of tables: image, size and box."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.sources import fields, image_lists
from data_prep.sources.csv_columns import CORNER_AND_SIDES, CORNERS, find_columns
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


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Yield line and content of each row of a table. Raises ParseError."""
    with path.open(encoding=image_lists.encoding(path), newline="") as file:
        try:
            delimiter = _delimiter(file.readline())
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            columns, header = find_columns(path, reader)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            for number, words in enumerate(reader):
                if (number == 0 and header) or not any(words):
                    continue
                line = reader.line_num
                try:
                    row = _row(words, columns, line)
                except ValueError as error:
                    raise ParseError(str(path), str(error), line) from None
                yield line, row
        except UnicodeDecodeError:
            fault = f"not a table: {image_lists.NO_TEXT}"
            raise ParseError(str(path), fault) from None
        except csv.Error as error:
            fault = f"not a table: {error}"
            raise ParseError(str(path), fault) from None


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _row(words: list[str], columns: Mapping[str, int], line: int) -> Row:
    """Return what a row says. Raises ValueError for a row without an image."""
    padded = words + [""] * (max(columns.values()) + 1 - len(words))
    cells = {thing: padded[column].strip() for thing, column in columns.items()}
    image = fields.image_name(cells["image"])
    is_image = image_lists.has_image_extension(image)
    if Path(image).is_absolute() and not is_image:
        raise ValueError(f"'{image}' is no image")
    size = [_side(cells.get(side, "")) for side in ("width", "height")]
    box = CORNERS
    if "xmax" not in columns:
        box = CORNER_AND_SIDES
    if not any(cells[thing] for thing in (*box, "class")):
        return Row(image, [], size)
    difficult = cells.get("difficult", "").lower() in ("1", "true", "yes")
    try:
        corners = _corners(cells, box)
        name = fields.class_name(cells["class"])
    except ValueError as error:
        return Row(image, f"{line}:{error}", size)
    return Row(image, [name, int(difficult), *corners, line], size)


def _side(word: str) -> int:
    """Return a side of an image in pixels, 0 for a word that is no such number."""
    if word.isdecimal() and len(word) < 7:
        return int(word)
    return 0


def _corners(cells: Mapping[str, str], box: tuple[str, ...]) -> list[float]:
    """Return the corners of a row's box. box: CORNERS or CORNER_AND_SIDES.

    Raises ValueError for a cell that is no number.
    """
    numbers = []
    for thing in box:
        try:
            numbers.append(fields.number(cells[thing]))
        except ValueError:
            given = fields.excerpt(cells[thing])
            raise ValueError(f"{thing} is '{given}', not a number") from None
    if box == CORNERS:
        return numbers
    x, y, width, height = numbers
    return [x, y, x + width, y + height]
