"""What scripts written for pycaffe do with nets and solvers, beyond forward and backward."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import netrun
from caffe_ir import binary
from netrun import pycaffe
from ssd_common.errors import CaffeError
from tests.netrun.small_nets import build, data, layer

RNG = np.random.default_rng(3)
CONV = 'convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } }'
NET = (
    "force_backward: true "
    + data("x", 2, 3, 6, 6)
    + layer("Convolution", "x", "c", CONV)
    + layer("ReLU", "c", "r")
)


@pytest.mark.parametrize("phase", [netrun.TRAIN, netrun.TEST])
def test_filters_and_blobs_are_in_c_order(phase: int) -> None:
    net = build(NET, phase)
    net.blobs["x"].data[...] = RNG.standard_normal((2, 3, 6, 6))
    net.forward()
    net.backward(r=np.ones((2, 4, 4, 4)))
    weight = net.params["c"][0]
    for blob in [weight, *net.blobs.values()]:
        assert blob.data.flags.c_contiguous
        assert blob.diff.flags.c_contiguous
    values = RNG.standard_normal((4, 27)).astype("f")
    weight.data.reshape(4, 27)[...] = values  # a view, as in pycaffe: what is written there counts
    weight.diff.ravel()[...] = 2
    assert np.array_equal(weight.data.ravel(), values.ravel())
    assert (weight.diff == 2).all()
    patch = net.blobs["x"].data[1, :, 2:5, 1:4].ravel()
    np.testing.assert_allclose(
        net.forward(blobs=["c"])["c"][1, :, 2, 1], values @ patch, rtol=1e-4, atol=1e-5
    )


def test_looking_at_a_blob_cuts_no_gradient() -> None:
    net = build(NET)
    net.forward(x=np.ones((2, 3, 6, 6)), end="c")
    with torch.no_grad():
        net.blobs["c"].data[...] = np.abs(net.blobs["c"].data)
    net.forward(start="r")
    assert net.backward(r=np.ones((2, 4, 4, 4)))["x"].any()


def test_shared_filters_stay_shared_when_looked_at() -> None:
    first, second = build(NET, netrun.TEST), build(NET, netrun.TEST)
    second.share_with(first)
    first.params["c"][0].data[...] = 3
    assert (second.params["c"][0].data == 3).all()
    second.params["c"][0].data[...] = 5
    assert (first.params["c"][0].data == 5).all()


def test_surgery_by_flat() -> None:
    one, other = build(NET), build(NET, seed=1)
    assert not np.array_equal(one.params["c"][0].data, other.params["c"][0].data)
    one.params["c"][0].data.flat = other.params["c"][0].data.flat
    assert np.array_equal(one.params["c"][0].data, other.params["c"][0].data)


def test_forward_all_cuts_what_it_filled_up() -> None:
    net = build(NET, netrun.TEST)
    images = RNG.standard_normal((5, 3, 6, 6)).astype("f")
    found = net.forward_all(x=images, blobs=["c"])
    assert {name: rows.shape for name, rows in found.items()} == {
        "r": (5, 4, 4, 4),
        "c": (5, 4, 4, 4),
    }
    for i in range(0, 4, 2):
        np.testing.assert_array_equal(found["r"][i : i + 2], net.forward(x=images[i : i + 2])["r"])
    with pytest.raises(CaffeError, match="takes the inputs x"):
        net.forward_all()


def test_layers_of_one_name_keep_their_own_weights(tmp_path: Path) -> None:
    """Caffe saves every layer's, and loads the first of a name."""
    words = NET + layer(
        "Convolution", "r", "d", CONV.replace("num_output: 4", "num_output: 2"), name="c"
    )
    net, path = build(words), tmp_path / "w.caffemodel"
    net.save(path)
    assert [
        list(layer.blobs[0].shape.dim) for layer in binary.read_weights(path).layer if layer.blobs
    ] == [[4, 3, 3, 3], [2, 4, 3, 3]]
    build(NET, seed=1).save(path)
    net.copy_from(path)
    assert np.array_equal(net.layers[1].blobs[0].data, build(NET, seed=1).params["c"][0].data)


@pytest.mark.parametrize("phase", [netrun.TRAIN, netrun.TEST])
@pytest.mark.parametrize("fields", ["scale_param { bias_term: true }", "", "param { lr_mult: 0 }"])
def test_a_scale_done_with_its_normalization_is_the_same(phase: int, fields: str) -> None:
    """`run` does BatchNorm and Scale in one, `forward` of a net that keeps all gradients one by
    one.
    """
    words = (
        data("x", 4, 3, 5, 5)
        + layer("BatchNorm", "x", "y", name="bn")
        + layer("Scale", "y", "y", fields, name="s")
    )
    words += layer("ReLU", "y", "z") + layer(
        "Reduction", "z", "loss", "loss_weight: 2 reduction_param { operation: SUMSQ }"
    )
    both, apart = build(words, phase), build("force_backward: true " + words, phase)
    values = RNG.standard_normal((4, 3, 5, 5))
    for net in (both, apart):
        net.blobs["x"].data[...] = values
        for name, blobs in (
            ("bn", ([0.1, 0.2, 0.3], [1, 2, 3], [2])),
            ("s", ([2, -1, 0.5], [0.3, 0.2, 0.1])),
        ):
            for blob, numbers in zip(net.params[name], blobs, strict=False):
                blob.data[...] = numbers
    both.run()
    apart.forward()
    assert both.layer_list[1].scale is both.layer_list[2]
    assert apart.layer_list[1].scale is None or phase == netrun.TEST
    np.testing.assert_allclose(both.blobs["y"].data, apart.blobs["y"].data, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(both.params["bn"][1].data, apart.params["bn"][1].data, rtol=1e-6)
    if phase == netrun.TRAIN and "lr_mult: 0" not in fields:
        both.loss.backward()
        apart.backward()
        for mine, other in zip(both.params["s"], apart.params["s"], strict=True):
            assert other.diff.any()
            np.testing.assert_allclose(mine.diff, other.diff, rtol=1e-4, atol=1e-4)


def test_a_scale_that_others_see_around_is_done_apart() -> None:
    words = (
        data("x", 4, 3, 5, 5)
        + layer("BatchNorm", "x", "y", name="bn")
        + layer("Scale", "y", "z", name="s")
    )
    net = build(words, netrun.TEST)
    net.params["s"][0].data[...] = 3
    net.params["bn"][1].data[...] = net.params["bn"][2].data[...] = 1
    net.forward(x=np.ones((4, 3, 5, 5)))
    np.testing.assert_allclose(net.blobs["y"].data, 1, rtol=1e-4)
    np.testing.assert_allclose(net.blobs["z"].data, 3, rtol=1e-4)


def test_solvers_by_name(tmp_path: Path) -> None:
    words = NET + layer(
        "Reduction", "r", "loss", "loss_weight: 1 reduction_param { operation: SUMSQ }"
    )
    (tmp_path / "net.prototxt").write_text(words)
    file = tmp_path / "solver.prototxt"
    file.write_text('net: "net.prototxt" base_lr: 0.001 lr_policy: "fixed" type: "AdaDelta"')
    solver = netrun.SGDSolver(str(file))  # the net lies beside its solver
    assert isinstance(solver, netrun.Solver)
    solver.net.blobs["x"].data[...] = RNG.standard_normal((2, 3, 6, 6))
    weight = solver.net.params["c"][0]
    before = weight.data.copy()
    solver.step(1)
    assert solver.iter == 1
    np.testing.assert_allclose(weight.data, before - np.float32(0.001) * weight.diff, rtol=1e-6)
    assert len(netrun.AdamSolver(str(file)).updater.history) == 4
    assert netrun.get_solver(str(file)).param.type == "AdaDelta"
    assert not hasattr(netrun, "SGDSolvers")


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 3, 7, 7)), np.zeros((3, 3, 6, 6)), "image.jpg", [[1], [2, 3]]]
)
def test_values_that_do_not_fit_name_the_blob(wrong: object) -> None:
    with pytest.raises(CaffeError, match="blob 'x'"):
        build(NET).forward(x=wrong)  # type: ignore[arg-type]


def test_a_phase_that_is_none_is_quoted() -> None:
    with pytest.raises(CaffeError, match="not 'TEST'"):
        build(NET, "TEST")  # type: ignore[arg-type]
    build(NET, netrun.TEST, level=0, stages=None)
    with pytest.raises(CaffeError, match=r"cannot have shape \(2, -1\)"):
        build(NET).blobs["x"].reshape(2, -1)


def test_the_face_lists_the_names_that_it_imports() -> None:
    """Its rooms are names, too, once they are loaded; only two of them are pycaffe's own."""
    own = {"annotations"}
    public = {
        name
        for name, value in vars(pycaffe).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert sorted({*public, "_caffe", "io", "proto"} - own) == sorted(pycaffe.__all__)
