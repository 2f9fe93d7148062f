"""Builds of many images, and the files that they leave."""

from __future__ import annotations

from pathlib import Path

from data_prep.cli import main

COUNT = 60
COMMIT = 10


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def run(root: Path, out: Path, *more: object) -> dict[str, bytes]:
    """Every file that a build makes."""
    main([str(a) for a in ("voc", root, "--out", out / "lmdb", *more)])
    return contents(out)
