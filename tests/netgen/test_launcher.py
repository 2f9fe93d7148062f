"""The launchers: shell templates, filled in and run with an engine that prints its arguments."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import netgen
from netgen.launcher import LAUNCHER, keep_lines, launcher, template
from netgen.writer import texts, write
from netgen.zoo.registry import committed_ids
from tests.support import ROOT, needs_shellcheck, shellcheck

needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="no bash")


def test_lines_under_a_condition() -> None:
    script = "always\nonly so  #: this\nor so  #: that\n"
    assert keep_lines(script, {"this"}) == "always\nonly so\n"
    assert keep_lines(script, {"this", "that"}) == "always\nonly so\nor so\n"


@pytest.mark.parametrize("indent", ["", "  "])
def test_included_templates_are_indented(
    indent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netgen.launcher._TEMPLATES", tmp_path)
    (tmp_path / "whole.sh").write_text(f"for x in 1; do\n{indent}@@include part.sh\ndone\n")
    (tmp_path / "part.sh").write_text("if a; then\n  b\nfi\n")
    part = f"{indent}if a; then\n{indent}  b\n{indent}fi\n"
    assert template("whole.sh") == f"for x in 1; do\n{part}done\n"


@needs_shellcheck
@pytest.mark.parametrize("body", ["train.sh", "chain.sh"])
def test_templates_are_clean(body: str) -> None:
    shellcheck(template(body))


@needs_shellcheck
@pytest.mark.parametrize(
    ("zoo_id", "options"),
    [
        ("ssd300", {"gpus": [0, 1]}),
        ("ssd300", {"gpus": [], "out": "runs/it's my net"}),
        ("fssd_tiny_shapes", {"gpus": [0, 1]}),  # from scratch
        ("m2det512_vgg_coco", {"gpus": [0, 1]}),  # a chain
        ("m2det512_vgg_coco", {"gpus": [], "out": "/tmp/with a space"}),
        ("dssd321_voc0712", {"gpus": [0, 1]}),  # needs its weights
    ],
)
@pytest.mark.parametrize("python_layers", [False, True])
def test_launchers_are_clean(zoo_id: str, options: dict, python_layers: bool) -> None:
    shellcheck(launcher(netgen.configure(zoo_id, **options), python_layers=python_layers))


@needs_bash
@pytest.mark.parametrize("zoo_id", committed_ids())
def test_launchers_are_bash(zoo_id: str) -> None:
    script = ROOT / "prototxt" / zoo_id / LAUNCHER
    assert "set -euo pipefail" in script.read_text()
    subprocess.run(["bash", "-n", script], check=True)


@needs_bash
@pytest.mark.parametrize("absolute", [False, True])
def test_launcher_runs_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absolute: bool
) -> None:
    """From any directory: with weights if they exist, and from the snapshot of most iterations."""
    home = tmp_path / "a home"
    home.mkdir()
    monkeypatch.chdir(home)
    out = "runs/m y"
    if absolute:
        out = str(home / out)
    write(netgen.configure("ssd300", out=out, gpus=[2, 3]))
    engine = tmp_path / "caffe/build/tools/caffe"
    engine.parent.mkdir(parents=True)
    engine.write_text('#!/bin/sh\npwd\nprintf "%s\\n" "$@"\n')
    engine.chmod(0o755)

    def run() -> list[str]:
        command = [home / "runs/m y" / LAUNCHER, "--more"]
        done = subprocess.run(
            command,
            cwd="/",
            env=os.environ | {"CAFFE_ROOT": str(tmp_path / "caffe")},
            capture_output=True,
            text=True,
            check=True,
        )
        where, *arguments = done.stdout.splitlines()
        assert Path(where) == home.resolve()
        assert arguments[:3] == ["train", f"--solver={out}/solver.prototxt", "--gpu=2,3"]
        assert arguments[-1] == "--more"
        return [*arguments[3:-1], *done.stderr.splitlines()]

    (note,) = run()
    assert "random weights" in note
    weights = home / "models/VGG_ILSVRC_16_layers_fc_reduced.caffemodel"
    weights.touch()
    assert run() == ["--weights=models/VGG_ILSVRC_16_layers_fc_reduced.caffemodel"]
    snapshots = home / "runs/m y/snapshots"
    for iteration in (900, 1000):
        (snapshots / f"ssd300_voc0712_iter_{iteration}.solverstate").touch()
    assert run() == [f"--snapshot={out}/snapshots/ssd300_voc0712_iter_1000.solverstate"]


@needs_bash
@pytest.mark.parametrize("zoo_id", ["ssd300", "m2det512_vgg_coco"])  # one solver; a chain
@pytest.mark.parametrize("name", [".venv", "my environment"])
def test_caffe_does_not_see_the_environment_of_netrun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zoo_id: str, name: str
) -> None:
    """Its folder leaves PATH, for Caffe alone; another environment and PYTHONHOME stay."""
    monkeypatch.chdir(tmp_path)
    write(netgen.configure(zoo_id, out="run", gpus=[]))
    for folder in (name, "other"):
        (tmp_path / folder / "bin").mkdir(parents=True)
        (tmp_path / folder / "pyvenv.cfg").touch()
    ours = tmp_path / name / "bin"
    engine = tmp_path / "caffe/build/tools/caffe"
    engine.parent.mkdir(parents=True)
    for program in (ours / "netrun", engine):
        program.write_text('#!/bin/sh\necho "$PATH" "$PYTHONHOME"\n')
        program.chmod(0o755)
    other = tmp_path / "other/bin"
    path = f"{ours}:{other}:{ours}:/usr/bin:/bin"
    home = {"PATH": path, "PYTHONHOME": "/a/home"}

    def seen(**engine: str) -> str:
        done = subprocess.run(
            [tmp_path / "run" / LAUNCHER],
            env=os.environ | home | engine,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()[0]

    assert seen(CAFFE_ROOT=str(tmp_path / "caffe")) == f"{other}:/usr/bin:/bin /a/home"
    assert seen(CAFFE_ROOT="") == f"{path} /a/home"


def test_from_scratch_and_on_the_cpu() -> None:
    script = texts(netgen.configure("fssd_tiny_shapes"))[LAUNCHER]
    assert "weights" not in script
    assert "--gpu" not in script
