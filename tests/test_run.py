"""The main job from the outside: `scripts/run.sh ZOO_ID`, and `make` with a wrong name."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, SHELLCHECK, needs_shellcheck


def environment(folder: Path, **options: str) -> dict[str, str]:
    found = dict(os.environ)
    for name in ("CAFFE_ROOT", "DATASET", "GPUS", "TARGET"):
        found.pop(name, None)
    found["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    found["DATA"] = str(folder / "data")
    found["RUNS"] = str(folder / "runs")
    return found | options


def run(folder: Path, zoo_id: str, **options: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "scripts/run.sh"), zoo_id]
    return subprocess.run(
        command,
        env=environment(folder, **options),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def first(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """One run of four iterations on a few drawn images."""
    folder = tmp_path_factory.mktemp("a run")  # in a folder with a space
    prepare = [sys.executable, "-m", "data_prep", "shapes", "--out", str(folder / "data/shapes")]
    prepare += ["--train", "12", "--test", "10"]
    subprocess.run(prepare, check=True, capture_output=True, cwd=ROOT)
    return folder, run(folder, "fssd_tiny_shapes", ITERS="4", BATCH="2")


def test_a_run_leaves_weights_log_curve_and_pictures(
    first: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = first
    assert done.returncode == 0, done.stderr
    where = folder / "runs/fssd_tiny_shapes"
    assert len(list(where.glob("snapshots/*_iter_4.caffemodel"))) == 1
    assert len(list(where.glob("snapshots/*_iter_4.solverstate"))) == 1
    assert (where / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert len(json.loads((where / "pictures/detections.json").read_text())) == 8
    assert (where / "pictures/sheet.png").stat().st_size > 10_000
    assert re.search(r"trained +4 of 4 iterations", done.stdout)
    assert re.search(r"mAP +[0-9][0-9.e-]* on", done.stdout)


def test_a_second_run_does_nothing_again(
    first: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = first
    weights = next(folder.glob("runs/fssd_tiny_shapes/snapshots/*_iter_4.caffemodel"))
    before = weights.stat().st_mtime_ns
    again = run(folder, "fssd_tiny_shapes", ITERS="4", BATCH="2")
    assert again.returncode == 0, again.stderr
    assert "already trained to iteration 4" in again.stdout
    assert "already evaluated" in again.stdout
    assert weights.stat().st_mtime_ns == before


def test_more_iterations_resume(first: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = first
    more = run(folder, "fssd_tiny_shapes", ITERS="6", BATCH="2")
    assert more.returncode == 0, more.stderr
    assert "Restoring previous solver status" in more.stderr
    assert re.search(r"trained +6 of 6 iterations", more.stdout)


def test_a_changed_net_starts_over_beside_the_earlier_run(
    first: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder, _ = first
    shutil.copytree(folder / "runs", tmp_path / "runs")
    nets = tmp_path / "runs/fssd_tiny_shapes/train.prototxt"
    moved = nets.read_text().replace(str(folder / "runs"), str(tmp_path / "runs"))
    before = moved.replace("mirror: true", "mirror: false")
    nets.write_text(before)
    changed = run(folder, "fssd_tiny_shapes", ITERS="1", BATCH="2", RUNS=str(tmp_path / "runs"))
    assert changed.returncode == 0, changed.stderr
    assert "the net changed: starting over" in changed.stdout
    (earlier,) = tmp_path.glob("runs/fssd_tiny_shapes.*")
    assert (earlier / "train.prototxt").read_text() == before
    assert list(earlier.glob("snapshots/*.caffemodel"))
    (weights,) = tmp_path.glob("runs/fssd_tiny_shapes/snapshots/*.caffemodel")
    assert weights.name == "fssd_tiny_shapes_iter_1.caffemodel"


def test_own_data_are_trained_on(
    first: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    described = first[0] / "data/shapes/dataset.json"
    done = run(tmp_path, "fssd_tiny_shapes", DATASET=str(described), ITERS="1", BATCH="2")
    assert done.returncode == 0, done.stderr
    assert f"trained     1 of 1 iterations on {described}" in done.stdout
    net = (tmp_path / "runs/fssd_tiny_shapes_shapes/train.prototxt").read_text()
    assert "data/shapes/train_lmdb" in net
    shown = re.search(r"netrun detect .*(?= PHOTO.jpg)", done.stdout)
    assert shown
    photograph = next((first[0] / "data/shapes").rglob("*.jpg"))
    command = [*shlex.split(shown[0]), str(photograph)]
    subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), check=True)
    assert (tmp_path / "pictures/detections.json").is_file()


def test_own_data_that_are_not_there(tmp_path: Path) -> None:
    done = run(tmp_path, "fssd_tiny_shapes", DATASET=str(tmp_path / "dataset.json"))
    assert done.returncode != 0
    error = f"netgen: error: {tmp_path}/dataset.json: No such file or directory"
    assert done.stderr.splitlines()[-1] == error
    assert not (tmp_path / "runs").exists()


def test_without_its_data_a_detector_is_tried_on_drawn_images(tmp_path: Path) -> None:
    done = run(tmp_path, "ssd300_voc0712", ITERS="1", BATCH="1")
    assert done.returncode == 0, done.stderr
    assert f"not found: {tmp_path}/data/VOC0712/VOC0712_trainval_lmdb" in done.stdout
    assert "26,285,486" in done.stdout  # SSD300's parameters, in the table of the check
    trained = r"trained +1 of 1 iterations on .*shapes_trial, a few drawn images, because"
    assert re.search(trained, done.stdout)
    assert "teach a net of this size next to nothing" in done.stdout
    assert len(list(tmp_path.glob("runs/ssd300_voc0712_shapes/snapshots/*_iter_1.caffemodel"))) == 1


def test_ctrl_c_keeps_what_was_learned_and_stops(
    first: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder, _ = first
    options = environment(folder, ITERS="500", BATCH="2", RUNS=str(tmp_path / "runs"))
    command = [str(ROOT / "scripts/run.sh"), "fssd_tiny_shapes"]
    with subprocess.Popen(
        command,
        env=options,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr
        for line in process.stderr:
            if "Iteration 0, loss" in line:
                # As a terminal does: every process in the foreground gets the signal.
                os.killpg(process.pid, signal.SIGINT)
                break
        out, _ = process.communicate(timeout=600)
    assert process.returncode == 130
    stopped = re.search(r"goes on from (\S+\.caffemodel)", out)
    assert stopped
    assert Path(stopped[1]).with_suffix(".solverstate").is_file()


@pytest.mark.parametrize(
    ("name", "nearest"), [("fsd300", "fssd300"), ("ssd300_cocoo", "ssd300_coco"), ("demoo", "demo")]
)
def test_a_wrong_name_gets_the_nearest(name: str, nearest: str) -> None:
    done = subprocess.run(
        ["make", name, f"PYTHON={sys.executable}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"did you mean '{nearest}'?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "name",
    [
        "a;touch pwned",
        "a$(touch pwned)b",
        "`touch pwned`",
        "a'; touch pwned; '",
        'a"; touch pwned; "',
        "a\ntouch pwned",
        "a|touch pwned",
        "a>pwned",
        "*",
    ],
)
def test_a_name_is_no_shell_text(name: str, tmp_path: Path) -> None:
    """The Makefile hands a name on as one word; its programs here print what they get."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    program = tmp_path / "print_last"
    program.write_text('#!/bin/sh\nfor last; do :; done\necho "$#: $last" >&2\nexit 1\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["make", name, f"PYTHON={program}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"3: {name}\n")
    assert not (tmp_path / "pwned").exists()


@needs_shellcheck
def test_scripts_are_clean() -> None:
    scripts = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "scripts").glob("*.sh"))
    command = [SHELLCHECK, "--external-sources", *scripts]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_scripts_ask_the_commands() -> None:
    """Scripts ask the commands for their results, and cut nothing out of their texts."""
    content = "\n".join(path.read_text() for path in (ROOT / "scripts").glob("*.sh"))
    assert not re.findall(r"\b(?:sed|awk|grep)\b", content)
