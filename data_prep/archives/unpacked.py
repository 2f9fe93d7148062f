"""Data sets in archives: they are unpacked for as long as this process runs."""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from data_prep.archives.members import DAMAGED, Writable, inner_path, members
from ssd_common import machine
from ssd_common.errors import CaffeError
from ssd_common.words import memory_size

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
OTHERS = (".7z", ".rar", ".gz", ".bz2", ".xz", ".zst")
# An archive of pictures is hardly smaller than they are, one of text a tenth or so.
MOST_TIMES = 100
ALWAYS = 1 << 30  # bytes that any archive may have
SPARE = 100 << 20  # bytes of the disk that stay free
BLOCK = 4096  # bytes that even an empty file counts
# Folders that are parts of data sets: where an archive has but one of these, the data set is what
# is around it.
PARTS = frozenset(
    (
        "annotations",
        "data",
        "imagesets",
        "images",
        "jpegimages",
        "labels",
        "obj_train_data",
        "test",
        "train",
        "val",
        "valid",
    )
)
# Hidden files, and those that people put beside a data set.
_NO_DATA = re.compile(r"\.|(readme|licen[cs]e|citation|changelog)\b", re.IGNORECASE)
_PREFIX = "data_prep-archive-"
_own: set[Path] = set()


class _TooLarge(Exception):
    """An archive holds more than its bound."""


def is_archive(path: Path) -> bool:
    """Return whether a path is an archive's that can be read.

    Raises CaffeError for one that cannot.
    """
    name = path.name.lower()
    if not name.endswith((*SUFFIXES, *OTHERS)) or not path.is_file():
        return False
    if not name.endswith(SUFFIXES):
        raise CaffeError(f"{path}: unpack it, and give its folder (.zip and .tar are read as such)")
    return True


def opened(path: Path) -> Path:
    """Return a path itself, or for an archive the folder of the data set in it.

    Raises CaffeError as is_archive and unpacked do.
    """
    if is_archive(path):
        return unpacked(path)
    return path


def is_unpacked(path: Path) -> bool:
    """Return whether a path lies in an archive that this process has unpacked."""
    return any(path.is_relative_to(folder) for folder in _own)


def unpacked(path: Path) -> Path:
    """Return the folder of the data set in an archive, which lasts as long as this process.

    It is in the folder of temporary files, which the environment's TMPDIR names. An archive that
    has not changed is unpacked but once.

    Raises CaffeError for a damaged archive, for one that would write outside its folder or has
      links in it, and for one that is too large.
    """
    status = path.stat()
    return _unpacked(path.resolve(), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _unpacked(path: Path, size: int, _changed: int) -> Path:
    """Unpack an archive of this size and time of change, and return the data set's folder."""
    _clear_leftovers()
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{machine.signature()}-"))
    _own.add(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    most = max(ALWAYS, MOST_TIMES * size)
    free = shutil.disk_usage(folder).free - SPARE
    try:
        _unpack(path, folder, min(most, free))
    except _TooLarge:
        reason = f"more than {memory_size(most)} in it, too much for its own size: unpack it"
        if free < most:
            reason = f"no room for it in {folder.parent} (TMPDIR=FOLDER takes another)"
        raise CaffeError(f"{path}: {reason}") from None
    except DAMAGED as error:
        raise CaffeError(f"{path}: cannot be unpacked: {error}") from None
    except OSError as error:
        raise CaffeError(f"{path}: cannot be unpacked: {error.strerror or error}") from None
    root = _root(folder)
    print(f"data_prep: {path} is read from {root} until the end", file=sys.stderr)
    return root


def _unpack(path: Path, folder: Path, most: int) -> None:
    """Unpack an archive into an empty folder.

    most: bytes that it may have.
    Raises _TooLarge, one of DAMAGED, OSError; CaffeError as members and inner_path.
    """
    # It is slow to load, and help does without.
    from tqdm import tqdm  # noqa: PLC0415

    count = _Counter(most)
    every = members(path)
    progress = tqdm(every, desc=f"unpacking {path.name}", unit=" files", disable=None, leave=False)
    for name, write in progress:
        # Of old .NET versions, which write Windows' own paths.
        inner = inner_path(path, folder, name.replace("\\", "/"), flat=False)
        if inner.parts[:1] == ("__MACOSX",):
            continue
        target = folder / inner
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, write, count)


def _write(target: Path, write: Callable[[Writable], None], count: _Counter) -> None:
    """Write one file, which counts a block at least."""
    before = count.rest
    with target.open("wb") as file:
        write(_Counted(file, count))
    count.take(max(BLOCK - (before - count.rest), 0))


class _Counter:
    """Counts down the bytes that may yet be written."""

    def __init__(self, rest: int) -> None:
        self.rest = rest

    def take(self, number: int) -> None:
        """Count some bytes. Raises _TooLarge."""
        self.rest -= number
        if self.rest < 0:
            raise _TooLarge


class _Counted:
    """A file that counts what is written to it."""

    def __init__(self, file: IO[bytes], count: _Counter) -> None:
        self._file = file
        self._count = count

    def write(self, data: bytes, /) -> int:
        """Write some bytes, if so many are allowed. Raises _TooLarge."""
        self._count.take(len(data))
        return self._file.write(data)


def _root(folder: Path) -> Path:
    """Return the folder that the data set begins in: archives often have one around it."""
    while True:
        shown = [path for path in folder.iterdir() if not _NO_DATA.match(path.name)]
        if len(shown) != 1 or not shown[0].is_dir() or shown[0].name.lower() in PARTS:
            return folder
        folder = shown[0]


def _clear_leftovers() -> None:
    """Remove the folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        signature = folder.name.removeprefix(_PREFIX).rpartition("-")[0]
        with suppress(OSError):
            is_left = folder not in _own and machine.has_ended(signature)
            if is_left and folder.lstat().st_uid == os.getuid():
                shutil.rmtree(folder)
