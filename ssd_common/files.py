"""Files read whole, and written whole or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from ssd_common.errors import CaffeError, ParseError

PathLike = str | os.PathLike[str]


def read_bytes(path: PathLike) -> bytes:
    """Read a file's bytes.

    Raises ParseError for a file that cannot be read or is empty.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ParseError(str(path), error.strerror or str(error)) from None
    if not data or data.isspace():
        raise ParseError(str(path), "is empty")
    return data


def write_atomic(path: PathLike, data: bytes | str) -> None:
    """Write a whole file or nothing.

    The file gets a temporary name in the same folder, then its own.
    data: text is written as UTF-8
    Raises CaffeError where the file cannot be written.
    """
    if isinstance(data, str):
        data = data.encode()
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise CaffeError(f"{path}: cannot write: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)
