"""The committed files of the zoo, and the places of written files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import netgen
from netgen.launcher import LAUNCHER
from netgen.writer import texts, write
from netgen.zoo.registry import committed_ids
from ssd_common import machine
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
    *nets, guide = write(detector)
    assert {p.name for p in nets} == NAMES
    assert guide == Path("models/README.md")
    assert {p.name for p in Path("runs/mine").iterdir()} == NAMES
    solver = Path("runs/mine/solver.prototxt").read_text()
    assert 'train_net: "runs/mine/train.prototxt"' in solver
    assert 'snapshot_prefix: "runs/mine/snapshots/ssd300_voc0712"' in solver
    assert write(detector) == [], "unchanged files are not touched"
    changed = write(netgen.configure("ssd300", out="runs/mine", gpus=[1]))
    assert [path.name for path in changed] == ["solver.prototxt", LAUNCHER]


def test_what_a_killed_process_left_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    detector = netgen.configure("ssd300", out="runs/mine", gpus=[0])
    folder = Path(detector.net_folder)
    folder.mkdir(parents=True)
    for name in ("train.prototxt", "notes"):
        (folder / f".{name}.{machine.signature()}-9999.tmp").touch()
    write(detector)
    assert [path.name.split(".")[1] for path in folder.glob(".*")] == ["notes"]


def test_the_guide_to_weights_comes_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """train.sh names models/README.md, which nobody has outside this repository."""
    monkeypatch.chdir(tmp_path)
    assert "models/README.md" in texts(netgen.configure("ssd300"))[LAUNCHER]
    netgen.write("dsod300")  # from scratch
    assert not Path("models").exists()
    assert Path("models/README.md") in netgen.write("ssd300")
    text = Path("models/README.md").read_text(encoding="utf-8")
    assert text == (ROOT / "models/README.md").read_text(encoding="utf-8")
    Path("models/README.md").write_text("ours")
    netgen.write("ssd300", gpus=[])
    assert Path("models/README.md").read_text() == "ours"


def test_nets_need_no_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that models/ cannot be made in keeps no one from writing nets."""
    monkeypatch.chdir(tmp_path)
    Path("models").touch()
    assert {path.name for path in netgen.write("ssd300")} == NAMES
