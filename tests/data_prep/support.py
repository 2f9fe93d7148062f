"""Shared by the tests of data_prep: BCCD, a folder of drawn images to spoil, an LMDB as a dict."""

from __future__ import annotations

import shutil
from pathlib import Path

import lmdb
import pytest

from data_prep.cli import main
from ssd_common.command import run_command
from tests.support import SHARED

BCCD = SHARED / "data/bccd"
GOLDEN = SHARED / "golden/data"


def records(path: Path) -> dict[bytes, bytes]:
    with lmdb.open(str(path), readonly=True, lock=False) as env, env.begin() as transaction:
        return dict(transaction.cursor())


def build(folder: Path, out: Path, *more: object) -> dict[bytes, bytes]:
    main([str(a) for a in ("voc", folder, "--out", out, *more)])
    return records(out)


def refused(capsys: pytest.CaptureFixture[str], *argv: object, status: int = 1) -> str:
    """The one line on stderr of a command that fails with this exit status (2: wrong usage)."""
    assert run_command("data_prep", main, [str(a) for a in argv]) == status
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("data_prep: error: ")
    return lines[0].removeprefix("data_prep: error: ")


XML = """<annotation>
  <size><width>64</width><height>48</height><depth>3</depth></size>
  <object>
    <name>{name}</name><difficult>0</difficult>
    <bndbox><xmin>4</xmin><ymin>5</ymin><xmax>20</xmax><ymax>25</ymax></bndbox>
  </object>
</annotation>
"""


def voc_folder(root: Path, image: bytes, count: int = 3) -> Path:
    """A VOC-style folder of `count` 64x48 images, each with one 'cat'."""
    shutil.rmtree(root, ignore_errors=True)
    for part in ("JPEGImages", "Annotations"):
        (root / part).mkdir(parents=True)
    for i in range(count):
        (root / f"JPEGImages/{i}.jpg").write_bytes(image + bytes([i] * bool(i)))  # no two the same
        (root / f"Annotations/{i}.xml").write_text(XML.format(name="cat"))
    return root
