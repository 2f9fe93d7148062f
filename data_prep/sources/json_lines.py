"""JSON whose objects know their lines, for messages about a part of a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ssd_common.errors import CaffeError, ParseError
from ssd_common.files import open_regular, read_regular

# What moves the line, or opens or closes an object, and all before it; it skips strings whole.
_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_NEXT = re.compile(rf'[^"{{}}\n]*(?:{_STRING}[^"{{}}\n]*)*([{{}}\n])')
# Bytes at a file's start that tell its format.
START = 1 << 16


class Record(dict[str, Any]):
    """An object of a JSON text.

    line: where it begins, from 1.
    """

    line = 1


def parse(text: str, line: int = 1) -> Any:
    """Return the value of a JSON text; its objects are Records.

    line: of the text's start.
    Raises what json.loads raises.
    """
    lines = _opening_lines(text, line)

    def record(pairs: list[tuple[str, Any]]) -> Record:
        found = Record(pairs)
        found.line = next(lines)
        return found

    return json.loads(text, object_pairs_hook=record)


def _opening_lines(text: str, line: int) -> Iterator[int]:
    """Yield the line where each object begins, in the order in which objects end."""
    opened: list[int] = []
    at = 0
    while found := _NEXT.match(text, at):
        at = found.end()
        character = found[1]
        if character == "\n":
            line += 1
        elif character == "{":
            opened.append(line)
        elif character == "}" and opened:
            yield opened.pop()


def read(path: Path) -> Any:
    """Return the value of a JSON file; its objects are Records.

    Raises ParseError with file and line; OSError if it cannot be opened.
    """
    try:
        return parse(read_regular(path).decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ParseError(str(path), "not well-formed JSON: not UTF-8 text") from None
    except json.JSONDecodeError as error:
        reason = error.msg[0].lower() + error.msg[1:]
        fault = f"not well-formed JSON: {reason.removesuffix(' at').removesuffix(' starting')}"
        raise ParseError(str(path), fault, error.lineno) from None
    except RecursionError:
        raise ParseError(str(path), "not well-formed JSON: nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        fault = f"not well-formed JSON: {str(error).partition(';')[0]}"
        raise ParseError(str(path), fault) from None


def start(path: Path) -> str:
    """Return the start of a text file, without the blanks before it; "" if it cannot be read."""
    try:
        with open_regular(path) as file:
            data = file.read(START)
    except (CaffeError, OSError):
        return ""
    return data.decode("utf-8-sig", "replace").lstrip()


def has_keys(path: Path, opening: str, *keys: str) -> bool:
    """Tell a JSON file by its start: whether it opens with a character and has these keys there.

    keys: regular expressions, one for each key.
    """
    text = start(path)
    if not text.startswith(opening):
        return False
    return all(re.search(rf'"(?:{key})"\s*:', text) for key in keys)
