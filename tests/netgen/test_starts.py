"""Detectors that start from another detector's run: the newest of its snapshots counts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import netgen
from netgen.cli import main
from netgen.launcher import LAUNCHER
from netgen.starts import found_weights
from netgen.writer import write
from netgen.zoo.registry import entries
from tests.support import ROOT, needs_shellcheck, shellcheck

needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
BEFORE = "runs/ssd321_resnet101_voc0712/snapshots"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def leave(folder: str, *names: str) -> None:
    """Leave files in a folder, as a run does."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        Path(folder, name).touch()


def engine_arguments(folder: str, **environment: str) -> list[str]:
    """Return the arguments after the solver that a launcher gives an engine; [] if it gives up."""
    engine = Path("caffe/build/tools/caffe")
    engine.parent.mkdir(parents=True, exist_ok=True)
    engine.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    engine.chmod(0o755)
    done = subprocess.run(
        [f"{folder}/{LAUNCHER}"],
        env=os.environ | {"CAFFE_ROOT": os.path.abspath("caffe")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == bool(done.stdout), done.stderr
    return done.stdout.splitlines()[2:]


@needs_bash
def test_a_launcher_takes_the_newest_weights(work: Path) -> None:
    write(netgen.configure("dssd321", gpus=[]))
    assert not engine_arguments("prototxt/dssd321_voc0712"), "stops without any"
    leave(BEFORE, "ssd321_resnet101_voc0712_iter_9.caffemodel", ".x_iter_99.caffemodel.a.tmp")
    leave(BEFORE, "ssd321_resnet101_voc0712_iter_500.solverstate", ".x_iter_600.caffemodel")
    took = engine_arguments("prototxt/dssd321_voc0712")
    assert took == [f"--weights={BEFORE}/ssd321_resnet101_voc0712_iter_9.caffemodel"]
    leave(BEFORE, "another name_iter_10.caffemodel.h5")
    took = engine_arguments("prototxt/dssd321_voc0712")
    assert took == [f"--weights={BEFORE}/another name_iter_10.caffemodel.h5"]
    assert found_weights(netgen.configure("dssd321")) == took[0].removeprefix("--weights=")
    leave(".", "mine.caffemodel")
    took = engine_arguments("prototxt/dssd321_voc0712", WEIGHTS="mine.caffemodel")
    assert took == ["--weights=mine.caffemodel"]


@needs_bash
@pytest.mark.parametrize("zoo_id", ["dssd321", "dssd321_voc0712_ft", "fssd300_voc0712_plus"])
def test_a_run_that_is_named(work: Path, zoo_id: str) -> None:
    main(["build", zoo_id, "--start", "it's mine", "--gpus", "cpu", "--out", "r", "--quiet"])
    leave("it's mine/snapshots", "x_iter_3.caffemodel", "x_iter_12.caffemodel")
    assert engine_arguments("r") == ["--weights=it's mine/snapshots/x_iter_12.caffemodel"]


def test_without_snapshots_the_last_is_named(work: Path) -> None:
    run = netgen.configure("dssd321")
    assert found_weights(run) == run.weights
    run = netgen.configure("ssd300")
    assert found_weights(run) == run.weights == "models/VGG_ILSVRC_16_layers_fc_reduced.caffemodel"


def test_print(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave(BEFORE, "ssd321_resnet101_voc0712_iter_1.caffemodel")
    main(["build", "dssd321", "--print", "weights", "--print", "starts_from"])
    assert capsys.readouterr().out.splitlines() == [
        f"{BEFORE}/ssd321_resnet101_voc0712_iter_1.caffemodel",
        "ssd321_resnet101_voc0712",
    ]
    for zoo_id, wanted in [
        ("dssd321_voc0712_ft_release", "dssd321_voc0712_release"),
        ("fssd300_voc0712_plus_fc7", "ssd300_voc0712"),
        ("fssd300_coco_plus", "ssd300_coco"),
        ("ssd300", ""),
    ]:
        main(["build", zoo_id, "--print", "starts_from"])
        assert capsys.readouterr().out == f"{wanted}\n"
        assert wanted in {"", *entries()}


@needs_shellcheck
def test_a_launcher_with_a_start_is_clean() -> None:
    for start in ("a/b", "it's mine"):
        for zoo_id in ("dssd321", "fssd300_voc0712_plus", "m2det512_vgg_coco"):
            run = netgen.configure(zoo_id, start=start)
            shellcheck(netgen.launcher.launcher(run))


def started(work: Path, parent: str, weights: str, **environment: str) -> list[str]:
    """Return the run that scripts/lib.sh lets a detector start from, and what it says."""
    call = f'source scripts/lib.sh; start_after {parent} {weights}; echo "start=$start"'
    commands = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # as run.sh has them
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", call],
        cwd=ROOT,
        env=os.environ
        | {"PATH": commands, "RUNS": str(work), "DATASET": "", "WEIGHTS": ""}
        | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [*done.stderr.splitlines(), *done.stdout.splitlines()]


@needs_bash
def test_make_finds_the_run_before(work: Path) -> None:
    """In RUNS, and under the name of the folder that DATASET lies in."""
    parent, last = "ssd321_resnet101_voc0712", "runs/x/snapshots/x_iter_70000.caffemodel"
    said = started(work, parent, last)
    assert said[0].startswith(f"no weights in {work}/{parent}: ")
    assert said[-1] == f"start={work}/{parent}", "the launcher says the rest"
    leave(f"{parent}/snapshots", "y_iter_1.caffemodel")
    weights = f"{work}/{parent}/snapshots/y_iter_1.caffemodel"
    assert started(work, parent, last) == [f"starts from {weights}", f"start={work}/{parent}"]
    assert started(work, parent, last, WEIGHTS="z.caffemodel") == ["start="]
    assert started(work, "''", "''") == ["start="]
    leave("data/mine", "dataset.json")
    leave("ssd321_resnet101_mine/snapshots", "other_iter_2.caffemodel")
    for dataset in ("data/mine/dataset.json", "data/mine"):
        said = started(work, parent, last, DATASET=str(work / dataset))
        assert said[-1] == f"start={work}/ssd321_resnet101_mine"


@needs_bash
def test_make_takes_a_published_file_first(work: Path) -> None:
    published = work / "published.caffemodel"
    assert started(work, "ssd300_voc0712", str(published)) == ["start="]
    leave("ssd300_voc0712/snapshots", "x_iter_1.caffemodel")
    assert started(work, "ssd300_voc0712", str(published))[-1] == f"start={work}/ssd300_voc0712"
    published.touch()
    assert started(work, "ssd300_voc0712", str(published)) == ["start="]


@pytest.mark.parametrize("zoo_id", ["dssd321", "fssd_tiny", "mobilenet_ssd300_coco", "dsod300"])
def test_what_was_just_written_is_no_other_net(
    work: Path, capsys: pytest.CaptureFixture[str], zoo_id: str
) -> None:
    """Else a second `make` starts over in place of going on."""
    main(["build", zoo_id, "--out", "r", "--quiet"])
    main(["build", zoo_id, "--out", "r", "--batch", "2", "--print", "net_changed"])
    assert capsys.readouterr().out == "no\n"
