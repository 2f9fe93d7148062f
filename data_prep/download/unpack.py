"""Unpacks tar and zip archives; no archive can write outside its folder."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from tqdm import tqdm

from data_prep.archives.members import DAMAGED, inner_path, members
from ssd_common.durable import make_folder, sync_all, sync_file, sync_folder
from ssd_common.errors import CaffeError
from ssd_common.files import temporary_name


def unpack(path: Path, folder: Path, flat: bool = False) -> None:
    """Unpack a tar or zip archive below a folder.

    Its files get their names, in place of older ones, once all of them are on the disk.

    flat: put all files into the folder itself, without the archive's own folders.
    Raises CaffeError for a damaged archive, for a file of another kind, and for an archive that
      would write outside the folder or has links in it.
    """
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
            target = staged / inner_path(path, folder, name, flat)
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
