"""Several processes are one run: two of batch 2 take the steps of one of batch 4."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from caffe_ir import binary
from data_prep.cli import main as data_prep
from netrun import Solver
from netrun.training import distributed
from netrun.weights.files import blob_array
from ssd_common.errors import CaffeError
from tests.netrun.narrow import train_test_net
from tests.support import ROOT

SOLVER = """net: "{net}.prototxt" base_lr: 0.0001 lr_policy: "fixed" momentum: 0.9
weight_decay: 0.0005
max_iter: 4 display: 1 random_seed: 2
test_iter: 3 test_interval: 2 eval_type: "detection" test_initialization: false
snapshot_prefix: "{net}/n" solver_mode: CPU
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """Solvers `two` (batch 2) and `four` (batch 4) of a net without what sees a batch as a whole:
    BatchNorm, Dropout, VALID.

    `two_bn` and `four_bn` are the same with BatchNorm.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(distributed.__file__).parents[1]))
    data_prep(["shapes", "--out", "data", "--train", "10", "--test", "6", "--size", "96"])
    whole = train_test_net("data/train_lmdb", "data/test_lmdb").replace(
        "normalization: VALID", "normalization: BATCH_SIZE"
    )
    for left_out, suffix in (({"Dropout", "BatchNorm"}, ""), ({"Dropout"}, "_bn")):
        net = whole
        for type_ in left_out:  # a layer's further lines are indented
            net = re.sub(rf'layer {{ name: "\w+" type: "{type_}".*\n(  .*\n)*', "", net)
        assert ("BatchNorm" in net) == bool(suffix)
        for name, batch in {"two": 2, "four": 4}.items():
            text = net.replace("batch_size: 2", f"batch_size: {batch}", 1)
            assert name == "two" or text != net
            Path(f"{name}{suffix}.prototxt").write_text(text)
            Path(f"{name}{suffix}_solver.prototxt").write_text(SOLVER.format(net=name + suffix))
    return tmp_path


def weights(path: str) -> dict[str, np.ndarray]:
    return {
        f"{layer.name}/{i}": blob_array(b)
        for layer in binary.read_weights(path).layer
        for i, b in enumerate(layer.blobs)
    }


def with_torchrun(argv: list[str]) -> int:
    """As somebody on one of several machines would start it."""
    start = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "netrun",
    ]
    return subprocess.run([*start, *argv], check=False).returncode


SRUN_STAND_IN = """#!/usr/bin/env bash
# two tasks of a step with the variables that Slurm gives them
[[ $1 == --kill-on-bad-exit=1 ]] || exit 64
export SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NODELIST=localhost SLURM_JOB_ID=7
SLURM_PROCID=1 SLURM_LOCALID=1 "${@:2}" &
SLURM_PROCID=0 SLURM_LOCALID=0 "${@:2}"
code=$?
wait $! || exit $?
exit $code
"""


def with_srun(argv: list[str]) -> int:
    """As a batch script's job step, through the project's own script."""
    Path("bin").mkdir()
    Path("bin/srun").write_text(SRUN_STAND_IN)
    Path("bin/srun").chmod(0o755)
    _store, there = distributed.meeting_point(2)
    environment = {**there, "PATH": f"bin:{os.environ['PATH']}"}
    for name in ("WORLD_SIZE", "MASTER_ADDR", "NETRUN_LAUNCHER"):
        environment.pop(name)
    return subprocess.run(
        [ROOT / "scripts/slurm.sh", sys.executable, "-m", "netrun", *argv],
        env=environment,
        check=False,
    ).returncode


def with_launch(argv: list[str]) -> int:
    return distributed.launch(argv, 2)


@pytest.mark.parametrize(
    ("start", "net", "flags"),
    [
        (with_launch, "", []),
        (with_torchrun, "", []),
        (with_srun, "", []),
        (with_launch, "_bn", ["--sync-bn"]),
    ],
    ids=["launch", "torchrun", "srun", "sync-bn"],
)
def test_two_processes_are_one_of_double_batch(
    folder: Path, capfd, start, net: str, flags: list[str]
) -> None:
    single = Solver(f"four{net}_solver.prototxt")
    start_from = {
        f"{p.layer}/{p.index}": p.tensor.detach().numpy().copy() for p in single.net.learnable
    }
    single.solve()
    single.close()
    capfd.readouterr()  # an earlier test may have left the log on
    assert start(["train", "--solver", f"two{net}_solver.prototxt", "--cpu", *flags]) == 0
    said = capfd.readouterr().err
    assert len(re.findall(r"Iteration 2, Testing net", said)) == 1  # rank 0 alone tests and logs
    one, both = weights(f"four{net}/n_iter_4.caffemodel"), weights(f"two{net}/n_iter_4.caffemodel")
    assert one.keys() == both.keys()
    for name, values in one.items():
        moved = np.abs(values - start_from[name]).max()
        assert moved > 0
        assert np.abs(values - both[name]).max() <= 1e-5 * moved + 1e-7, name


def test_one_that_fails_ends_all(folder: Path, capfd) -> None:
    assert (
        distributed.launch(
            [
                "train",
                "--solver",
                "two_solver.prototxt",
                "--cpu",
                "--weights",
                "nowhere.caffemodel",
            ],
            2,
        )
        == 1
    )
    assert "nowhere.caffemodel" in capfd.readouterr().err
    assert not list(folder.glob("two/*"))


CTRL_C = """
if rank == 0:
    os.kill(os.getppid(), signal.SIGINT)
while signal.SIGINT not in signal.sigpending():
    time.sleep(0.01)
try:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize(
    ("program", "grace", "status"),
    [
        ("", 600, 0),
        ("time.sleep(rank / 2); sys.exit((1, 130)[rank])", 600, 130),
        ("os.kill(os.getpid(), signal.SIGKILL) if rank else time.sleep(1000)", 0.1, 137),
        (CTRL_C, 600, 130),
    ],
    ids=["good", "the cause is told later", "one is stuck", "Ctrl-C while Python starts"],
)
def test_exit_status_is_the_causes(
    program: str, grace: float, status: int, tmp_path: Path, monkeypatch
) -> None:
    """Of processes that run this program in netrun's place.

    Ctrl-C reaches all, and each only when it is ready.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(distributed, "_GRACE", grace)
    Path("netrun").mkdir()
    Path("netrun/__init__.py").touch()
    Path("netrun/__main__.py").write_text(
        f"import os, signal, sys, time\nrank = int(os.environ['RANK'])\n{program}\n"
    )
    assert distributed.launch([], 2) == status


TELLS_THREADS = """import atexit, pathlib, sys
from ssd_common.command import run_command
from netrun.cli import main
@atexit.register  # the first to be registered is the last to be called
def tell():
    names = pathlib.Path('/proc/self/task').glob('*/comm')
    sys.stderr.write(f"{[path.read_text().strip() for path in names]}\\n")
sys.exit(run_command("netrun", main))
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    "weights", [[], ["--weights", "nowhere.caffemodel"]], ids=["good run", "rank 1 fails"]
)
def test_threads_of_gloo_end_before_python_does(folder: Path, weights: list[str]) -> None:
    """One that then lets go of a tensor would abort the process: exit status 134 in place of ours.

    The process that fails says why before the others can know of it.
    """
    Path("tells.py").write_text(TELLS_THREADS)
    _store, there = distributed.meeting_point(2)
    train = [sys.executable, "tells.py", "train", "--solver", "two_solver.prototxt", "--cpu"]
    flags = [[], weights]
    with open("said.txt", "wb") as out:
        both = [
            subprocess.Popen([*train, *flags[i]], env={**there, "RANK": str(i)}, stderr=out)
            for i in range(2)
        ]
        status = [run.wait() for run in both]
    said = Path("said.txt").read_text()
    assert status == [bool(weights)] * 2, said
    threads = re.findall(r"^\['.*", said, re.MULTILINE)
    assert len(threads) == 2
    assert not any("gloo" in names for names in threads)
    assert ("lost the other processes" in said) == bool(weights)
    assert said.find("nowhere.caffemodel") <= said.find("lost the other processes")


@pytest.mark.skipif(
    not Path("/proc/thread-self/children").exists(),
    reason="needs Linux's /proc with lists of children",
)
@pytest.mark.parametrize("late", [False, True], ids=["at once", "in training"])
def test_who_started_them_is_gone(folder: Path, late: bool) -> None:
    """Killed with -9, launch() leaves no process that trains for ever."""
    solver = (
        SOLVER.format(net="two")
        .replace("max_iter: 4", "max_iter: 10000000")
        .replace("test_interval: 2", "test_interval: 20000000")
    )
    Path("long_solver.prototxt").write_text(solver)
    script = (
        "from netrun.training.distributed import launch; launch(['train', '--solver', "
        "'long_solver.prototxt', '--cpu'], 2)"
    )
    with open("said.txt", "wb") as out:
        starter = subprocess.Popen([sys.executable, "-c", script], stderr=out)
    children = Path(f"/proc/{starter.pid}/task/{starter.pid}/children")
    _wait_for(lambda: len(children.read_text().split()) == 2)
    _wait_for(lambda: not late or "Iteration 0, loss" in Path("said.txt").read_text())
    workers = children.read_text().split()
    starter.kill()
    starter.wait()
    _wait_for(lambda: not any(map(_is_running, workers)))
    assert re.search(
        "the process that started this one is gone|lost the other processes",
        Path("said.txt").read_text(),
    )


def _wait_for(done: Callable[[], bool]) -> None:
    until = time.monotonic() + 600  # seconds: no busy machine takes so long
    while not done():
        assert time.monotonic() < until
        time.sleep(0.01)


def _is_running(process: str) -> bool:
    try:
        return bool(
            Path(f"/proc/{process}/cmdline").read_bytes()
        )  # empty where nobody has yet asked how it ended
    except OSError:
        return False


TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
SRUN = {
    "SLURM_PROCID": "5",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "gpu[03-04]",
    "SLURM_JOB_ID": "41234",
}
BATCH_SCRIPT = {
    "SLURM_PROCID": "0",
    "SLURM_NTASKS": "8",
    "SLURM_LOCALID": "0",
    "SLURM_JOB_ID": "41234",
}


@pytest.fixture
def nowhere(monkeypatch) -> None:
    """An environment that gives this process no place among others.

    What place() adds to it goes, too.
    """
    for name in {*TORCHRUN, *SRUN, *BATCH_SCRIPT, "MASTER_ADDR", "MASTER_PORT"}:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        (TORCHRUN, distributed.Place(3, 4, 1)),
        (SRUN, distributed.Place(5, 8, 1)),
        ({**SRUN, **TORCHRUN}, distributed.Place(3, 4, 1)),  # torchrun started by srun
        (BATCH_SCRIPT, None),
    ],
)
def test_place_is_that_of_torchrun_or_srun(
    environment: dict[str, str], expected, nowhere: None, monkeypatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert distributed.place() == expected
    if environment == SRUN:
        assert (os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]) == ("gpu03", "21234")


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu[03-05,9],login", "gpu03"),
        ("a", "a"),
        ("a,b", "a"),
        ("n7-ib[1-2]", "n7-ib1"),
        ("rack2[10,12]-x", "rack210-x"),
    ],
)
def test_first_machine_of_slurms_list(nodes: str, first: str) -> None:
    assert distributed.first_machine(nodes) == first


@pytest.mark.parametrize(
    ("environment", "who"),
    [
        ({"RANK": "zero", "WORLD_SIZE": "2"}, "torchrun"),
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"}, "srun"),
    ],
)
def test_a_broken_place_is_refused(
    environment: dict[str, str], who: str, nowhere: None, monkeypatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CaffeError, match=who):
        distributed.place()
