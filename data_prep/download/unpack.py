"""Unpacks tar and zip archives; no archive can write outside its folder."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from ssd_common.durable import make_folder, sync_all, sync_file, sync_folder
from ssd_common.errors import CaffeError
from ssd_common.files import temporary_name

CHUNK = 1 << 16  # bytes copied at a time
FILE_TYPE = 0o170000  # the bits of a Unix mode that hold the type of a file
SYMBOLIC_LINK = 0o120000
DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    EOFError,
    zlib.error,
    NotImplementedError,
    RuntimeError,
)
# The path of a file in an archive, and a function that writes its content to an open file.
Member = tuple[str, Callable[[IO[bytes]], None]]


def unpack(path: Path, folder: Path, flat: bool = False) -> None:
    """Unpack a tar or zip archive below a folder.

    Its files get their names, in place of older ones, once all of them are on the disk.

    flat: put all files into the folder itself, without the archive's own folders.
    Raises CaffeError for a damaged archive, for a file of another kind, and for an archive that
      would write outside the folder or has links in it.
    """
    members = _tar_members
    if path.suffix == ".zip":
        members = _zip_members
    progress = tqdm(
        members(path),
        desc=f"unpacking {path.name}",
        unit=" files",
        disable=None,
        leave=False,
    )
    staged = folder / f".{path.name}.unpacked.tmp"
    try:
        shutil.rmtree(staged, ignore_errors=True)
        make_folder(folder)
        staged.mkdir()
        for name, write in progress:
            target = staged / _inner(path, folder, name, flat)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                write(file)
        sync_all()
        _move(staged, folder)
    except DAMAGED as error:
        raise CaffeError(
            f"{path}: damaged archive: {error}; remove it, and it is downloaded anew"
        ) from None
    except OSError as error:
        raise CaffeError(
            f"{error.filename or folder}: cannot unpack {path.name}: {error.strerror or error}"
        ) from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _move(staged: Path, folder: Path) -> None:
    """Move all files below one folder to the same places below another. Raises OSError."""
    for inner, _, files in os.walk(staged):
        target = folder / Path(inner).relative_to(staged)
        make_folder(target)
        for name in files:
            _move_file(Path(inner, name), target / name)
        sync_folder(target)


def _move_file(file: Path, target: Path) -> None:
    """Give a file another name, which may be on another disk. Raises OSError."""
    try:
        file.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        temporary = temporary_name(target)
        shutil.copyfile(file, temporary)
        sync_file(temporary)
        temporary.replace(target)


def _inner(path: Path, folder: Path, name: str, flat: bool) -> PurePosixPath:
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
                yield member.filename, functools.partial(_copy, source)


def _no_file(path: Path, name: str) -> CaffeError:
    """Return the error about something in an archive that is no plain file."""
    return CaffeError(f"{path}: {name!r} in it is a link or device; nothing was unpacked")


def _copy(source: IO[bytes], file: IO[bytes]) -> None:
    shutil.copyfileobj(source, file, CHUNK)
