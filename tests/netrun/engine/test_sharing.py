"""Parameters that layers share by name: in one shape, in several of one count (PERMISSIVE), in
files, and where Caffe would refuse.

The numbers of PERMISSIVE are those of the SSD fork's own `caffe train`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netrun
from caffe_ir import binary, text
from caffe_ir import caffe_ir_pb2 as pb
from netrun import Solver
from ssd_common.errors import LayerError
from tests.netrun.small_nets import build, data, layer

CONV = "convolution_param { num_output: 6 kernel_size: 1 } "
PERMISSIVE = (
    'layer { name: "x" type: "DummyData" top: "x" top: "y" '
    "dummy_data_param { shape { dim: 2 dim: 6 } shape { dim: 2 dim: 6 dim: 1 dim: 1 }"
    " data_filler { value: 0.5 } data_filler { value: 1 } } }\n"
    + layer(
        "InnerProduct",
        "x",
        "f",
        (
            'param { name: "w" lr_mult: 3 } '
            "inner_product_param { num_output: 3 weight_filler { value: 0.25 } }"
        ),
    )
    + layer("ELU", "f", "e")
    + layer("Reshape", "e", "r", "reshape_param { shape { dim: 2 dim: 3 dim: 1 dim: 1 } }")
    + layer(
        "Convolution", "r", "g", CONV + 'param { name: "w" share_mode: PERMISSIVE decay_mult: 2 }'
    )
    + layer("EuclideanLoss", "g y", "loss")
)
LOSSES = [0.574219, 0.0622771, 0.606913, 0.353781]


def test_one_parameter_in_two_shapes_trains_as_in_caffe(tmp_path: Path) -> None:
    """The multipliers hold for both, whichever layer states them."""
    fields = (
        f'base_lr: 0.05 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.01 '
        f'snapshot_prefix: "{tmp_path}/n" snapshot: 4 '
    )
    fields += "test_iter: 1 test_interval: 10"
    param = text.parse(fields, pb.SolverParameter)
    param.net_param.CopyFrom(text.parse(PERMISSIVE, pb.NetParameter))
    solver = Solver(param)
    assert [(p.lr_mult, p.decay_mult) for p in solver.net.learnable] == [(3, 2), (1, 1), (1, 1)]
    losses = []
    for _ in range(4):
        solver.step(1)
        losses.append(float(solver.net.blobs["loss"].data))
    np.testing.assert_allclose(losses, LOSSES, rtol=5e-6)  # as many digits as Caffe prints
    solver.test_all()  # as the train net would go on
    assert float(solver.test_nets[0].blobs["loss"].data) == pytest.approx(0.696737, rel=5e-6)
    one, other = solver.net.params["f"][0], solver.net.params["g"][0]
    assert (one.data.shape, other.data.shape, other.diff.shape) == (
        (3, 6),
        (6, 3, 1, 1),
        (6, 3, 1, 1),
    )
    np.testing.assert_array_equal(one.data.ravel(), other.data.ravel())
    saved = {
        la.name: la.blobs for la in binary.read_weights(tmp_path / "n_iter_4.caffemodel").layer
    }
    assert list(saved["g"][0].shape.dim) == [6, 3, 1, 1]
    assert saved["g"][0].data == saved["f"][0].data


@pytest.mark.parametrize("phase", [netrun.TRAIN, netrun.TEST])
@pytest.mark.parametrize("name", ["w.caffemodel", "w.caffemodel.h5"])
def test_weights_come_back_and_stay_shared(tmp_path: Path, name: str, phase: int) -> None:
    net, again = build(PERMISSIVE, phase), build(PERMISSIVE, phase, seed=1)
    net.params["g"][0].data[...] = np.arange(18.0).reshape(6, 3, 1, 1)
    assert net.params["f"][0].data[2, 5] == 17
    net.save(tmp_path / name)
    again.copy_from(tmp_path / name)
    again.params["f"][0].data[0, 1] = -5
    assert again.params["g"][0].data.ravel().tolist() == [0, -5, *range(2, 18)]
    expected = (
        again.params["g"][0].data.reshape(6, 3) @ again.forward(blobs=["r"])["r"].reshape(2, 3).T
    )
    np.testing.assert_allclose(again.blobs["g"].data.reshape(2, 6), expected.T, rtol=1e-5)


def shared(second: str, rows: int = 4) -> str:
    words = data("x", 2, 4) + layer(
        "InnerProduct",
        "x",
        "a",
        'param { name: "w" lr_mult: 2 } inner_product_param { num_output: 4 }',
    )
    return words + layer(
        "InnerProduct",
        "a",
        "b",
        f'param {{ name: "w" {second} }} inner_product_param {{ num_output: {rows} }}',
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (shared("", 2), r"layer 'b', param: shared parameter 'w' is 2x4 here, 4x4 in layer 'a'"),
        (shared("share_mode: PERMISSIVE", 2), "shared parameter 'w' is 2x4 here, 4x4 in layer 'a'"),
        (
            PERMISSIVE.replace("share_mode: PERMISSIVE", ""),
            (
                "layer 'g', param: shared parameter 'w' is .* in layer 'f'; with "
                "share_mode: PERMISSIVE the counts, which are equal, would do"
            ),
        ),
        (
            shared("lr_mult: 1"),
            r"layer 'b', param.lr_mult: shared parameter 'w' has lr_mult 1 here, 2 in layer 'a'",
        ),
        (
            shared("decay_mult: 0.5")
            + shared("decay_mult: 0").split("\n")[2].replace('"b"', '"c"'),
            "has decay_mult 0 here, 0.5 in layer 'a'",
        ),
    ],
)
def test_what_caffe_refuses_names_both_layers(words: str, said: str) -> None:
    with pytest.raises(LayerError, match=said):
        build(words)


def test_statistics_can_be_shared_and_are_no_parameters_to_learn() -> None:
    names = " ".join(
        f'param {{ name: "{n}" lr_mult: 0 }}' for n in ("m", "v")
    )  # of three, Caffe drops all
    net = build(
        data("x", 4, 3, 2, 2)
        + layer("BatchNorm", "x", "a", names)
        + layer("BatchNorm", "a", "b", names)
    )
    assert len(net.learnable) == 2 + 2 * 1
    assert net.params["b"][0].tensor is net.params["a"][0].tensor
    words = (
        data("x", 4, 3, 2, 2)
        + layer("BatchNorm", "x", "a", names)
        + data("y", 4, 5, 2, 2)
        + layer("BatchNorm", "y", "b", names)
    )
    with pytest.raises(
        LayerError, match="layer 'b', param: shared parameter 'm' is 5 here, 3 in layer 'a'"
    ):
        build(words)
