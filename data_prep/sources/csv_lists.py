"""Lists of images as tables of one column, beside a table of boxes."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from data_prep.sources import fields, text_file
from data_prep.sources.csv_columns import COLUMNS, plain_name
from ssd_common.errors import CaffeError

SUFFIXES = (".csv", ".tsv")
# Names of the column, as plain_name makes them.
_HEADERS = (*COLUMNS["image"], *COLUMNS["image_id"], "id", "images", "name", "filenames")
_DELIMITER = re.compile(r"[,;\t]")


def is_list(path: Path) -> bool:
    """Return whether a file of a table's suffix has one column alone, by its first line."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        with text_file.opened(path, "a list") as file:
            first = file.readline().strip().strip(",;")
    except (CaffeError, OSError):
        return False
    return bool(first) and not _DELIMITER.search(first)


def read_list(path: Path) -> list[tuple[str, list[str]]]:
    """Return the place, `file:line`, and the image of each row, without the header.

    Raises CaffeError.
    """
    found: list[tuple[str, list[str]]] = []
    with text_file.opened(path, "a list", newline="") as file:
        rows = csv.reader(file)
        for row in rows:
            word = next(iter(row), "").strip()
            is_header = rows.line_num == 1 and plain_name(word) in _HEADERS
            if word and not is_header:
                place = f"{path}:{rows.line_num}"
                found.append((place, [_image_name(word, place)]))
    if not found:
        raise CaffeError(f"{path}: the list is empty")
    return found


def _image_name(word: str, place: str) -> str:
    """Return an image's path. Raises CaffeError, with its place, for one that no image has."""
    try:
        return fields.image_name(word)
    except ValueError as error:
        raise CaffeError(f"{place}: {error}") from None
