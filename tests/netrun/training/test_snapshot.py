"""Snapshots: what they hold, and that a resumed run is the uninterrupted one, bit for bit."""

from __future__ import annotations

import math
import os
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe_ir import binary, text
from caffe_ir import caffe_ir_pb2 as pb
from netrun import Solver
from netrun.cli import main
from netrun.engine.engine import Engine
from netrun.training import snapshot
from netrun.training.status import status
from netrun.weights import hdf5
from netrun.weights.files import blob_array
from ssd_common.errors import CaffeError
from tests.netrun.narrow import train_test_net
from tests.netrun.training.test_solver import TINY
from tests.support import SHARED, needs_shared

FIELDS = """base_lr: 0.001 lr_policy: "multistep" gamma: 0.1 stepvalue: 3 stepvalue: 5 momentum: 0.9
weight_decay: 0.0005
iter_size: 2 max_iter: 6 random_seed: 3 snapshot: 2 snapshot_prefix: "snap/n" """


def solver_file(folder: Path, net: str, fields: str = FIELDS) -> str:
    (folder / "net.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(f'net: "net.prototxt" {fields}')
    return str(folder / "solver.prototxt")


@pytest.fixture
def detector(tmp_path: Path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    lmdb = str(SHARED / "golden" / "data" / "lmdb")
    return solver_file(tmp_path, train_test_net(lmdb, lmdb))


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    return solver_file(tmp_path, TINY)


def test_a_run_with_denormal_weights_resumes_bit_for_bit(tiny: str) -> None:
    """Denormals are flushed in both runs alike: in passes, in updates and in the history."""
    whole = Solver(tiny)
    for blobs in whole.net.params.values():
        for blob in blobs:
            blob.data.flat[::2] = 1e-39
    whole.solve()
    whole.close()
    files = [Path(f"snap/n_iter_6.{kind}") for kind in ("caffemodel", "solverstate")]
    reference = [path.read_bytes() for path in files]
    for path in files:
        path.unlink()
    resumed = Solver(tiny)
    resumed.solve("snap/n_iter_4.solverstate")
    resumed.close()
    assert [path.read_bytes() for path in files] == reference


@needs_shared
@pytest.mark.parametrize("kept", [2, 4])
def test_a_resumed_run_is_the_uninterrupted_one(detector: str, kept: int) -> None:
    """Data order, augmentation, Dropout, BatchNorm's averages and the schedule included."""
    whole = Solver(detector)
    whole.solve()
    whole.close()
    reference = [
        Path(f"snap/n_iter_6.{kind}").read_bytes() for kind in ("caffemodel", "solverstate")
    ]
    for file in Path("snap").glob("n_iter_6.*"):
        file.unlink()
    resumed = Solver(detector)
    resumed.solve(f"snap/n_iter_{kept}.solverstate")
    resumed.close()
    assert [
        Path(f"snap/n_iter_6.{kind}").read_bytes() for kind in ("caffemodel", "solverstate")
    ] == reference


def test_plateau_resumes_with_its_window_of_losses(tiny: str, tmp_path: Path) -> None:
    """The smoothed loss steers the rate, so it must not start anew; Caffe's reader skips the field
    that holds it.
    """
    fields = (
        FIELDS.replace("multistep", "plateau")
        .replace("stepvalue", "plateau_winsize")
        .replace("max_iter: 6", "max_iter: 20")
    )
    solver_file(
        tmp_path,
        TINY,
        fields.replace("plateau_winsize: 5", "plateau_winsize: 2") + "average_loss: 4",
    )
    whole = Solver(tiny)
    whole.solve()
    reference = Path("snap/n_iter_20.solverstate").read_bytes()
    resumed = Solver(tiny)
    resumed.solve("snap/n_iter_6.solverstate")
    assert Path("snap/n_iter_20.solverstate").read_bytes() == reference
    assert resumed.schedule.current_step > 0
    assert len(snapshot.read("snap/n_iter_20.solverstate").losses) == 2 + 4


@pytest.mark.parametrize(
    "losses",
    [
        [3.0],  # no smoothed loss
        [1.0, 0.5, 0.5, 0.5],  # more losses in the window than there were
        [-1.0, 0.5],
        [2.5, 0.5, 0.5],
        [math.nan, 0.5, 0.5],
        [math.inf, 0.5, 0.5],
        [1.0, math.nan, 0.5],
    ],
)
@pytest.mark.parametrize("form", ["binary", "hdf5"])
def test_a_window_of_losses_that_is_none_names_the_file(
    tiny: str, losses: list[float], form: str
) -> None:
    solver = Solver(tiny)
    solver.step(2)
    path = "snap/n_iter_2.solverstate"
    if form == "hdf5":
        state = hdf5_state(path, losses=losses)
        path += ".h5"
        hdf5.write_state(path, state)
    else:
        field = struct.Struct("<2sd")
        more = b"".join(field.pack(b"\xc1\x3e", loss) for loss in losses)
        Path(path).write_bytes(Path(path).read_bytes() + more)
    with pytest.raises(CaffeError, match=f"^{path}: is corrupt: its losses"):
        solver.restore(path)
    assert snapshot.latest("snap/n") != path


@pytest.mark.parametrize("field", ["iter", "current_step"])
def test_a_negative_count_names_the_file(tiny: str, field: str) -> None:
    solver = Solver(tiny)
    solver.step(2)
    path = "snap/n_iter_2.solverstate"
    state = binary.read_state(path)
    setattr(state, field, -5)
    Path(path).write_bytes(state.SerializeToString())
    with pytest.raises(CaffeError, match=f"^{path}: is corrupt: its {field} is -5$"):
        solver.restore(path)


def hdf5_state(path: str, losses: list[float]) -> dict[str, Any]:
    """What hdf5.write_state takes, of a binary state with other losses."""
    state = snapshot.read(path)
    return {
        "iter": state.iteration,
        "learned_net": state.model,
        "current_step": state.current_step,
        "minimum_loss": state.minimum_loss,
        "iter_last_event": state.last_event,
        "history": [blob.numpy() for blob in state.history],
        "losses": losses,
    }


def test_state_is_caffes(tiny: str) -> None:
    solver = Solver(tiny)
    solver.step(4)
    state = binary.read_state("snap/n_iter_4.solverstate")
    assert (state.iter, state.learned_net, state.current_step) == (4, "snap/n_iter_4.caffemodel", 1)
    assert [tuple(blob.shape.dim) for blob in state.history] == [(2, 3), (2,)]
    for blob, mine in zip(state.history, solver.updater.history, strict=True):
        np.testing.assert_array_equal(blob_array(blob), mine.numpy())
    saved = {layer.name: layer.blobs for layer in binary.read_weights(state.learned_net).layer}
    np.testing.assert_array_equal(blob_array(saved["ip"][0]), solver.net.params["ip"][0].data)


@needs_shared
@pytest.mark.parametrize("case", ["sgd_multistep", "adam"])
def test_reads_caffes_own(case: str, monkeypatch) -> None:
    monkeypatch.chdir(SHARED / "golden" / "solver" / case)
    state = snapshot.read("final.solverstate")
    assert (state.iteration, len(state.history)) == (20, {"sgd_multistep": 15, "adam": 30}[case])


def test_latest_passes_over_what_does_not_read(tiny: str) -> None:
    assert snapshot.latest("snap/n") is None
    Solver(tiny).step(6)
    assert snapshot.latest("snap/n") == "snap/n_iter_6.solverstate"
    os.truncate("snap/n_iter_6.solverstate", 20)
    assert snapshot.latest("snap/n") == "snap/n_iter_4.solverstate"
    Path("snap/n_iter_4.caffemodel").unlink()
    assert snapshot.latest("snap/n") == "snap/n_iter_2.solverstate"
    Path("snap/other_iter_9.solverstate").touch()
    assert snapshot.latest("snap/n") == "snap/n_iter_2.solverstate"


def test_a_moved_run_resumes(tiny: str) -> None:
    """The state names its weights by the path that they were written to.

    Beside the state they are found as well.
    """
    Solver(tiny).step(2)
    Path("snap").rename("elsewhere")
    solver = Solver(tiny)
    solver.restore("elsewhere/n_iter_2.solverstate")
    assert solver.iter == 2


def _without_history(path: Path) -> None:
    state = binary.read_state(path)
    del state.history[1:]
    binary.write(state, path)


def _other_shape(path: Path) -> None:
    state = binary.read_state(path)
    state.history[1].shape.dim[:] = [3]
    state.history[1].data.append(0)
    binary.write(state, path)


def _no_path(path: Path) -> None:
    path.write_bytes(
        path.read_bytes().replace(
            b"snap/n_iter_2.caffemodel", b"snap/n_iter_2.caf\xff\xfemodel"[:24]
        )
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_no_path, "learned_net is no path"),
        (lambda p: os.truncate(p, p.stat().st_size // 2), "truncated"),
        (lambda p: p.write_bytes(b""), "empty"),
        (Path.unlink, "n_iter_2.solverstate"),
        (_without_history, "1 history blobs"),
        (_other_shape, r"history blob 1 .* shape \(3,\), this net's has \(2,\)"),
    ],
)
def test_a_damaged_state_is_refused_whole(tiny: str, damage, message: str) -> None:
    Solver(tiny).step(2)
    damage(Path("snap/n_iter_2.solverstate"))
    solver = Solver(tiny)
    start = [p.tensor.detach().numpy().copy() for p in solver.net.learnable]
    with pytest.raises(CaffeError, match=message):
        solver.restore("snap/n_iter_2.solverstate")
    assert solver.iter == 0
    for before, p in zip(start, solver.net.learnable, strict=True):
        np.testing.assert_array_equal(before, p.tensor.detach().numpy())


def test_leftovers_of_a_killed_run_are_cleared(tiny: str) -> None:
    Path("snap").mkdir()
    elsewhere = ".n_iter_4.caffemodel.1234-01234567-0.tmp"  # another machine's
    for name in (".n_iter_4.caffemodel.1234.tmp", elsewhere, ".other_iter_4.caffemodel.1234.tmp"):
        Path("snap", name).touch()
    solver = Solver(tiny)
    solver.claim()
    solver.close()
    assert [p.name for p in Path("snap").iterdir()] == [".other_iter_4.caffemodel.1234.tmp"]


def test_two_solvers_of_one_process_share_a_prefix(tiny: str) -> None:
    first, second = Solver(tiny), Solver(tiny)
    first.step(2)
    second.step(4)
    assert snapshot.latest("snap/n") == "snap/n_iter_4.solverstate"
    first.solve()
    assert Path("snap/.n.lock").exists(), "the second is still there"
    del second
    assert not Path("snap/.n.lock").exists()


def test_a_prefix_may_be_a_folder_alone(tiny: str, tmp_path: Path) -> None:
    solver_file(tmp_path, TINY, FIELDS.replace("snap/n", "snap/"))
    solver = Solver(tiny)
    solver.step(2)
    solver.close()
    names = sorted(path.name for path in Path("snap").iterdir())
    assert names == ["_iter_2.caffemodel", "_iter_2.solverstate"]
    assert snapshot.latest("snap/") == "snap/_iter_2.solverstate"
    assert status(".").state == "snap/_iter_2.solverstate"


def test_no_memory_for_a_snapshot_is_no_matter_of_the_batch(
    tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(net: Engine, path: str, **options: bool) -> None:
        if "iter_4" in path:
            raise MemoryError
        whole(net, path, **options)

    whole = Engine.save
    monkeypatch.setattr(Engine, "save", save)
    said = (
        "iteration 4: out of memory while writing a snapshot, which is not there (the "
        "last good snapshot is snap/n_iter_2.solverstate)"
    )
    with pytest.raises(CaffeError, match=re.escape(said)):
        main(["train", "--solver", tiny, "--threads", "1"])
    assert snapshot.latest("snap/n") == "snap/n_iter_2.solverstate"


def test_an_unwritable_prefix_is_refused_before_training(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    param = text.parse(FIELDS.replace("snap/n", "file/n"), pb.SolverParameter)
    param.net_param.CopyFrom(text.parse(TINY, pb.NetParameter))
    with pytest.raises(CaffeError, match="cannot write to snapshot_prefix 'file/n'"):
        Solver(param)
