"""Files read whole, and written whole or not at all."""

from __future__ import annotations

import errno
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ssd_common import machine
from ssd_common.durable import sync_folder
from ssd_common.errors import CaffeError, ParseError

PathLike = str | os.PathLike[str]

# A slash, a control character, or a percent sign that would read as an escaped one.
_NO_PART_OF_A_NAME = re.compile(r"[/\x00-\x1f\x7f]|%(?=[0-9A-Fa-f]{2})")

# A file's name, then the signature of the process that writes it, and which of its files this is.
_TEMPORARY = re.compile(r"\.(.*)\.(\d+-[0-9a-f]{8})-\d+\.tmp", re.DOTALL)
_NAME_BYTES = 200  # of a name that has 255 on most file systems, as many as a longer one keeps
_numbers = itertools.count()
_unfinished: set[Path] = set()


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


@contextmanager
def reading(path: PathLike, kind: str = "does not decode") -> Iterator[None]:
    """Turn what the system throws at a file's name, or a parser at its content, into a ParseError.

    kind: what the error says of a file that the parser refuses, before the parser's reason.
    """
    try:
        yield
    except OSError as error:
        raise ParseError(str(path), error.strerror or str(error)) from None
    except UnicodeError as error:
        reason = getattr(error, "reason", str(error))
        raise ParseError(str(path), f"not a text file ({reason})") from None
    except RecursionError:
        raise ParseError(str(path), f"{kind}: nested too deeply") from None
    except (ValueError, OverflowError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ParseError(str(path), f"{kind}: {reason}") from None


def read_bytes(path: PathLike) -> bytes:
    """Read a file's bytes.

    Raises ParseError for a file that cannot be read or is empty.
    """
    with reading(path):
        data = read_all(path)
    if not data or data.isspace():
        raise ParseError(str(path), "is empty")
    return data


def read_text(path: PathLike, errors: str = "strict") -> str:
    """Read a file of text, in UTF-8.

    errors: what becomes of other bytes, as in bytes.decode.
    Raises ParseError for a file that cannot be read or is no text.
    """
    with reading(path):
        return read_all(path).decode("utf-8", errors)


def read_all(path: PathLike) -> bytes:
    """Read the bytes of a file that a user names, or of a pipe, as a shell's `<(...)`.

    Raises OSError where it cannot be read, ParseError for a device, which may have no end.
    """
    with open(_nameable(path), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        endless = stat.S_ISCHR(mode) and not file.isatty()
        if endless or stat.S_ISBLK(mode):
            raise ParseError(str(path), "is a device, not a file")
        return file.read()


def read_regular(path: PathLike) -> bytes:
    """Read a regular file's bytes, as open_regular has them."""
    with open_regular(path) as file:
        return file.read()


@contextmanager
def open_regular(path: PathLike) -> Iterator[BinaryIO]:
    """Open a regular file: a device may have no end, and a pipe may never have a byte.

    Raises OSError, which names it, where it cannot be read; CaffeError for what is no regular file.
    """
    with open(_nameable(path), "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise CaffeError(f"{path}: not a regular file")
        try:
            yield file
        except OSError as error:  # a fault of the disk names no file
            error.filename = error.filename or str(path)
            raise


def _open_at_once(path: str, flags: int) -> int:
    """Open a file, without waiting for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _nameable(path: PathLike) -> PathLike:
    """Return a path, or raise FileNotFoundError for one with a zero byte, which no file has."""
    if "\0" in os.fspath(path):
        raise FileNotFoundError(errno.ENOENT, "no file has this name", str(path))
    return path


def write_atomic(path: PathLike, data: bytes | str) -> None:
    """Write a whole file or nothing.

    The file gets a temporary name in the same folder, then its own. Both are on the disk then: what
    is written later never reaches it earlier.
    data: text is written as UTF-8.
    Raises CaffeError where the file cannot be written.
    """
    if isinstance(data, str):
        data = data.encode()
    target = Path(os.path.realpath(path))
    temporary = temporary_name(target)
    _unfinished.add(temporary)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise CaffeError(f"{path}: cannot write: {error.strerror or error}") from None
    finally:
        with suppress(OSError):  # a name that is too long cannot be removed, either
            temporary.unlink()
        _unfinished.discard(temporary)


def temporary_name(target: Path) -> Path:
    """Return a new name beside a file, under which this process may write it.

    It says which process that is, so that others can tell what a killed one left.
    """
    writer = f"{machine.signature()}-{next(_numbers)}"
    return target.with_name(f".{beginning(target.name)}.{writer}.tmp")


def beginning(name: str) -> str:
    """Return as much of a file's name as leaves room for the rest of a longer one."""
    return os.fsencode(name)[:_NAME_BYTES].decode(errors="ignore")


def clear_leftovers(folder: Path, is_ours: Callable[[str], bool], alone: bool = False) -> None:
    """Remove the temporary files that killed processes left in a folder, those that can be removed.

    is_ours: tells, by the name of a file that was to be written, whether it counts.
    alone: no other process writes these files, as a lock keeps them off; without, only those go
      whose process has certainly ended.
    """
    place = Path(os.path.realpath(folder))
    with suppress(OSError):
        for name in os.listdir(place):
            target, gone = _leftover(name)
            if target and (gone or alone) and is_ours(target) and place / name not in _unfinished:
                (place / name).unlink(missing_ok=True)


def _leftover(name: str) -> tuple[str, bool]:
    """Read a temporary file's name: which file it was to be, and whether its writer has ended.

    Returns "" for a file of another kind.
    """
    if name[0] != "." or not name.endswith(".tmp"):
        return "", False
    match = _TEMPORARY.fullmatch(name)
    if match:
        return match[1], machine.has_ended(match[2])
    return name[1:].removesuffix(".tmp").rpartition(".")[0], False
