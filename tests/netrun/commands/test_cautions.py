"""Training and tests warn, once, of what runs and gives another score than the one meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.netrun.commands.support import SOLVER, netrun


def warnings(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = capsys.readouterr().err.splitlines()
    return [line.partition("] ")[2] for line in lines if line.startswith("W")]


def trained(capsys: pytest.CaptureFixture[str], folder: Path, old: str, new: str) -> list[str]:
    """What training warns of with a change to the solver or its net."""
    net = Path("test.prototxt").read_text()
    assert old in SOLVER + net
    (folder / "net.prototxt").write_text(net.replace(old, new))
    solver = SOLVER.replace(old, new).replace("test.prototxt", f"{folder}/net.prototxt")
    solver = solver.replace("snap/n", f"{folder}/n").replace("max_iter: 8", "max_iter: 4")
    (folder / "solver.prototxt").write_text(solver)
    assert netrun("train", "--solver", f"{folder}/solver.prototxt") == 0
    return [line for line in warnings(capsys) if "no ground truth" not in line]


def scored(capsys: pytest.CaptureFixture[str], folder: Path, old: str, new: str, *argv: str):
    """What a test warns of with a change to its net."""
    net = Path("test.prototxt").read_text()
    assert old in net
    (folder / "net.prototxt").write_text(net.replace(old, new))
    weights = ("--weights", "snap/n_iter_8.caffemodel")
    assert netrun("test", "--model", f"{folder}/net.prototxt", *weights, *argv) == 0
    return warnings(capsys)


EVALUATE = "detection_evaluate_param { num_classes: "
FEWER = "5, 6 in 'detection_out': the mean leaves out class 5; set num_classes: 6"


def test_training_warns_before_it_starts(here: Path, capsys, tmp_path: Path) -> None:
    (line,) = trained(capsys, tmp_path, f"{EVALUATE}6", f"{EVALUATE}5")
    assert FEWER in line
    (line,) = trained(capsys, tmp_path, "test_iter: 3", "test_iter: 2")
    assert "leaves out 2 of the 6 images (data/test_lmdb); set test_iter: 3" in line
    (line,) = trained(capsys, tmp_path, "test_iter: 3", "test_iter: 4")
    assert "counts 2 of the 6 images (data/test_lmdb) twice; set test_iter: 3" in line


def test_a_solver_without_eval_type_says_so_in_place_of_thousands_of_rows(
    here: Path, capsys, tmp_path: Path
) -> None:
    assert netrun("train", "--solver", solver_without_eval_type(tmp_path)) == 0
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if 'set eval_type: "detection"' in line]
    assert len(told) == 2  # before training, and in place of the score of iteration 4
    assert not [line for line in lines if "Test net output" in line]


def solver_without_eval_type(folder: Path) -> str:
    solver = SOLVER.replace('eval_type: "detection"', "").replace("snap/n", f"{folder}/n")
    path = folder / "solver.prototxt"
    path.write_text(solver.replace("max_iter: 8", "max_iter: 4"))
    Path(folder, "test.prototxt").write_text(Path("test.prototxt").read_text())
    return str(path)


def test_tests_warn(here: Path, capsys, tmp_path: Path) -> None:
    (line,) = scored(capsys, tmp_path, f"{EVALUATE}6", f"{EVALUATE}5")
    assert line.endswith(FEWER)
    batch = "batch_size: 2"
    (line,) = scored(capsys, tmp_path, batch, "batch_size: 4")
    assert line.endswith("twice; batch_size: 3 and --iterations 2 count each once")
    lines = scored(capsys, tmp_path, batch, batch, "--iterations", "2")
    assert "leaves out 2 of the 6 images (data/test_lmdb); set --iterations 3" in lines[0]
    assert scored(capsys, tmp_path, batch, batch) == []
