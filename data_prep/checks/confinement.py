"""Files of a data set that lie outside its folder, as its own lists, paths and links lead there."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from data_prep.checks.faults import Fault
from data_prep.sources.source import Item, Source
from ssd_common.errors import CaffeError


def refuse_own_files(source: Source) -> None:
    """Refuse a data set that takes its own files from outside its folder, links followed.

    These are its file of class names, and files with the annotations of many images, which are read
    before any item is.
    Raises CaffeError with the file.
    """
    for file, reason in getattr(source, "own_files", {}).items():
        if not _is_below(source.root, file, os.path.realpath):
            raise CaffeError(f"{file}: is outside {source.root}; {reason}")


def elsewhere(source: Source, image: str) -> Fault | None:
    """Return the note on an image whose path leads outside its folder; a link may.

    image: its path as an item has it.
    """
    if ".." not in image and not os.path.isabs(image):
        return None
    file = os.path.join(source.root, image)
    if _is_below(source.root, file, os.path.abspath):
        return None
    return Fault("elsewhere", file, f"is outside {source.root}")


def confined(source: Source, item: Item) -> Fault | None:
    """Return the fault of an item whose files lie outside the data set's folder, links followed.

    A file with the annotations of many images may lie there where the user names it, but a link in
    the folder may not lead there.
    """
    files = [os.path.join(source.root, item.image)]
    if item.annotation:
        file = source.file(item)
        if item.content is None or _is_below(source.root, file, os.path.abspath):
            files.append(file)
    for file in files:
        if not _is_below(source.root, file, os.path.realpath):
            return Fault("confined", file, f"is outside {source.root}")
    return None


def _is_below(
    root: os.PathLike[str], file: str | os.PathLike[str], resolve: Callable[[Any], str]
) -> bool:
    """Return whether a file lies below the root.

    resolve: makes paths absolute.
    """
    folder = os.path.join(resolve(root), "")
    return resolve(file).startswith(folder)
