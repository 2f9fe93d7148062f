"""Guesses of which kind a data set is, by its looks."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from data_prep.archives.unpacked import opened
from data_prep.sources.kind import likely, registered
from ssd_common.errors import CaffeError, UsageError

FEW = 20  # inner folders that are looked at


def guess(path: Path) -> str:
    """Return the name of the only kind that a folder or file looks like.

    Raises UsageError that names the kinds where it looks like several; CaffeError, with the nearest
      folder that looks like a data set, where it looks like none.
    """
    found = likely(opened(path))
    if len(found) == 1:
        return found[0]
    if found:
        commands = " or ".join(_commands("check", found, path))
        raise UsageError(f"{path} looks like {' and '.join(found)}: {commands}")
    if (path / "data.mdb").is_file():
        verify = shlex.join(["data_prep", "verify", str(path)])
        raise CaffeError(f"{path}: an LMDB, not what one is built from: {verify}")
    near = ""
    for place, kinds in _around(path):
        near = f"; {place} looks like {' and '.join(kinds)}"
        break
    raise CaffeError(f"{path}: looks like no data set{near} (data_prep formats lists all kinds)")


def other_kinds(kind: str, path: Path) -> str:
    """Return words that name what a path looks like where that is not the kind that was chosen.

    Returns "" where it looks like that kind, or like none.
    """
    try:
        place = opened(path)
    except CaffeError:
        return ""
    if registered()[kind].looks_like(place):
        return ""
    return " or ".join(_commands("", likely(place), path))


def _commands(command: str, kinds: list[str], path: Path) -> list[str]:
    words = ["data_prep"]
    if command:
        words.append(command)
    return [shlex.join([*words, kind, str(path)]) for kind in kinds]


def _around(path: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield the folders in a folder, and then the one that it is in, that look like data sets."""
    places: list[Path] = []
    if path.is_dir():
        folders = (inner for inner in sorted(path.iterdir()) if inner.is_dir())
        places += islice(folders, FEW)
    for place in (*places, path.absolute().parent):
        found = likely(place)
        if found:
            yield place, found
