"""Folders of files as dictionaries."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from tests.faults.disk import Tree

_CHANCE = re.compile(r"[0-9a-f]{4,}|\d{3,}")  # parts of temporary names that differ each time


def read(folder: Path) -> Tree:
    """Read all files below a folder."""
    tree: Tree = {}
    for root, folders, files in os.walk(folder):
        inner = Path(root)
        for name in folders:
            tree[str((inner / name).relative_to(folder))] = None
        for name in files:
            tree[str((inner / name).relative_to(folder))] = (inner / name).read_bytes()
    return tree


def write(tree: Tree, folder: Path) -> None:
    """Make a folder hold these files alone, all of the same age."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path, data in sorted(tree.items()):
        if data is None:
            (folder / path).mkdir(exist_ok=True)
        else:
            (folder / path).write_bytes(data)
            os.utime(folder / path, (0, 0))


def identity(tree: Tree, unread: re.Pattern[str]) -> frozenset[tuple[str, bytes | None]]:
    """Return what a tree has in common with others that need not be tried as well.

    Temporary files may have other names, and locks may be missing.
    unread: files and folders whose content may differ, too, as the next run removes them unread.
    """
    found: set[tuple[str, bytes | None]] = set()
    for path, data in tree.items():
        match = unread.search(path)
        if match:
            found.add((_CHANCE.sub("#", path[: match.end()]), None))
        elif not path.endswith(".lock"):
            found.add((_CHANCE.sub("#", path), data))
    return frozenset(found)
