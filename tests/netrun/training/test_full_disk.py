"""A disk that takes no more: the last snapshot stays whole, one line says what is wrong, and no log
ends a run.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from netrun.cli import main
from netrun.training import snapshot
from tests.support import ROOT

# Weights of 1 KB, whose snapshots fit into the file size limit of 8 KB, and of 100 KB, whose do
# not.
NET = """name: "net"
layer { name: "d" type: "DummyData" top: "x" dummy_data_param { shape { dim: 2 dim: 250 }
  data_filler { type: "gaussian" std: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: OUTPUTS weight_filler { type: "xavier" } } }
layer { name: "loss" type: "Reduction" bottom: "y" top: "loss" loss_weight: 1
  reduction_param { operation: SUMSQ } }
"""
SOLVER = """net: "net.prototxt" base_lr: 1e-6 lr_policy: "fixed" max_iter: 40 display: 1 snapshot: 2
snapshot_prefix: "snap/n"
random_seed: 1 solver_mode: CPU"""
LIMITED = """import resource, sys
from ssd_common.command import run_command
from netrun.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
sys.exit(run_command("netrun", main))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    Path("solver.prototxt").write_text(SOLVER)


def train(outputs: int, *flags: str) -> tuple[int, str]:
    """Status and stderr of training where no file may become larger than 8 KB, which fails as a
    quota or a full disk does.
    """
    Path("net.prototxt").write_text(NET.replace("OUTPUTS", str(outputs)))
    command = [
        sys.executable,
        "-c",
        LIMITED,
        "train",
        "--solver",
        "solver.prototxt",
        "--threads",
        "1",
        *flags,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_a_snapshot_that_cannot_be_written_leaves_the_one_before() -> None:
    """The run before left a snapshot.

    The state of the one that fails is not there at all, nor is half a file.
    """
    Path("net.prototxt").write_text(NET.replace("OUTPUTS", "100"))
    Path("two.prototxt").write_text(SOLVER.replace("max_iter: 40", "max_iter: 2"))
    assert main(["train", "--solver", "two.prototxt", "--threads", "1"]) == 0
    before = {path.name: path.read_bytes() for path in Path("snap").iterdir()}
    status, said = train(100, "--snapshot", "latest")
    assert status == 1
    error = (
        r"netrun: error: snap/n_iter_4.caffemodel: cannot write: .* \(the last good "
        r"snapshot is snap/n_iter_2.solverstate\)"
    )
    assert re.fullmatch(error, said.splitlines()[-1]), said
    assert {path.name: path.read_bytes() for path in Path("snap").iterdir()} == before
    assert snapshot.latest("snap/n") == "snap/n_iter_2.solverstate"


def test_a_full_log_does_not_end_the_run() -> None:
    status, said = train(1, "--log", "run.log")
    assert status == 0
    assert len(re.findall("the log file .*run.log cannot be written", said)) == 1
    assert "Iteration 39, loss" in said
    assert Path("run.log").stat().st_size == 8192
    assert snapshot.latest("snap/n") == "snap/n_iter_40.solverstate"


def test_a_terminal_that_goes_does_not_end_the_run() -> None:
    Path("net.prototxt").write_text(NET.replace("OUTPUTS", "1"))
    command = [
        sys.executable,
        "-m",
        "netrun",
        "train",
        "--solver",
        "solver.prototxt",
        "--threads",
        "1",
        "--log",
        "run.log",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as run:
        assert run.stderr
        run.stderr.close()
        assert run.wait(600) == 0
    assert "Iteration 39, loss" in Path("run.log").read_text()
