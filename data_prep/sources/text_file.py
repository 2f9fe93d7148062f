"""Text files of a data set: lists, tables and names, in UTF-8 or UTF-16."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from ssd_common.errors import ParseError
from ssd_common.files import open_regular

NO_TEXT = "it is neither UTF-8 nor UTF-16 text (save it as UTF-8, or: iconv -f CP1252 -t UTF-8)"


def encoding(start: bytes) -> str:
    """Return a text's encoding: UTF-16 by its first bytes (Excel's "Unicode text"), or UTF-8."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig"


@contextmanager
def opened(path: Path, what: str, newline: str | None = None) -> Iterator[TextIO]:
    """Open a text file; inside the block, it is read, and its rows by csv where it is a table.

    what: the kind of file, for the error.
    newline: as open takes it: "" for csv.
    Raises ParseError for a file that is no text or no table, CaffeError for no regular file,
      OSError.
    """
    with open_regular(path) as file:
        kind = encoding(file.read(2))
        file.seek(0)
        with TextIOWrapper(file, kind, newline=newline) as text:
            try:
                yield text
            except UnicodeDecodeError:
                raise ParseError(str(path), f"not {what}: {NO_TEXT}") from None
            except csv.Error as error:
                raise ParseError(str(path), f"not {what}: {error}") from None
