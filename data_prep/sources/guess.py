"""Guesses of which kind a data set is, by its looks."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from data_prep.archives.unpacked import SUFFIXES, opened
from data_prep.sources.kind import likely, registered
from ssd_common.errors import CaffeError, UsageError

FEW = 20  # inner folders that are looked at
# Files and folders of a kind, which looks like none where they have faults.
SIGNS = (
    ("csv", "*.csv"),
    ("yolo", "*.yaml"),
    ("yolo", "obj.names"),
    ("yolo", "labels"),
    ("coco", "*.json"),
    ("coco", "annotations/*.json"),
    ("voc", "*.xml"),
    ("voc", "Annotations"),
)


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
    raise CaffeError(
        f"{path}: looks like no data set{_near(path)} (data_prep formats lists all kinds)"
    )


def _near(path: Path) -> str:
    """Return words that name the nearest thing that can be read; "" where there is none."""
    for archive in _archives(path):
        check = shlex.join(["data_prep", "check", str(archive)])
        return f"; {archive.name} in it can be read: {check}"
    for place, kind in _around(path):
        return f"; {place} looks like {kind}"
    for kind, pattern in SIGNS:
        for sign in sorted(path.glob(pattern)):
            check = shlex.join(["data_prep", "check", kind, str(path)])
            return f"; it has {sign.relative_to(path)}: {check} says why that cannot be read"
    return ""


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


def _archives(path: Path) -> list[Path]:
    """Return the archives in a folder that can be read."""
    if not path.is_dir():
        return []
    return [file for file in sorted(path.iterdir()) if file.name.lower().endswith(SUFFIXES)]


def _around(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the folders in a folder, and then the one that it is in, that look like one kind."""
    places: list[Path] = []
    if path.is_dir():
        folders = (inner for inner in sorted(path.iterdir()) if inner.is_dir())
        places += islice(folders, FEW)
    for place in (*places, path.absolute().parent):
        found = likely(place)
        if len(found) == 1:
            yield place, found[0]
