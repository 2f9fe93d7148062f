"""Files read whole, and written whole or not at all."""

from __future__ import annotations

import os
import re
import stat
import uuid
from contextlib import suppress
from pathlib import Path

from ssd_common.errors import CaffeError, ParseError

PathLike = str | os.PathLike[str]

# A slash, a control character, or a percent sign that would read as an escaped one.
_NO_PART_OF_A_NAME = re.compile(r"[/\x00-\x1f\x7f]|%(?=[0-9A-Fa-f]{2})")


def as_file_name(words: str) -> str:
    """Return words as a part of a file's name, which never leaves its folder.

    Percent codes stand for slashes and control characters: `car/truck` becomes `car%2Ftruck`.
    `urllib.parse.unquote` gives the words back.
    """
    return _NO_PART_OF_A_NAME.sub(lambda found: f"%{ord(found[0]):02X}", words)


def is_utf8(name: PathLike) -> bool:
    """Return whether a file's name, as Python has it from the system, is UTF-8 on the disk."""
    try:
        str(name).encode()
    except UnicodeEncodeError:
        return False
    return True


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


def read_regular(path: PathLike) -> bytes:
    """Read a regular file's bytes: a device may have no end, and a pipe may never have a byte.

    Raises OSError where it cannot be read, CaffeError for what is no regular file.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise CaffeError(f"{path}: not a regular file")
        return file.read()


def _open_at_once(path: str, flags: int) -> int:
    """Open a file, without waiting for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def write_atomic(path: PathLike, data: bytes | str) -> None:
    """Write a whole file or nothing.

    The file gets a temporary name in the same folder, then its own.
    data: text is written as UTF-8.
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
        with suppress(OSError):  # a name that is too long cannot be removed, either
            temporary.unlink()
