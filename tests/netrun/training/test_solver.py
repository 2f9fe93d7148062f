"""The solver against the SSD fork's trajectories, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from caffe_ir import binary, text
from caffe_ir import caffe_ir_pb2 as pb
from netrun import Net, Solver
from netrun.engine.engine import Engine
from netrun.runtime.options import RunOptions
from netrun.training.actions import Action
from netrun.training.solver import Solver as TrainingRun
from netrun.weights.files import blob_array
from ssd_common.errors import CaffeError
from tests.support import golden

TINY = """name: "tiny"
layer { name: "x" type: "DummyData" top: "x" top: "y" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } data_filler { type: "gaussian" std: 1 }
  data_filler { type: "gaussian" std: 1 } } }
layer { name: "drop" type: "Dropout" bottom: "x" top: "x" include { phase: TRAIN } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" param { lr_mult: 1 }
  param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "y" top: "loss" }
"""


def tiny(fields: str = "", net: str = TINY) -> Solver:
    """A solver of a net so small that a test can count along: 2x3 weights, 2 biases, random data by
    batch number.
    """
    param = text.parse(
        f'base_lr: 0.1 lr_policy: "fixed" max_iter: 6 snapshot_after_train: false {fields}',
        pb.SolverParameter,
    )
    if not (param.net or param.train_net):
        param.net_param.CopyFrom(text.parse(net, pb.NetParameter))
    return Solver(param)


def weights(solver: Solver) -> list[np.ndarray]:
    return [p.tensor.detach().numpy().copy() for p in solver.net.learnable]


@pytest.mark.parametrize("file", golden("solver/*/trajectory.npz"))
def test_trajectory_is_caffes(file: Path, monkeypatch) -> None:
    """Loss of each of 20 iterations, final weights and every history blob; how:
    shared/golden/how/record_solver.py.
    """
    folder = file.parent
    monkeypatch.chdir(folder)
    solver = Solver("solver.prototxt")
    solver.copy_from("init.caffemodel")
    batches = np.load(folder.parent / "data" / "batches.npz")
    losses = []
    for i in range(20):
        labels = batches[f"label{i % 4}"]
        solver.net.blobs["data"].data[...] = batches["data"][i % 4]
        solver.net.blobs["label"].reshape(1, 1, len(labels), 8)
        solver.net.blobs["label"].data[...] = labels
        solver.step(1)
        losses.append(float(solver.net.blobs["mbox_loss"].data))
    np.testing.assert_allclose(losses, np.load(file)["loss"], rtol=1e-4)

    wanted = {
        layer.name: layer.blobs
        for layer in binary.read_weights("final.caffemodel").layer
        if layer.blobs
    }
    for name, blobs in wanted.items():
        for i, blob in enumerate(blobs):
            close(solver.net.params[name][i].data, blob_array(blob), f"weights {name}[{i}]")
    state = binary.read_state("final.solverstate")
    assert len(state.history) == len(solver.updater.history)
    for i, (blob, mine) in enumerate(zip(state.history, solver.updater.history, strict=True)):
        close(mine.numpy(), blob_array(blob), f"history {i}")
    assert (state.iter, state.current_step) == (solver.iter, solver.schedule.current_step)
    if "plateau" in folder.name:
        assert state.minimum_loss == pytest.approx(solver.schedule.minimum_loss, rel=1e-4)
        assert state.iter_last_event == solver.schedule.last_event


def close(mine: np.ndarray, theirs: np.ndarray, what: str) -> None:
    error = np.abs(mine - theirs).max() / max(np.abs(theirs).max(), 1e-12)
    assert error < 1e-4, f"{what}: relative error {error:.1e}"


def test_sgd_by_hand() -> None:
    """Two updates of w with gradients 1 and 2: h = 0.1, w -= 0.1; h = 0.9 * 0.1 + 0.1 * 2 = 0.29, w
    -= 0.29; the bias twice as fast.
    """
    solver = tiny("momentum: 0.9")
    start = weights(solver)
    for gradient in (1.0, 2.0):
        for p in solver.net.learnable:
            p.tensor.grad = torch.full_like(p.tensor, gradient)
        solver.updater.apply(0.1, 0)
    moved = [a - b for a, b in zip(start, weights(solver), strict=True)]
    np.testing.assert_allclose(moved[0], 0.1 + 0.29, rtol=1e-5)
    np.testing.assert_allclose(moved[1], 2 * (0.1 + 0.29), rtol=1e-5)


@pytest.mark.parametrize(("kind", "pull"), [("L2", lambda w: w), ("L1", np.sign)])
def test_weight_decay_alone(kind: str, pull) -> None:
    """Without a gradient, w -= lr * decay * pull(w); the bias, decay_mult 0, stays."""
    solver = tiny(f'weight_decay: 0.5 regularization_type: "{kind}"')
    w, b = weights(solver)
    solver.updater.apply(0.1, 0)
    np.testing.assert_allclose(weights(solver)[0], w - 0.1 * 0.5 * pull(w), rtol=1e-5)
    np.testing.assert_array_equal(weights(solver)[1], b)


def test_clipping_takes_the_norm_of_all_gradients() -> None:
    """8 gradients of 3: norm 3 * sqrt(8); clipped to 1, each is 1 / sqrt(8)."""
    solver = tiny("clip_gradients: 1")
    w = weights(solver)[0]
    for p in solver.net.learnable:
        p.tensor.grad = torch.full_like(p.tensor, 3.0)
    solver.updater.apply(1.0, 0)
    np.testing.assert_allclose(w - weights(solver)[0], 8**-0.5, rtol=1e-5)


def test_iter_size_averages_over_its_passes() -> None:
    """Batches 0 and 1 in one iteration of iter_size 2 move the weights as the mean of their two
    gradients does.
    """
    net = TINY.replace("include { phase: TRAIN } }", "include { phase: TEST } }")
    apart = [tiny(net=net), tiny(net=net)]
    apart[1].net.seek(1)
    moves = []
    for solver in apart:
        start = weights(solver)
        solver.step(1)
        moves.append([a - b for a, b in zip(start, weights(solver), strict=True)])
    together = tiny("iter_size: 2", net)
    start = weights(together)
    together.step(1)
    for before, after, one, two in zip(start, weights(together), *moves, strict=True):
        np.testing.assert_allclose(before - after, (one + two) / 2, rtol=1e-5, atol=1e-7)


def test_frozen_weights_stay() -> None:
    solver = tiny(
        "weight_decay: 0.1 momentum: 0.9",
        TINY.replace("lr_mult: 1", "lr_mult: 0").replace("lr_mult: 2", "lr_mult: 0"),
    )
    start = weights(solver)
    solver.step(3)
    for before, after in zip(start, weights(solver), strict=True):
        np.testing.assert_array_equal(before, after)


def test_callbacks_see_gradients_before_the_update() -> None:
    """What data parallelism hooks into: gradients set to zero there leave the weights alone."""

    class Zero:
        seen = 0

        def on_start(self) -> None:
            assert all(p.tensor.grad is None for p in solver.net.learnable)

        def on_gradients_ready(self) -> None:
            for p in solver.net.learnable:
                assert p.tensor.grad.any()
                p.tensor.grad.zero_()
            self.seen += 1

    solver, zero = tiny(), Zero()
    solver.call(zero)
    start = weights(solver)
    solver.step(2)
    assert zero.seen == 2
    np.testing.assert_array_equal(start[0], weights(solver)[0])


def test_log_has_caffes_phrases(caplog) -> None:
    """Every phrase that Caffe's parse_log.py and parse_log.sh look for."""
    caplog.set_level("INFO", logger="netrun")
    solver = tiny("display: 2 test_interval: 3 test_iter: 2")
    assert solver.solve()
    lines = [r.getMessage() for r in caplog.records]
    for i in (0, 2, 4, 6):
        assert any(line.startswith(f"Iteration {i}, loss = ") for line in lines)
    assert "Iteration 2, lr = 0.1" in lines
    assert [line for line in lines if "Testing" in line] == [
        f"Iteration {i}, Testing net (#0)" for i in (0, 3, 6)
    ]
    assert any(
        line.startswith("    Train net output #0: loss = ") and line.endswith(" loss)")
        for line in lines
    )
    assert sum(line.startswith("    Test net output #0: loss = ") for line in lines) == 3
    assert lines[-1] == "Optimization Done."


def test_stop_request_ends_the_run_with_a_snapshot(tmp_path) -> None:
    solver = tiny(f'snapshot_prefix: "{tmp_path}/a"')
    solver.listen(lambda: Action.STOP if solver.iter == 2 else Action.NONE)
    assert not solver.solve()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a_iter_2.caffemodel",
        "a_iter_2.solverstate",
    ]


def test_processes_agree_on_what_each_was_asked_for(tmp_path) -> None:
    class Peers:
        def __init__(self) -> None:
            self.heard: list[Action] = []
            self.averaged = 0

        def on_start(self) -> None:
            pass

        def on_gradients_ready(self) -> None:
            self.averaged += 1

        def agree(self, action: Action) -> Action:
            self.heard.append(action)
            return Action.STOP if len(self.heard) == 3 else Action.NONE

    solver = tiny(f'snapshot_prefix: "{tmp_path}/a"')
    solver.listen(lambda: Action.SNAPSHOT)
    peers = Peers()
    solver.join(peers)
    assert not solver.solve()
    assert peers.heard == [Action.SNAPSHOT] * 3
    assert peers.averaged == solver.iter == 3
    assert (tmp_path / "a_iter_3.solverstate").exists()
    assert not (tmp_path / "a_iter_1.solverstate").exists()


@pytest.mark.parametrize(
    ("weight", "advice"),
    [
        (0, "BatchNorm layer 'bn' has use_global_stats but no statistics: start from weights"),
        (1, "try a base_lr below 0.1, or a warm-up"),
    ],
)
def test_non_finite_loss_names_missing_statistics(weight: float, advice: str) -> None:
    norm = """layer { name: "bn" type: "BatchNorm" bottom: "x" top: "bn"
      batch_norm_param { use_global_stats: true } } layer { name: "ip" """
    net = TINY.replace('layer { name: "ip" ', norm).replace(
        'bottom: "x" top: "ip"', 'bottom: "bn" top: "ip"'
    )
    solver = tiny(net=net)
    solver.net.params["bn"][2].data[0] = weight
    solver.net.params["ip"][1].data[0] = np.inf
    with pytest.raises(CaffeError, match=advice):
        solver.step(1)


def test_non_finite_loss_names_the_first_blob(tmp_path) -> None:
    solver = tiny(f'snapshot: 2 snapshot_prefix: "{tmp_path}/a"')
    solver.step(2)
    solver.net.params["ip"][1].data[0] = np.inf
    said = (
        r"iteration 2: the loss is (inf|nan); first non-finite blob: blob 1 of layer "
        r"'ip'.*; try a base_lr below 0.1, or a warm-up.*a_iter_2.solverstate"
    )
    with pytest.raises(CaffeError, match=said):
        solver.step(1)
    with pytest.raises(
        CaffeError,
        match=r"not writing a snapshot: blob 1 of layer 'ip' is not finite; try a base_lr below",
    ):
        solver.snapshot()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ('type: "Adamm"', "did you mean 'Adam'"),
        ('type: "RMSProp" momentum: 0.9', "takes no momentum"),
        ('weight_decay: 1 regularization_type: "L3"', "regularization_type 'L3'"),
        ("average_loss: 0", "average_loss"),
        ("iter_size: 0", "iter_size"),
        ('eval_type: "detecton"', "did you mean 'detection'"),
        ('eval_type: "detection" ap_version: "11points"', "did you mean '11point'"),
        ("snapshot: 5", "snapshot_prefix is not"),
        ('net: "a.prototxt" train_net: "b.prototxt"', "exactly one of"),
        ("test_iter: 1", "test_interval"),
        ('train_net: "b.prototxt" test_net: "c.prototxt"', "1 test nets but 0 test_iter"),
    ],
)
def test_refuses(fields: str, message: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c"):
        Path(f"{name}.prototxt").write_text(TINY)
    with pytest.raises(CaffeError, match=message):
        tiny(fields)
    assert len(list(tmp_path.iterdir())) == 3


def test_nets_are_engines_or_what_the_caller_says() -> None:
    """pycaffe's solvers say Net."""
    param = text.parse(
        'base_lr: 0.1 lr_policy: "fixed" max_iter: 1 test_iter: 1 test_interval: 1',
        pb.SolverParameter,
    )
    param.net_param.CopyFrom(text.parse(TINY, pb.NetParameter))
    plain, pycaffes = TrainingRun(param), Solver(param)
    assert {type(net) for net in (plain.net, *plain.test_nets)} == {Engine}
    assert {type(net) for net in (pycaffes.net, *pycaffes.test_nets)} == {Net}
    for mine, theirs in zip(plain.net.learnable, pycaffes.net.learnable, strict=True):
        assert torch.equal(mine.tensor, theirs.tensor)


def test_options_reach_the_nets() -> None:
    """A test net sees all test data, and takes no part in what processes share; random_seed goes
    before the options' seed.
    """
    param = text.parse(
        'base_lr: 0.1 lr_policy: "fixed" max_iter: 1 test_iter: 1 test_interval: 1',
        pb.SolverParameter,
    )
    param.net_param.CopyFrom(text.parse(TINY, pb.NetParameter))
    given = RunOptions(strict=True, keep_blobs=False, sync_batch_norm=True, seed=4, world=2)
    run = TrainingRun(param, options=given)
    assert run.net.options == given
    assert [net.options for net in run.test_nets] == [
        RunOptions(strict=True, keep_blobs=False, seed=4)
    ]
    param.random_seed = 9
    assert TrainingRun(param, options=given).net.options.seed == 9
    assert Solver(param, rank=0, world=2, strict=True).net.options == RunOptions(
        strict=True, seed=9, world=2
    )
