"""What may happen to a run: killed at any moment, stopped by a cluster, diverging, interrupted
before it began.
"""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from data_prep.cli import main as data_prep
from netrun.cli import main
from netrun.training import snapshot
from ssd_common.errors import CaffeError
from tests.netrun.narrow import train_test_net
from tests.support import ROOT

NET = """name: "small"
layer { name: "d" type: "DummyData" top: "x" top: "y"
  dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 }
  data_filler { type: "gaussian" std: 1 } data_filler { type: "gaussian" std: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "drop" type: "Dropout" bottom: "ip" top: "ip" }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "y" top: "loss" }
"""
SOLVER = """net: "net.prototxt" lr_policy: "step" stepsize: 50 gamma: 0.9 momentum: 0.9
momentum2: 0.99
random_seed: 3 iter_size: 2 solver_mode: CPU """

PATIENCE = 600  # seconds: no busy machine takes so long

TWO = """import sys
from ssd_common.command import run_command
from netrun.cli import loading
def main(argv):
    with loading():
        from netrun.training.distributed import launch
    return launch(argv, 2)
sys.exit(run_command("netrun", main))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    Path("net.prototxt").write_text(NET)
    return tmp_path


def solver(**fields: object) -> list[str]:
    """Write solver.prototxt with these fields; the command that trains it."""
    chosen = {"base_lr": 0.01, "type": "Adam", "snapshot_prefix": "snap/n"} | fields
    words = " ".join(
        f'{name}: "{value}"' if isinstance(value, str) else f"{name}: {value}"
        for name, value in chosen.items()
    )
    Path("solver.prototxt").write_text(SOLVER + words)
    return ["train", "--solver", "solver.prototxt", "--threads", "1"]


def start(command: list[str], error: str = "error.txt") -> subprocess.Popen[bytes]:
    with open(error, "wb") as out:
        return subprocess.Popen([sys.executable, "-m", "netrun", *command], stderr=out)


def start_two(command: list[str]) -> subprocess.Popen[bytes]:
    """As `--gpu 0,1` does it, on the CPU."""
    Path("two.py").write_text(TWO)
    with open("error.txt", "wb") as out:
        return subprocess.Popen([sys.executable, "two.py", *command, "--cpu"], stderr=out)


def wait_for(run: subprocess.Popen[bytes], done: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not done() and run.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.002)


def iterations() -> list[int]:
    return sorted(int(path.stem.rsplit("_", 1)[1]) for path in Path("snap").glob("*.solverstate"))


def test_kill_9_at_any_moment_changes_nothing() -> None:
    """Killed in the midst of writing weights, of writing the state, and of iterating, resumed, it
    ends with the same bytes.
    """
    command = solver(max_iter=10000000, snapshot=1)  # killed before its end, however late that is
    draw = random.Random(4)
    moments: list[Callable[[], object]] = [
        lambda: list(Path("snap").glob(".*.caffemodel.*.tmp")),
        lambda: list(Path("snap").glob(".*.solverstate.*.tmp")),
        lambda: time.sleep(draw.random() * 0.05) or True,
    ]
    reached = 0
    for moment in moments:
        run = start([*command, "--snapshot", "latest"])
        enough = reached + draw.randint(5, 60)
        wait_for(run, lambda enough=enough: len(iterations()) >= enough)
        wait_for(run, moment)
        assert run.poll() is None, Path("error.txt").read_text()
        run.kill()
        run.wait()
        newest = snapshot.latest("snap/n")
        assert newest is not None
        assert snapshot.read(newest).iteration == iterations()[-1] > reached
        reached = iterations()[-1]
    last = reached + 100
    assert start([*solver(max_iter=last, snapshot=1), "--snapshot", "latest"]).wait(PATIENCE) == 0
    assert not list(Path("snap").glob(".*"))
    assert main(solver(max_iter=last, snapshot_prefix="full/n")) == 0
    for kind in ("caffemodel", "solverstate"):
        whole = Path(f"full/n_iter_{last}.{kind}").read_bytes()
        assert Path(f"snap/n_iter_{last}.{kind}").read_bytes() == whole.replace(
            b"full/n", b"snap/n"
        )


def test_a_second_run_on_one_prefix_leaves_the_first_alone() -> None:
    """It says which process is there, before any net is built; a killed run is in nobody's way."""
    command = solver(max_iter=10000000, snapshot=1)
    first = start([*command, "--log", "first.txt"])
    wait_for(first, lambda: len(iterations()) > 3)
    second = start(command, "second.txt")
    assert second.wait(PATIENCE) == 1
    said = Path("second.txt").read_text()
    assert f"error: solver: snapshot_prefix 'snap/n': process {first.pid} is writing there" in said
    assert "Creating training net" not in said
    assert first.poll() is None, Path("error.txt").read_text()
    first.kill()
    first.wait()
    reached = iterations()[-1]
    assert start([*solver(max_iter=reached + 5), "--snapshot", "latest"]).wait(PATIENCE) == 0
    assert iterations()[-1] == reached + 5
    assert not list(Path("snap").glob(".*"))


def test_sigterm_stops_all_processes_with_a_snapshot() -> None:
    run = start_two(solver(max_iter=10000000, display=100))
    wait_for(run, lambda: "Iteration 100, loss" in Path("error.txt").read_text())
    run.terminate()
    assert run.wait(PATIENCE) == 143
    said = Path("error.txt").read_text()
    assert "Traceback" not in said
    assert "Optimization stopped early." in said
    assert snapshot.latest("snap/n") == f"snap/n_iter_{iterations()[-1]}.solverstate"


@pytest.mark.parametrize("begin", [start, start_two])
def test_a_diverging_run_stops_all_its_processes(
    begin: Callable[[list[str]], subprocess.Popen[bytes]],
) -> None:
    """The message names iteration, blob and the snapshot to go back to: the newest, but that rank 0
    may write another just then.
    """
    assert begin(solver(max_iter=100000, snapshot=1, base_lr=1e6, type="SGD")).wait(PATIENCE) == 1
    said = Path("error.txt").read_text()
    assert "Traceback" not in said
    error = (
        r"netrun: error: iteration (\d+): the loss is (?:inf|nan); first non-finite "
        r"blob: .*layer '(.*)'.*; the last good snapshot is (.*)"
    )
    found = re.search(error, said)
    assert found, said
    assert found[2] in ("ip", "loss")
    assert "terminate called" not in said  # what a thread of Gloo's says that outlives Python
    kept = snapshot.read(found[3]).iteration
    assert kept in (iterations()[-1], iterations()[-1] - (begin is start_two))
    assert int(found[1]) >= kept > 0


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_ctrl_c_before_training_is_one_line() -> None:
    """Whatever is being imported, opened or built: no traceback, and 130 where no snapshot tells of
    the run.
    """
    command = solver(max_iter=10000000)
    draw = random.Random(1)
    for begin in (start, start, start, start_two):
        run = begin(command)
        wait_for(
            run, lambda run=run: "/torch/" in Path(f"/proc/{run.pid}/maps").read_text()
        )  # before that, Python itself is starting
        time.sleep(draw.random() * 1.2)
        run.send_signal(signal.SIGINT)
        status = run.wait(PATIENCE)
        said = Path("error.txt").read_text()
        assert "Traceback" not in said, said
        assert status == (0 if re.search(r"stopped early", said) else 130)


def test_nothing_is_imported_once_ctrl_c_is_an_exception() -> None:
    """Between loading and training it is a KeyboardInterrupt, which extension modules that are
    being loaded swallow.
    """
    script = (
        "import sys, netrun.training.train; old = {*sys.modules, 'resource'}; from "
        "netrun.cli import main; main(sys.argv[1:]); "
    )
    script += (
        "print([name for name in {*sys.modules} - old if getattr(sys.modules[name], "
        "'__file__', '').endswith('.so')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *solver(max_iter=1)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_corrupt_records_are_passed_over_or_with_strict_stop(
    capsys: pytest.CaptureFixture[str],
) -> None:
    data_prep(["shapes", "--out", "data", "--train", "6", "--test", "4", "--size", "64"])
    for part in ("train", "test"):
        with (
            lmdb.open(f"data/{part}_lmdb", map_size=1 << 26) as db,
            db.begin(write=True) as transaction,
        ):
            transaction.put(b"00000000_bad", b"\xff")
    Path("net.prototxt").write_text(train_test_net("data/train_lmdb", "data/test_lmdb"))
    train = solver(max_iter=4)
    assert main(train) == 0
    said = capsys.readouterr().err
    assert said.count("record '00000000_bad' cannot be read: not an AnnotatedDatum") == 1
    assert "data/train_lmdb: skipped 1 corrupt records" in said
    test = [
        "test",
        "--model",
        "net.prototxt",
        "--weights",
        "snap/n_iter_4.caffemodel",
        "--threads",
        "1",
    ]
    assert main(test) == 0
    assert "data/test_lmdb: skipped 1 corrupt records" in capsys.readouterr().err
    for command in (train, test):
        with pytest.raises(CaffeError, match="record '00000000_bad' cannot be read"):
            main([*command, "--strict"])
