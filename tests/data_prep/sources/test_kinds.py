"""Kinds of data sets register themselves: a new one is one file in data_prep/sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from caffe_ir import records
from caffe_ir.lmdb_reader import LmdbReader
from data_prep.sources import KINDS, kind
from ssd_common.errors import CaffeError
from tests.support import ROOT

# Every line of points.txt is an image's name and the corners of a box.
POINTS = '''
"""A new kind."""

from pathlib import Path

from data_prep.sources.kind import Kind, Option, register
from data_prep.sources.source import NO_ALIASES, Annotation, Item, Object


class Points:
    whole_pixels = False
    classes = None
    aliases = NO_ALIASES

    def __init__(self, root: Path, shift: int) -> None:
        self.root = root
        self.shift = shift

    def items(self) -> list[Item]:
        lines = (self.root / "points.txt").read_text().splitlines()
        return [Item(line.split()[0], "points.txt", content=line) for line in lines]

    def sets(self) -> list[str]:
        return []

    def file(self, item: Item) -> str:
        return str(self.root / item.annotation)

    def read(self, item: Item) -> Annotation:
        corners = [int(word) + self.shift for word in item.content.split()[1:]]
        return Annotation(0, 0, [Object("point", False, *corners, 1)])


SHIFT = Option("shift", "pixels to add", type=int, default=0)
KIND = Kind(
    name="points",
    position=99,
    title="a file of points",
    notes="",
    examples="data_prep points DIR",
    folder="folder with points.txt",
    open=Points,
    options=(SHIFT,),
)
register(KIND)
'''


def run(house: Path, *argv: object) -> str:
    """What the data_prep of a folder prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(house), str(ROOT)])}
    words = [sys.executable, "-m", "data_prep", *map(str, argv)]
    done = subprocess.run(
        words, cwd=house, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with a data_prep that has one file more."""
    left_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "data_prep", tmp_path / "data_prep", ignore=left_out)
    (tmp_path / "data_prep/sources/points.py").write_text(POINTS)
    return tmp_path


def test_a_new_kind_is_one_file(house: Path, jpeg: bytes) -> None:
    assert "points" in run(house, "--help")
    assert "--shift" in run(house, "stats", "points", "--help")
    (house / "a.jpg").write_bytes(jpeg)
    (house / "points.txt").write_text("a.jpg 1 2 10 20\n")
    found = run(house, "check", "points", ".", "--shift", 3)
    assert found == "points: 1 images; 1 objects: point 1\nnothing is wrong\n"
    run(house, "points", ".", "--shift", 3, "--out", "db")
    record = records.parse(LmdbReader(house / "db").value(0))
    box = record.annotation_group[0].annotation[0].bbox
    # The photograph is 64 x 48.
    assert records.corners(box) == pytest.approx((4 / 64, 5 / 48, 13 / 64, 23 / 48))


def test_kinds_are_in_the_order_of_help() -> None:
    first = ["voc", "coco", "csv", "yolo", "kitti", "ilsvrc", "annoset", "cvat", "labelme"]
    assert list(KINDS)[: len(first)] == first
    for name, found in KINDS.items():
        assert found.name == name


def test_a_name_is_taken_once() -> None:
    with pytest.raises(CaffeError, match=r"kind 'voc' of data sets is registered twice"):
        kind.register(KINDS["voc"])
