"""Several processes are one run: two of batch 2 take the steps of one of batch 4."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from caffe_ir import binary
from caffe_ir.errors import CaffeError
from data_prep.cli import main as data_prep
from netrun import distributed
from netrun.solver import Solver
from netrun.weights import blob_array
from tests.netrun.narrow import train_test_net

SOLVER = """net: "{net}.prototxt" base_lr: 0.0001 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0005
max_iter: 4 display: 1 random_seed: 2
test_iter: 3 test_interval: 2 eval_type: "detection" test_initialization: false snapshot_prefix: "{net}/n" solver_mode: CPU
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """Solvers `two` (batch 2) and `four` (batch 4) of a net without what sees a batch as a whole: BatchNorm, Dropout, VALID."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(distributed.__file__).parents[1]))
    data_prep(["shapes", "--out", "data", "--train", "10", "--test", "6", "--size", "96"])
    net = train_test_net("data/train_lmdb", "data/test_lmdb").replace("normalization: VALID", "normalization: BATCH_SIZE")
    net = "\n".join(line for line in net.splitlines() if "BatchNorm" not in line and "Dropout" not in line)
    for name, batch in {"two": 2, "four": 4}.items():
        text = net.replace("batch_size: 2", f"batch_size: {batch}", 1)
        assert name == "two" or text != net
        Path(f"{name}.prototxt").write_text(text)
        Path(f"{name}_solver.prototxt").write_text(SOLVER.format(net=name))
    return tmp_path


def weights(path: str) -> dict[str, np.ndarray]:
    return {f"{layer.name}/{i}": blob_array(b) for layer in binary.read_weights(path).layer for i, b in enumerate(layer.blobs)}


def test_two_processes_are_one_of_double_batch(folder: Path, capfd) -> None:
    single = Solver("four_solver.prototxt")
    single.solve()
    single.close()
    capfd.readouterr()  # an earlier test may have left the log on
    assert distributed.launch(["train", "--solver", "two_solver.prototxt", "--cpu"], 2) == 0
    said = capfd.readouterr().err
    assert len(re.findall(r"Iteration 2, Testing net", said)) == 1  # rank 0 alone tests and logs
    one, both = weights("four/n_iter_4.caffemodel"), weights("two/n_iter_4.caffemodel")
    assert one.keys() == both.keys()
    start = {f"{p.layer}/{p.index}": p.tensor.detach().numpy() for p in Solver("four_solver.prototxt").net.learnable}
    for name, values in one.items():
        moved = np.abs(values - start[name]).max()
        assert moved > 0
        assert np.abs(values - both[name]).max() <= 1e-5 * moved + 1e-7


def test_one_that_fails_ends_all(folder: Path, capfd) -> None:
    assert distributed.launch(["train", "--solver", "two_solver.prototxt", "--cpu", "--weights", "nowhere.caffemodel"], 2) == 1
    assert "nowhere.caffemodel" in capfd.readouterr().err
    assert not list(folder.glob("two/*"))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        ({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}, distributed.Place(3, 4, 1)),
    ],
)
def test_place_is_torchruns(environment: dict[str, str], expected: distributed.Place | None, monkeypatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert distributed.place() == expected


def test_a_broken_place_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("RANK", "zero")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(CaffeError, match="torchrun"):
        distributed.place()
