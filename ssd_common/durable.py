"""Changes of files' names that last, and in their order, even if the power goes.

A file system may write a rename to the disk long before an earlier one, and a name before the
file's data. Syncing a folder puts its names there. Source: fsync(2), rename(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from pathlib import Path

# What file systems say that sync no folders.
_NO_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
_HERE = -100  # Linux's AT_FDCWD: relative names start at the working directory
_EXCHANGE = 2  # Linux's RENAME_EXCHANGE


def sync_file(path: Path) -> None:
    """Wait until a file's data, or a folder's names, are on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk, where the system can say so.

    Raises OSError.
    """
    if os.name == "nt":  # Windows opens no folders
        return
    try:
        sync_file(folder)
    except OSError as error:
        if error.errno not in _NO_FOLDERS:
            raise


def sync_tree(folder: Path) -> None:
    """Wait until a folder's few files are on the disk, with all below it. Raises OSError."""
    for inner, _, files in os.walk(folder):
        for name in files:
            sync_file(Path(inner, name))
        sync_folder(Path(inner))


def sync_all() -> None:
    """Wait until the whole machine's files are on the disk, faster than for each of many."""
    if hasattr(os, "sync"):
        os.sync()


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, so that they last.

    Raises OSError.
    """
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def replace_folder(folder: Path, path: Path, aside: Path) -> None:
    """Give a folder the name `path`; what had it gets the folder's name, or `aside`, and goes.

    A reader of path finds the old or the new folder at any time, where the system can exchange two
    names.
    Raises OSError.
    """
    old = folder
    if not path.exists():
        folder.rename(path)
    elif not _exchange(folder, path):
        old = aside
        path.rename(aside)
        folder.rename(path)
    sync_folder(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in a single step, as no two renames can.

    Returns False where the system or the file system cannot. Raises OSError.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (*_NO_FOLDERS, errno.EPERM):
        return False
    raise OSError(code, os.strerror(code), str(other))
