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
    """Make a folder hold these files alone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path, data in sorted(tree.items()):
        if data is None:
            (folder / path).mkdir(exist_ok=True)
        else:
            (folder / path).write_bytes(data)


def identity(tree: Tree) -> frozenset[tuple[str, bytes | None]]:
    """Return what two trees have in common that differ by temporary names and locks alone."""
    kept = {path: data for path, data in tree.items() if not path.endswith(".lock")}
    return frozenset((_CHANCE.sub("#", path), data) for path, data in kept.items())
