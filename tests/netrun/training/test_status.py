"""How far a run is, read from its folder: whole, half there, moved, foreign, and in training."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netrun.cli import main
from netrun.training.run_log import LoggedScore
from netrun.training.status import status
from ssd_common.errors import CaffeError

LINE = "I1121 02:03:04.000000  1234 "
SOLVER = 'max_iter: 30 snapshot_prefix: "%s/snapshots/net" ap_version: "MaxIntegral"'


def lines(*messages: str) -> str:
    return "".join(f"{LINE}{message}\n" for message in messages)


def trained(loss: float, iteration: int) -> str:
    return f"solver.cpp:243] Iteration {iteration}, loss = {loss:g}"


def scored(value: float, iteration: int, net: int = 0) -> tuple[str, str]:
    """The two lines of a test."""
    return (
        f"solver.cpp:433] Iteration {iteration}, Testing net (#{net})",
        f"solver.cpp:546]     Test net output #0: detection_eval = {value:g}",
    )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """runs/mine, trained to iteration 20 of 30, with files of others beside its own."""
    monkeypatch.chdir(tmp_path)
    folder = Path("runs/mine")
    snapshots = folder / "snapshots"
    snapshots.mkdir(parents=True)
    (folder / "solver.prototxt").write_text(SOLVER % folder)
    for i in (9, 10, 20):
        for kind in ("caffemodel", "solverstate"):
            (snapshots / f"net_iter_{i}.{kind}").touch()
    (snapshots / "net_iter_20.solverstate").unlink()
    for foreign in (
        "other_iter_40.caffemodel",
        "net_iter_x.caffemodel",
        ".net_iter_50.caffemodel.1.tmp",
    ):
        (snapshots / foreign).touch()
    (snapshots / "net_iter_60.caffemodel").mkdir()
    said = [
        trained(9.5, 0),
        trained(5.25, 10),
        *scored(0.25, 10),
        trained(3.125, 20),
        *scored(0.5, 20),
    ]
    (folder / "train.log").write_text(lines(*said))
    return folder


def test_whole(run: Path) -> None:
    found = status(run)
    assert (found.run, found.iteration, found.max_iter) == ("runs/mine", 20, 30)
    assert (found.weights, found.weights_iteration) == (
        "runs/mine/snapshots/net_iter_20.caffemodel",
        20,
    )
    assert found.state == "runs/mine/snapshots/net_iter_10.solverstate"
    assert (found.first_loss, found.loss, found.losses) == (
        9.5,
        3.125,
        {0: 9.5, 10: 5.25, 20: 3.125},
    )
    assert found.scores == (
        LoggedScore("detection_eval", 10, 0.25),
        LoggedScore("detection_eval", 20, 0.5),
    )
    assert (found.score, found.tested) == (found.scores[1], True)
    assert found.ap_version == "MaxIntegral"
    assert found.pid is None


def test_only_the_last_ten_losses_but_the_first_of_all(run: Path) -> None:
    (run / "train.log").write_text(lines(*(trained(100 - i, i) for i in range(25))))
    found = status(run)
    assert found.first_loss == 100
    assert list(found.losses) == list(range(15, 25))
    assert found.iteration == 24


def test_a_run_that_has_not_begun(run: Path) -> None:
    (run / "train.log").unlink()
    for file in (run / "snapshots").glob("net_iter_*.*"):
        if file.is_file():
            file.unlink()
    found = status(run)
    assert (found.iteration, found.max_iter) == (0, 30)
    assert (found.weights, found.weights_iteration, found.state) == (None, None, None)
    assert (found.first_loss, found.loss, found.losses) == (None, None, {})
    assert (found.scores, found.score, found.tested) == ((), None, False)


def test_without_a_solver_any_snapshot_counts(run: Path) -> None:
    (run / "solver.prototxt").unlink()
    found = status(run)
    assert (found.max_iter, found.ap_version) == (None, None)
    assert found.weights == "runs/mine/snapshots/other_iter_40.caffemodel"


def test_snapshots_as_hdf5(run: Path) -> None:
    for kind in ("caffemodel", "solverstate"):
        (run / f"snapshots/net_iter_30.{kind}.h5").touch()
    found = status(run)
    assert (found.weights, found.state) == tuple(
        f"runs/mine/snapshots/net_iter_30.{kind}.h5" for kind in ("caffemodel", "solverstate")
    )


def test_a_moved_run_has_its_own_snapshots(run: Path) -> None:
    """Its solver still names the folder where the next run is now."""
    run.rename("runs/earlier")
    (run / "snapshots").mkdir(parents=True)
    (run / "snapshots/net_iter_25.caffemodel").touch()
    assert status("runs/earlier").weights == "runs/earlier/snapshots/net_iter_20.caffemodel"


def test_a_folder_of_nets_has_the_snapshots_that_its_solver_names(run: Path) -> None:
    nets = Path("prototxt/mine")
    nets.mkdir(parents=True)
    (run / "solver.prototxt").rename(nets / "solver.prototxt")
    assert status(nets).weights == "runs/mine/snapshots/net_iter_20.caffemodel"


def test_a_prefix_within_the_run(run: Path) -> None:
    (run / "solver.prototxt").write_text('max_iter: 30 snapshot_prefix: "kept/net"')
    (run / "snapshots").rename(run / "kept")
    assert status(run).weights == "runs/mine/kept/net_iter_20.caffemodel"


@pytest.mark.parametrize(
    "torn",
    [
        trained(7, 300)[:-1],
        "solver.cpp:243] Iteration 3",
        "solver.cpp:546]     Test net output #0: detection_eval = 0.",
    ],
)
def test_a_torn_last_line_counts_for_nothing(run: Path, torn: str) -> None:
    before = status(run)
    with (run / "train.log").open("a") as file:
        file.write(LINE + torn)
    assert status(run) == before


def test_a_log_of_anything_else_is_passed_over(run: Path) -> None:
    (run / "train.log").write_bytes(
        b"\xff\x00\n" + lines(trained(2, 4)).encode() + b"Traceback (most recent call last):\n\n"
    )
    assert status(run).losses == {4: 2}


def test_the_scores_of_the_test_command_have_no_iteration(run: Path) -> None:
    with (run / "train.log").open("a") as file:
        file.write(lines("caffe.cpp:285] Running for 3 iterations.", scored(0.75, 0)[1]))
    found = status(run)
    assert found.score == LoggedScore("detection_eval", None, 0.75)
    assert found.tested


def test_what_a_resumed_run_does_again_is_forgotten(run: Path) -> None:
    with (run / "train.log").open("a") as file:
        file.write(
            lines("caffe.cpp:285] Running for 3 iterations.", scored(0.75, 0)[1], trained(5, 10))
        )
    found = status(run)
    assert found.losses == {0: 9.5, 10: 5}
    assert found.scores == ()
    assert not found.tested
    assert found.iteration == 20  # of the weights


def test_several_test_nets(run: Path) -> None:
    (run / "train.log").write_text(lines(*scored(0.25, 20), *scored(0.5, 20, net=1)))
    assert [score.output for score in status(run).scores] == ["detection_eval", "#1 detection_eval"]


def test_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (run / "train.log").open("a") as file:
        file.write(lines(trained(math.nan, 21)))
    assert main(["status", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "run": "runs/mine",
        "iteration": 21,
        "max_iter": 30,
        "weights": "runs/mine/snapshots/net_iter_20.caffemodel",
        "weights_iteration": 20,
        "state": "runs/mine/snapshots/net_iter_10.solverstate",
        "first_loss": 9.5,
        "loss": None,
        "score": 0.5,
        "ap_version": "MaxIntegral",
        "tested": True,
        "pid": None,
        "losses": [
            {"iteration": 0, "loss": 9.5},
            {"iteration": 10, "loss": 5.25},
            {"iteration": 20, "loss": 3.125},
            {"iteration": 21, "loss": None},
        ],
        "scores": [
            {"output": "detection_eval", "iteration": 10, "value": 0.25},
            {"output": "detection_eval", "iteration": 20, "value": 0.5},
        ],
    }


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("iteration", "20"),
        ("max_iter", "30"),
        ("weights", "runs/mine/snapshots/net_iter_20.caffemodel"),
        ("loss", "3.125"),
        ("score", "0.5"),
        ("tested", "true"),
        ("pid", ""),
    ],
)
def test_one_value_for_a_shell(
    run: Path, key: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", str(run), "--print", key]) == 0
    assert capsys.readouterr().out == said + "\n"


def test_for_people(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(run)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "run             runs/mine",
        "iteration       20 of 30",
        "weights         runs/mine/snapshots/net_iter_20.caffemodel",
        "state           runs/mine/snapshots/net_iter_10.solverstate",
        "loss            9.5 -> 3.125 at iteration 20",
        "detection_eval  0.5 at iteration 20",
        "process         not running",
    ]


def test_refusals(run: Path) -> None:
    with pytest.raises(CaffeError, match=r"^runs/none: no such folder$"):
        status("runs/none")
    with pytest.raises(
        CaffeError,
        match=r"^runs: not a run's folder: it has no solver.prototxt, snapshots/ or train.log$",
    ):
        status("runs")
    (run / "solver.prototxt").write_text("max_itr: 3")
    with pytest.raises(
        CaffeError, match=r"runs/mine/solver.prototxt:1:1: .*did you mean 'max_iter'"
    ):
        status(run)


@pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="processes are found by Linux's /proc"
)
@pytest.mark.parametrize(
    "words",
    [
        ["train", "--solver=runs/mine/solver.prototxt"],
        ["train", "-solver", "runs/mine/solver.prototxt"],
        ["log"],
    ],
)
def test_the_process_that_trains(run: Path, words: list[str]) -> None:
    """A process by its command line, or, where a script trains, by the log that it writes."""
    log = run / "train.log"
    code = (
        "import sys, time; kept = [open(sys.argv[1], 'a')] if sys.argv[2] == 'log' else "
        "[]; print(flush=True); time.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(log), *words], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        assert status(run).pid == child.pid
        assert status(run.absolute()).pid == child.pid
        with log.open():  # a reader is not a writer
            pass
    finally:
        child.kill()
        child.communicate()
    assert status(run).pid is None


@pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="processes are found by Linux's /proc"
)
def test_of_several_processes_it_is_the_one_that_started_the_others(run: Path) -> None:
    words = ["train", "--solver=runs/mine/solver.prototxt"]
    child = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)", *words]
    code = f"import subprocess, time; subprocess.Popen({child!r}); time.sleep(600)"
    parent = subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert status(run).pid == parent.pid
    finally:
        os.killpg(parent.pid, 9)
        parent.communicate()
    until = time.monotonic() + 60
    while status(run).pid is not None:
        assert time.monotonic() < until


def test_a_status_prints_without_its_solver(tmp_path: Path) -> None:
    """The solver's message is a page long."""
    (tmp_path / "solver.prototxt").write_text('train_net: "t.prototxt" base_lr: 0.5 max_iter: 9')
    found = status(tmp_path)
    assert found.max_iter == 9
    assert "base_lr" not in repr(found)
