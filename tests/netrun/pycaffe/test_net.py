"""Net: pycaffe's interface, what gradients go where, shapes that change, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import netrun
from caffe_ir import text
from netrun.pycaffe.blob_arrays import HostCopy
from ssd_common.errors import CaffeError, LayerError
from tests.netrun.small_nets import build, data, layer

RNG = np.random.default_rng(0)


def dense(bottom: str, top: str, outputs: int, fields: str = "") -> str:
    param = f'inner_product_param {{ num_output: {outputs} weight_filler {{ type: "xavier" }} }}'
    return layer("InnerProduct", bottom, top, f"{param} {fields}")


CHAIN = (
    data("x", 2, 3) + dense("x", "a", 4) + layer("ReLU", "a", "a", name="relu") + dense("a", "y", 2)
)


def test_names_and_shapes() -> None:
    net = build(CHAIN)
    assert (net.name, net.inputs, net.outputs) == ("n", ["x"], ["y"])
    assert list(net.blobs) == ["x", "a", "y"]
    assert list(net._layer_names) == ["x", "a", "relu", "y"]
    assert [view.type for view in net.layers] == ["Input", "InnerProduct", "ReLU", "InnerProduct"]
    assert net.layer_dict["a"].blobs[0].data is not None
    assert net.top_names["relu"] == net.bottom_names["relu"] == ["a"]
    assert net.blobs["y"].data.shape == net.blobs["y"].diff.shape == (2, 2)
    x = net.blobs["x"]
    assert (x.num, x.channels, x.height, x.width, x.count) == (2, 3, 1, 1, 6)
    assert [(p.layer, p.index) for p in net.learnable] == [("a", 0), ("a", 1), ("y", 0), ("y", 1)]


def test_forward_and_backward_by_hand() -> None:
    net = build("force_backward: true " + CHAIN)
    x, d = RNG.standard_normal((2, 3)).astype("f"), RNG.standard_normal((2, 2)).astype("f")
    w1, b1 = [p.data.copy() for p in net.params["a"]]
    w2, b2 = [p.data.copy() for p in net.params["y"]]
    hidden = x @ w1.T + b1
    out = net.forward(x=x, blobs=["a"])
    assert set(out) == {"y", "a"}
    np.testing.assert_allclose(out["y"], np.maximum(hidden, 0) @ w2.T + b2, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(out["a"], np.maximum(hidden, 0), rtol=1e-5, atol=1e-6)
    gradient = (d @ w2) * (hidden > 0)  # of the blob's first version, before ReLU, as in Caffe
    diffs = net.backward(y=d, diffs=["a"])
    np.testing.assert_allclose(diffs["a"], gradient, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(diffs["x"], gradient @ w1, rtol=1e-5, atol=1e-6)
    once = net.params["a"][0].diff.copy()
    np.testing.assert_allclose(once, gradient.T @ x, rtol=1e-5, atol=1e-6)
    net.backward(y=d)
    np.testing.assert_allclose(
        net.params["a"][0].diff, 2 * once, rtol=1e-5
    )  # parameters' diffs add up until cleared
    net.clear_param_diffs()
    assert not net.params["a"][0].diff.any()


def test_written_data_takes_part_in_the_next_forward() -> None:
    net = build(CHAIN, netrun.TEST)
    before = net.forward()["y"].copy()
    net.blobs["x"].data[...] = 1
    net.params["y"][1].data[...] = 5
    assert not np.allclose(net.forward()["y"], before)
    assert (net.blobs["x"].data == 1).all()


def test_backward_in_test_phase_computes_again() -> None:
    x, d = RNG.standard_normal((2, 3)), np.ones((2, 2))
    nets = [build("force_backward: true " + CHAIN), build(CHAIN, netrun.TEST)]
    for net in nets:
        net.forward(x=x)
        net.backward(y=d)
    assert nets[0].params["a"][0].diff.any()
    assert np.array_equal(nets[0].params["a"][0].diff, nets[1].params["a"][0].diff)
    assert not nets[1].blobs["x"].diff.any()  # no force_backward: no gradient of inputs


def test_part_of_a_net() -> None:
    net = build("force_backward: true " + CHAIN)
    x = RNG.standard_normal((2, 3)).astype("f")
    hidden = net.forward(x=x, end="a")["a"].copy()
    assert hidden.min() < 0  # the ReLU behind it has not run
    assert (net.blobs["y"].data == 0).all()
    net.forward(start="relu")
    np.testing.assert_array_equal(net.blobs["a"].data, np.maximum(hidden, 0))
    net.blobs["a"].diff[...] = 1
    diff = net.backward(start="a")["x"]  # from the InnerProduct's top, before ReLU
    np.testing.assert_allclose(
        diff, np.ones((2, 4)) @ net.params["a"][0].data, rtol=1e-5, atol=1e-6
    )
    assert not net.params["y"][0].diff.any()
    net.clear_param_diffs()
    net.backward(y=np.ones((2, 2)), end="relu")
    assert net.params["y"][0].diff.any()
    assert not net.params["a"][0].diff.any()


def loss(fields: str = "") -> str:
    return data("l", 2, 2) + layer("EuclideanLoss", "y l", "loss", fields)


def test_loss_weights() -> None:
    once, thrice = build(CHAIN + loss()), build(CHAIN + loss("loss_weight: 3"))
    for net in (once, thrice):
        net.blobs["x"].data[...] = 1
        net.forward()
        net.backward()
        assert net.loss.shape == ()
    assert once.blob_loss_weights["loss"] == 1
    assert thrice.loss.item() == pytest.approx(3 * once.loss.item())
    np.testing.assert_allclose(thrice.params["a"][0].diff, 3 * once.params["a"][0].diff, rtol=1e-5)


def test_run_gives_the_same_gradients_while_overwriting() -> None:
    param = 'convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "msra" } }'
    words = data("x", 2, 3, 6, 6) + layer("Convolution", "x", "c", param)
    words += layer("BatchNorm", "c", "c", name="bn") + layer(
        "Scale", "c", "c", "scale_param { bias_term: true }", name="s"
    )
    words += (
        layer("ReLU", "c", "c", name="r")
        + data("l", 2, 4, 4, 4)
        + layer("EuclideanLoss", "c l", "loss")
    )
    kept, overwritten = build(words), build(words)
    for net in (kept, overwritten):
        net.blobs["x"].data[...] = np.arange(216).reshape(2, 3, 6, 6) % 7
    kept.forward()
    kept.backward()
    overwritten.run()
    overwritten.loss.backward()
    assert torch.equal(kept.loss, overwritten.loss)
    for name in ("c", "s"):
        for a, b in zip(kept.params[name], overwritten.params[name], strict=True):
            np.testing.assert_allclose(a.diff, b.diff, rtol=1e-5, atol=1e-6)
    test = build(words, netrun.TEST)
    test.share_from(kept)
    test.blobs["x"].data[...] = kept.blobs["x"].data
    out = test.forward(blobs=["c"])["c"].copy()
    assert test.runner.plan.overwrite == [False, False, True, True, True, False, False]
    test.runner.plan = replace(test.runner.plan, overwrite=[False] * 7)
    np.testing.assert_allclose(test.forward(blobs=["c"])["c"], out, rtol=1e-6, atol=1e-6)


def test_nothing_is_overwritten_that_another_layer_reads() -> None:
    words = (
        data("x", 1, 3)
        + dense("x", "a", 4)
        + layer("Power", "a", "p")
        + layer("ReLU", "a", "a", name="relu")
    )
    with pytest.raises(
        CaffeError, match="layer 'relu', top: works in place on blob 'a', which others use as well"
    ):
        build(words, netrun.TEST)


def test_gradients_go_where_they_should() -> None:
    frozen = "param { lr_mult: 0 } param { lr_mult: 0 }"
    words = (
        data("x", 2, 3)
        + dense("x", "a", 4, frozen)
        + dense("a", "y", 2)
        + loss("propagate_down: true propagate_down: false")
    )
    net = build(words)
    net.blobs["x"].data[...] = 1
    net.forward()
    net.backward()
    assert not net.params["a"][0].diff.any()
    assert net.params["y"][0].diff.any()
    assert not net.blobs["x"].diff.any()
    assert not net.blobs["l"].diff.any()
    assert [p.lr_mult for p in net.learnable] == [0, 0, 1, 1]
    forced = build("force_backward: true " + words)
    forced.blobs["x"].data[...] = 1
    forced.forward()
    forced.backward()
    assert forced.params["a"][0].diff.any()
    assert forced.blobs["x"].diff.any()


def test_propagate_down_stops_a_gradient() -> None:
    net = build(
        data("x", 2, 3) + dense("x", "a", 4) + dense("a", "y", 2, "propagate_down: false") + loss()
    )
    net.blobs["x"].data[...] = 1
    net.forward()
    net.backward()
    assert net.params["y"][0].diff.any()
    assert not net.params["a"][0].diff.any()


def test_shared_parameters_are_one() -> None:
    named = 'param { name: "w" lr_mult: 2 } param { name: "b" }'
    net = build(data("x", 2, 3) + dense("x", "a", 3, named) + dense("a", "y", 3, named))
    assert [(p.layer, p.index, p.lr_mult) for p in net.learnable] == [("a", 0, 2), ("a", 1, 1)]
    net.params["a"][0].data[...] = 7
    assert (net.params["y"][0].data == 7).all()


def test_layers_are_filtered_by_phase_and_stage() -> None:
    words = (
        CHAIN
        + layer("Softmax", "y", "p", "include { phase: TEST }")
        + layer("Power", "y", "q", 'include { stage: "s" }')
    )
    assert build(words).outputs == ["y"]
    assert build(words, netrun.TEST).outputs == ["p"]
    assert build(words, netrun.TEST, stages=["s"]).outputs == ["p", "q"]


def test_shapes_follow_the_inputs() -> None:
    words = (
        data("x", 1, 2, 8, 8)
        + layer("Pooling", "x", "p", "pooling_param { kernel_size: 3 stride: 2 }")
        + layer("Flatten", "p", "f")
    )
    net = build(words, netrun.TEST)
    assert net.blobs["f"].shape == (1, 32)  # ceil((8 - 3) / 2) + 1 = 4
    net.blobs["x"].reshape(3, 2, 9, 5)
    net.reshape()
    assert net.blobs["p"].data.shape == (3, 2, 4, 2)
    net.blobs["x"].reshape(3, 2, 7, 5)
    assert net.forward()["f"].shape == (3, 12)
    assert build(words, netrun.TEST, inputs={"x": (5, 2, 8, 8)}).blobs["f"].shape == (5, 32)


def test_parameters_are_shared_by_layer_name() -> None:
    train, test = (
        build(CHAIN, seed=1),
        build(data("x", 5, 3) + dense("x", "a", 4) + dense("a", "z", 9), netrun.TEST, seed=2),
    )
    test.share_from(train)
    train.params["a"][0].data[...] = 3
    assert (test.params["a"][0].data == 3).all()
    with pytest.raises(
        LayerError,
        match=r"layer 'a': cannot share weights: shapes \(7 3\) \(7\) here, \(4 3\) \(4\)",
    ):
        build(data("x", 5, 3) + dense("x", "a", 7), netrun.TEST).share_with(train)


def test_dropout_follows_from_seed_and_pass() -> None:
    words = data("x", 1, 1000) + layer("Dropout", "x", "y", "dropout_param { dropout_ratio: 0.2 }")
    net = build(words, seed=3)
    net.blobs["x"].data[...] = 1
    first, second = net.forward()["y"].copy(), net.forward()["y"].copy()
    assert set(np.unique(first)) == {0, np.float32(1 / 0.8)}
    assert (first == 0).mean() == pytest.approx(0.2, abs=0.04)
    assert not np.array_equal(first, second)
    net.seek(0)
    assert np.array_equal(net.forward()["y"], first)
    other = build(words, seed=4)
    other.blobs["x"].data[...] = 1
    assert not np.array_equal(other.forward()["y"], first)


def test_older_order_of_arguments(tmp_path: Path) -> None:
    net = build(CHAIN, seed=9)
    net.save(tmp_path / "w.caffemodel")
    text.write(net.param, tmp_path / "n.prototxt")
    for again in (
        netrun.Net(tmp_path / "n.prototxt", str(tmp_path / "w.caffemodel"), netrun.TEST),
        netrun.Net(tmp_path / "n.prototxt", netrun.TEST, tmp_path / "w.caffemodel"),
    ):
        assert np.array_equal(again.params["a"][0].data, net.params["a"][0].data)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            data("x", 1, 3) + layer("Inerproduct", "x", "y"),
            "layer 'y', type: .*'Inerproduct' .did you mean 'InnerProduct'",
        ),
        (data("x", 1, 3) + layer("ReLU", "z", "y"), "layer 'y', bottom: unknown blob 'z'"),
        (
            data("x", 1, 3).replace("type:", "include { phase: TEST } type:")
            + layer("ReLU", "x", "y"),
            (
                "layer 'y', bottom: unknown blob 'x': only a layer of another phase, level "
                "or stage makes it"
            ),
        ),
        (layer("ReLU", "x", "y") + data("x", 1, 3), "layer 'y', bottom: unknown blob 'x'$"),
        (
            data("x", 1, 3) + dense("x", "y", 2).replace("xavier", "xaver"),
            "layer 'y'.*did you mean 'xavier'",
        ),
        (
            data("x", 1, 3) + layer("Log", "x", "x", name="y"),
            "layer 'y', top: Caffe's gradient reads what the layer has overwritten",
        ),
    ],
)
def test_nets_that_are_refused(words: str, message: str) -> None:
    with pytest.raises(LayerError, match=message):
        build(words)


def test_calls_that_are_refused() -> None:
    net = build(CHAIN)
    with pytest.raises(CaffeError, match="forward takes the inputs x, not z"):
        net.forward(z=np.zeros((2, 3)))
    with pytest.raises(
        CaffeError, match=r"blob 'x' has shape \(2, 3\), not \(4, 3\): reshape it first"
    ):
        net.forward(x=np.zeros((4, 3)))
    with pytest.raises(CaffeError, match="backward takes the outputs y, not a"):
        net.backward(a=np.zeros((2, 4)))
    with pytest.raises(CaffeError, match=r"no layer 'rellu' \(did you mean 'relu'"):
        net.forward(start="rellu")
    with pytest.raises(CaffeError, match=r"phase must be netrun\.TRAIN or netrun\.TEST, not 7"):
        build(CHAIN, 7)
    net.blobs["x"].reshape(2, 5)
    with pytest.raises(
        LayerError, match=r"layer 'a', bottom: parameter 0 has shape \(4 3\); .* would need \(4 5\)"
    ):
        net.forward()


def test_labels_out_of_range_name_the_layer() -> None:
    net = build(data("x", 2, 3) + data("l", 2) + layer("SoftmaxWithLoss", "x l", "loss"))
    net.blobs["l"].data[...] = 3
    with pytest.raises(LayerError, match="layer 'loss': SoftmaxWithLoss failed"):
        net.forward()


def test_host_copies_go_back_unless_the_tensor_has_changed() -> None:
    tensor = torch.zeros(3)
    copy = HostCopy(tensor)
    copy.array = np.ones(3, np.float32)
    copy.put_back(tensor)
    assert tensor.tolist() == [1, 1, 1]
    assert copy.is_of(tensor)
    tensor.add_(1)
    assert not copy.is_of(tensor)
    copy.put_back(tensor)
    assert tensor.tolist() == [2, 2, 2]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_computes_what_the_cpu_does() -> None:
    nets = [
        build("force_backward: true " + CHAIN, device=device, seed=5) for device in ("cpu", "cuda")
    ]
    x, d = RNG.standard_normal((2, 3)), np.ones((2, 2))
    for net in nets:
        net.params["a"][1].data[...] = [1, 2, 3, 4]
        net.blobs["x"].data[...] = x
        net.forward()
        net.backward(y=d)
    for name in ("x", "a", "y"):
        np.testing.assert_allclose(
            nets[0].blobs[name].data, nets[1].blobs[name].data, rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(
            nets[0].blobs[name].diff, nets[1].blobs[name].diff, rtol=1e-4, atol=1e-5
        )
    for name in "ay":
        for cpu, cuda in zip(nets[0].params[name], nets[1].params[name], strict=True):
            np.testing.assert_allclose(cpu.diff, cuda.diff, rtol=1e-4, atol=1e-5)
    nets[1].clear_param_diffs()
    nets[1].forward()
    nets[1].backward(y=d)
    np.testing.assert_allclose(
        nets[0].params["a"][0].diff, nets[1].params["a"][0].diff, rtol=1e-4, atol=1e-5
    )


def test_a_blob_has_at_most_32_axes() -> None:
    blob = build(data("x", 2)).blobs["x"]
    blob.reshape(*[1] * 31, 2)
    with pytest.raises(CaffeError, match="cannot have 33 axes: at most 32"):
        blob.reshape(*[1] * 33)
    assert blob.data.shape == (*[1] * 31, 2)


def test_reshape_follows_an_input_that_a_layer_overwrites() -> None:
    words = data("x", 1, 1, 8, 8) + layer("Power", "x", "x", "power_param { scale: 2 }", name="p")
    fields = "convolution_param { num_output: 2 kernel_size: 3 }"
    net = build(words + layer("Convolution", "x", "y", fields))
    net.blobs["x"].reshape(1, 1, 12, 16)
    net.reshape()
    assert net.blobs["y"].shape == (1, 2, 10, 14)
    assert net.forward()["y"].shape == (1, 2, 10, 14)
