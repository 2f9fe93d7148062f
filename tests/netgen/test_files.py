"""The committed files of the zoo, and what is written where."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import netgen
from netgen.writer import LAUNCHER, texts, write
from netgen.zoo import get, headlines
from tests.support import ROOT

NAMES = {"train.prototxt", "test.prototxt", "deploy.prototxt", "solver.prototxt", LAUNCHER}
needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="no bash")


@pytest.mark.parametrize("zoo_id", headlines())
def test_committed_files_are_what_netgen_writes(zoo_id: str) -> None:
    folder = ROOT / "prototxt" / zoo_id
    wanted = texts(get(zoo_id))
    assert {path.name for path in folder.iterdir()} == set(wanted) >= NAMES
    for name, content in wanted.items():
        assert (folder / name).read_bytes() == content.encode(), f"{name}: run netgen build --all"
    assert os.access(folder / LAUNCHER, os.X_OK)


def test_nothing_else_is_committed() -> None:
    assert {path.name for path in (ROOT / "prototxt").iterdir()} == set(headlines())
    assert sum(path.stat().st_size for path in (ROOT / "prototxt").glob("*/*")) < 12e6  # bytes


@needs_bash
@pytest.mark.parametrize("zoo_id", headlines())
def test_launchers_are_bash(zoo_id: str) -> None:
    script = ROOT / "prototxt" / zoo_id / LAUNCHER
    assert "set -euo pipefail" in script.read_text()
    subprocess.run(["bash", "-n", script], check=True)


def test_writes_below_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    detector = netgen.configure("ssd300", out="runs/mine", gpus=[0])
    assert {p.name for p in write(detector)} == NAMES
    assert {p.name for p in Path("runs/mine").iterdir()} == NAMES
    solver = Path("runs/mine/solver.prototxt").read_text()
    assert 'train_net: "runs/mine/train.prototxt"' in solver
    assert 'snapshot_prefix: "runs/mine/snapshots/ssd300_voc0712"' in solver
    assert write(detector) == [], "nothing is touched that has not changed"
    assert [p.name for p in write(netgen.configure("ssd300", out="runs/mine", gpus=[1]))] == ["solver.prototxt", LAUNCHER]


@needs_bash
@pytest.mark.parametrize("absolute", [False, True])
def test_launcher_runs_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absolute: bool) -> None:
    """From anywhere: with weights if they are there, and from the newest snapshot, counted and not spelt."""
    home = tmp_path / "a home"
    home.mkdir()
    monkeypatch.chdir(home)
    out = str(home / "runs/m y") if absolute else "runs/m y"
    write(netgen.configure("ssd300", out=out, gpus=[2, 3]))
    engine = tmp_path / "caffe/build/tools/caffe"
    engine.parent.mkdir(parents=True)
    engine.write_text('#!/bin/sh\npwd\nprintf "%s\\n" "$@"\n')
    engine.chmod(0o755)

    def run() -> list[str]:
        command = [home / "runs/m y" / LAUNCHER, "--more"]
        done = subprocess.run(
            command, cwd="/", env=os.environ | {"CAFFE_ROOT": str(tmp_path / "caffe")}, capture_output=True, text=True, check=True
        )
        where, *arguments = done.stdout.splitlines()
        assert Path(where) == home.resolve()
        assert arguments[:3] == ["train", f"--solver={out}/solver.prototxt", "--gpu=2,3"]
        assert arguments[-1] == "--more"
        return [*arguments[3:-1], *done.stderr.splitlines()]

    (note,) = run()
    assert "random weights" in note
    weights = home / "models/VGG_ILSVRC_16_layers_fc_reduced.caffemodel"
    weights.parent.mkdir()
    weights.touch()
    assert run() == ["--weights=models/VGG_ILSVRC_16_layers_fc_reduced.caffemodel"]
    snapshots = home / "runs/m y/snapshots"
    for iteration in (900, 1000):
        (snapshots / f"ssd300_voc0712_iter_{iteration}.solverstate").touch()
    assert run() == [f"--snapshot={out}/snapshots/ssd300_voc0712_iter_1000.solverstate"]


def test_from_scratch_and_on_the_cpu() -> None:
    script = texts(get("fssd_tiny_shapes"))[LAUNCHER]
    assert "weights" not in script
    assert "--gpu" not in script
