"""Changes of files' names that last, and in their order, even if the power goes.

A file system may write a rename to the disk long before an earlier one, and a name before the
file's data. Syncing a folder puts its names there. Source: fsync(2), rename(2).
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

# What file systems say that sync no folders.
_NO_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


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
