"""The committed files of the zoo, and the places of written files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import netgen
from netgen.launcher import LAUNCHER
from netgen.writer import texts, write
from netgen.zoo.registry import committed_ids
from tests.support import ROOT

NAMES = {"train.prototxt", "test.prototxt", "deploy.prototxt", "solver.prototxt", LAUNCHER}


@pytest.mark.parametrize("zoo_id", committed_ids())
def test_committed_files_are_what_netgen_writes(zoo_id: str) -> None:
    folder = ROOT / "prototxt" / zoo_id
    wanted = texts(netgen.configure(zoo_id))
    assert {path.name for path in folder.iterdir()} == set(wanted) >= NAMES
    for name, content in wanted.items():
        assert (folder / name).read_bytes() == content.encode(), f"{name}: run make prototxt"
    assert os.access(folder / LAUNCHER, os.X_OK)


def test_nothing_else_is_committed() -> None:
    assert {path.name for path in (ROOT / "prototxt").iterdir()} == set(committed_ids())
    assert sum(path.stat().st_size for path in (ROOT / "prototxt").glob("*/*")) < 12e6  # bytes


def test_writes_below_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    detector = netgen.configure("ssd300", out="runs/mine", gpus=[0])
    assert {p.name for p in write(detector)} == NAMES
    assert {p.name for p in Path("runs/mine").iterdir()} == NAMES
    solver = Path("runs/mine/solver.prototxt").read_text()
    assert 'train_net: "runs/mine/train.prototxt"' in solver
    assert 'snapshot_prefix: "runs/mine/snapshots/ssd300_voc0712"' in solver
    assert write(detector) == [], "unchanged files are not touched"
    changed = write(netgen.configure("ssd300", out="runs/mine", gpus=[1]))
    assert [path.name for path in changed] == ["solver.prototxt", LAUNCHER]
