"""debug_info and snapshot_diff: what the SSD fork logs and saves of a net of round numbers, line by
line.

EXPECTED is the log of the fork's own `caffe train` of NET; the arithmetic beside it shows that it
means what it says.
"""

from __future__ import annotations

import numpy as np
import pytest

import netrun
from caffe_ir import binary, text
from caffe_ir import caffe_ir_pb2 as pb
from netrun import Solver
from tests.netrun.small_nets import build, layer

DENSE = "inner_product_param { num_output: 2 %s }"
NET = (
    'layer { name: "x" type: "DummyData" top: "x" top: "y" '
    "dummy_data_param { shape { dim: 2 dim: 2 } shape { dim: 2 dim: 2 }"
    " data_filler { value: 0.5 } data_filler { value: 1 } } }\n"
    + layer(
        "InnerProduct",
        "x",
        "f",
        'param { name: "w" } ' + DENSE % "weight_filler { value: 3 } bias_filler { value: -4 }",
    )
    + layer("ReLU", "f", "f", "relu_param { negative_slope: 0.25 }", name="r")
    + layer("InnerProduct", "f", "g", 'param { name: "w" } ' + DENSE % "bias_term: false")
    + layer(
        "InnerProduct",
        "f",
        "h",
        "param { lr_mult: 0 } " + DENSE % "bias_term: false weight_filler { value: 0.5 }",
    )
    + layer("EuclideanLoss", "g y", "loss", "loss_weight: 0.5")
    + layer("EuclideanLoss", "h y", "also", "propagate_down: false propagate_down: false")
    + layer("Power", "loss", "twice", "power_param { scale: 2 }")
)
# f = 0.5 * 3 + 0.5 * 3 - 4 = -1, in place -0.25; g = 2 * -0.25 * 3 = -1.5; loss = 4 * 2.5^2 / 2 / 2
# = 6.25, weighed 0.5. Gradients: of g 0.5 * -2.5 / 2; of f 2 * 3 * -0.625 = -3.75, times the slope
# 0.9375; of w, as g's, 2 * 0.25 * 0.625 = 0.3125, as f's as well -2 * 0.5 * 0.9375, together
# -0.625; of the bias 2 * 0.9375.
EXPECTED = """
[Forward] Layer x, top blob x data: 0.5
[Forward] Layer x, top blob y data: 1
[Forward] Layer y_x_1_split, top blob y_x_1_split_0 data: 1
[Forward] Layer y_x_1_split, top blob y_x_1_split_1 data: 1
[Forward] Layer f, top blob f data: 1
[Forward] Layer f, param blob w data: 3
[Forward] Layer f, param blob 1 data: 4
[Forward] Layer r, top blob f data: 0.25
[Forward] Layer f_r_0_split, top blob f_r_0_split_0 data: 0.25
[Forward] Layer f_r_0_split, top blob f_r_0_split_1 data: 0.25
[Forward] Layer g, top blob g data: 1.5
[Forward] Layer g, param blob w data: 3
[Forward] Layer h, top blob h data: 0.25
[Forward] Layer h, param blob 0 data: 0.5
[Forward] Layer loss, top blob loss data: 6.25
[Forward] Layer loss_loss_0_split, top blob loss_loss_0_split_0 data: 6.25
[Forward] Layer loss_loss_0_split, top blob loss_loss_0_split_1 data: 6.25
[Forward] Layer also, top blob also data: 1.5625
[Forward] Layer twice, top blob twice data: 12.5
[Backward] Layer loss_loss_0_split, bottom blob loss diff: 0.5
[Backward] Layer loss, bottom blob g diff: 0.625
[Backward] Layer g, bottom blob f_r_0_split_0 diff: 3.75
[Backward] Layer g, param blob 0 diff: 0.3125
[Backward] Layer f_r_0_split, bottom blob f diff: 3.75
[Backward] Layer r, bottom blob f diff: 0.9375
[Backward] Layer f, param blob 0 diff: 0.625
[Backward] Layer f, param blob 1 diff: 1.875
[Backward] All net params (data, diff): L1 norm = (22, 6.25); L2 norm = (8.30662, 2.93151)
""".strip().splitlines()


def solver(fields: str = "", net: str = NET) -> Solver:
    param = text.parse(
        f'base_lr: 0.01 lr_policy: "fixed" momentum: 0.9 max_iter: 2 debug_info: true {fields}',
        pb.SolverParameter,
    )
    param.net_param.CopyFrom(text.parse(net, pb.NetParameter))
    return Solver(param)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        r.getMessage().removeprefix("    ") for r in caplog.records if "ward] " in r.getMessage()
    ]


def test_a_displayed_iteration_shows_what_caffe_shows(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="netrun")
    solver("display: 2").step(2)
    assert lines(caplog) == EXPECTED
    assert [r.levelname for r in caplog.records if "All net params" in r.getMessage()] == ["ERROR"]
    assert not any("debug_info is set" in r.getMessage() for r in caplog.records)


def test_gradients_add_up_over_iter_size(caplog: pytest.LogCaptureFixture) -> None:
    """The second pass's shares of a layer that reads a shared parameter first are its own again, as
    in Caffe.
    """
    caplog.set_level("INFO", logger="netrun")
    solver("display: 2 iter_size: 2").step(1)
    second = [
        line
        for line in lines(caplog)[len(EXPECTED) :]
        if "param blob" in line and "Backward" in line
    ]
    assert second == [
        "[Backward] Layer g, param blob 0 diff: 0.3125",
        "[Backward] Layer f, param blob 0 diff: 1.25",
        "[Backward] Layer f, param blob 1 diff: 3.75",
    ]


def test_training_is_the_same() -> None:
    shown, quiet = solver("display: 1"), solver()
    for run in (shown, quiet):
        run.step(2)
    for mine, theirs in zip(shown.net.learnable, quiet.net.learnable, strict=True):
        np.testing.assert_array_equal(mine.tensor.detach(), theirs.tensor.detach())


def test_test_nets_and_nets_of_their_own_show_their_forward(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="netrun")
    solver("test_iter: 2 test_interval: 1").test_all()
    assert lines(caplog) == EXPECTED[:19] * 2
    caplog.clear()
    build("debug_info: true " + NET, netrun.TEST).forward()
    assert lines(caplog) == EXPECTED[:19]


def test_force_backward_shows_every_gradient(caplog: pytest.LogCaptureFixture) -> None:
    """Of the frozen layer and of the data too: as the fork's log of the same net has them."""
    caplog.set_level("INFO", logger="netrun")
    solver("display: 2", "force_backward: true " + NET).step(1)
    assert lines(caplog)[19:] == FORCED


FORCED = """
[Backward] Layer twice, bottom blob loss_loss_0_split_1 diff: 0
[Backward] Layer also, bottom blob h diff: 0.625
[Backward] Layer also, bottom blob y_x_1_split_1 diff: 0.625
[Backward] Layer loss_loss_0_split, bottom blob loss diff: 0.5
[Backward] Layer loss, bottom blob g diff: 0.625
[Backward] Layer loss, bottom blob y_x_1_split_0 diff: 0.625
[Backward] Layer h, bottom blob f_r_0_split_1 diff: 0.625
[Backward] Layer h, param blob 0 diff: 0.3125
[Backward] Layer g, bottom blob f_r_0_split_0 diff: 3.75
[Backward] Layer g, param blob 0 diff: 0.3125
[Backward] Layer f_r_0_split, bottom blob f diff: 4.375
[Backward] Layer r, bottom blob f diff: 1.09375
[Backward] Layer f, bottom blob x diff: 6.5625
[Backward] Layer f, param blob 0 diff: 0.78125
[Backward] Layer f, param blob 1 diff: 2.1875
[Backward] Layer y_x_1_split, bottom blob y diff: 1.25
[Backward] All net params (data, diff): L1 norm = (22, 8.75); L2 norm = (8.30662, 3.5217)
""".strip().splitlines()


@pytest.mark.parametrize("kind", ["SGD", "Nesterov", "Adam", "AdaDelta"])
def test_snapshots_hold_what_the_weights_lost_last(tmp_path, kind: str) -> None:
    """Caffe leaves the update in diff; a frozen parameter has none."""
    fields = (
        f'type: "{kind}" momentum2: 0.9 snapshot: 1 snapshot_prefix: "{tmp_path}/n" '
        f"snapshot_diff: true weight_decay: 0.1"
    )
    run = solver(fields)
    run.step(1)
    before = [p.tensor.detach().numpy().copy() for p in run.net.learnable]
    run.step(1)
    saved = {
        layer.name: layer.blobs
        for layer in binary.read_weights(tmp_path / "n_iter_2.caffemodel").layer
    }
    for p, old in zip(run.net.learnable, before, strict=True):
        lost = np.ravel(old - p.tensor.detach().numpy())
        np.testing.assert_allclose(saved[p.layer][p.index].diff, lost, atol=1e-6)
        assert lost.any() == (p.lr_mult != 0)
    assert saved["g"][0].diff == saved["f"][0].diff


def test_a_loss_without_a_top_counts_but_is_no_output(
    caplog: pytest.LogCaptureFixture, tmp_path
) -> None:
    """Caffe gives it a blob without a name that others could use.

    The log and what is saved are the fork's.
    """
    caplog.set_level("INFO", logger="netrun")
    run = solver(
        "display: 1", NET[: NET.index('layer { name: "twice"')].replace(' top: "loss"', "")
    )
    run.step(1)
    assert "[Forward] Layer loss, top blob (automatic) data: 6.25" in lines(caplog)
    said = [r.getMessage() for r in caplog.records]
    assert "Iteration 0, loss = 4.6875" in said  # 0.5 * 6.25 + 1.5625
    assert [line for line in said if "output #" in line] == [
        "    Train net output #0: also = 1.5625 (* 1 = 1.5625 loss)"
    ]
    run.net.save(tmp_path / "w.caffemodel")
    assert [
        list(la.top)
        for la in binary.read_weights(tmp_path / "w.caffemodel").layer
        if la.name == "loss"
    ] == [[]]
