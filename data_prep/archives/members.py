"""The files in tar and zip archives, and where they may be written."""

from __future__ import annotations

import functools
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from ssd_common.errors import CaffeError

CHUNK = 1 << 16  # bytes copied at a time
FILE_TYPE = 0o170000  # the bits of a Unix mode that hold the type of a file
SYMBOLIC_LINK = 0o120000
UTF8_NAME = 0x800  # the bit of a zip member's flags that says so
DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    EOFError,
    zlib.error,
    NotImplementedError,
    RuntimeError,
)


class Writable(Protocol):
    """What takes the bytes of a file."""

    def write(self, data: bytes, /) -> int:
        """Take some bytes, and return their number."""
        ...


# The path of a file in an archive, and a function that writes its content.
Member = tuple[str, Callable[[Writable], None]]


def members(path: Path) -> Iterator[Member]:
    """List the files in a tar or zip archive.

    Raises CaffeError for a link or device, one of DAMAGED for a damaged archive or another file.
    """
    if path.suffix.lower() == ".zip":
        return _zip_members(path)
    return _tar_members(path)


def inner_path(path: Path, folder: Path, name: str, flat: bool) -> PurePosixPath:
    """Return where a file of the archive `path` goes below the folder.

    name: of the file in the archive.
    Raises CaffeError where that would be outside the folder.
    """
    inner = PurePosixPath(name)
    leaves = inner.is_absolute() or ".." in inner.parts
    if leaves or "\\" in name or not name.isprintable():
        raise CaffeError(
            f"{path}: {name!r} in it would be written outside {folder}; nothing was unpacked"
        )
    if flat:
        return PurePosixPath(inner.name)
    return inner


def _tar_members(path: Path) -> Iterator[Member]:
    """List the files in a tar archive. Raises CaffeError for a link or device."""
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isdir():
                continue
            if not member.isreg():
                raise _no_file(path, member.name)
            source = archive.extractfile(member)
            if source is None:
                raise _no_file(path, member.name)
            with source:
                yield member.name, functools.partial(_copy, source)


def _zip_members(path: Path) -> Iterator[Member]:
    """List the files in a zip archive. Raises CaffeError for a link."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            mode = member.external_attr >> 16
            if mode & FILE_TYPE == SYMBOLIC_LINK:
                raise _no_file(path, member.filename)
            with archive.open(member) as source:
                yield _zip_name(member), functools.partial(_copy, source)


def _zip_name(member: zipfile.ZipInfo) -> str:
    """Return a member's name; many programs write UTF-8 and do not say so."""
    if not member.flag_bits & UTF8_NAME:
        try:
            return member.filename.encode("cp437").decode()
        except UnicodeError:
            pass
    return member.filename


def _no_file(path: Path, name: str) -> CaffeError:
    """Return the error about something in an archive that is no plain file."""
    return CaffeError(f"{path}: {name!r} in it is a link or device; nothing was unpacked")


def _copy(source: IO[bytes], file: Writable) -> None:
    shutil.copyfileobj(source, file, CHUNK)
