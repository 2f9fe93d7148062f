"""JSON files, which come from anywhere: read whole, or refused in one line."""

from __future__ import annotations

import json
import math
from typing import Any

from ssd_common.errors import ParseError
from ssd_common.files import PathLike, read_all, reading

_MOST_ID = 1 << 63  # NumPy compares smaller whole numbers exactly


def read_json(path: PathLike, kind: str = "is not JSON") -> Any:
    """Read the value that a JSON file holds.

    kind: what an error says of a file that is not JSON, before the reason.
    Raises ParseError where the file cannot be read, is not JSON, or is nested too deeply.
    """
    file = str(path)
    with reading(path, kind):
        try:
            return json.loads(read_all(path))
        except json.JSONDecodeError as error:
            reason = f"{error.msg[:1].lower()}{error.msg[1:]}"
            raise ParseError(file, f"{kind}: {reason}", error.lineno, error.colno) from None
        except UnicodeError:
            raise
        except ValueError:
            # Python reads whole numbers of at most 4,300 digits.
            raise ParseError(file, f"{kind}: a number has too many digits") from None


def is_number(value: Any) -> bool:
    """Return whether a value is a number that a float can hold: not true, false, NaN or 10^400."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def is_id(value: Any) -> bool:
    """Return whether a value can name an entry: a text, or a number below 2^63."""
    if isinstance(value, str):
        return True
    return is_number(value) and abs(value) < _MOST_ID
