"""Every layer against the reference Caffe: golden cases, and what they do not cover, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import netrun
from caffe_ir.rules import layer_types as rule_types
from netrun.layers import layer_types
from tests.netrun.goldens import replay
from tests.netrun.small_nets import build, data, layer
from tests.support import golden


@pytest.mark.parametrize("path", golden("layers/*.npz"))
def test_golden(path: Path) -> None:
    replay(path)


@pytest.mark.parametrize("path", golden("fssd/[!m]*.npz"))
def test_golden_of_fssd_fork(path: Path) -> None:
    replay(path)


def run(type_: str, fields: str = "", phase: int = netrun.TRAIN, tops: str = "y", **bottoms: object) -> tuple[netrun.Net, list[np.ndarray]]:
    """A net of one layer over these values, after a forward; its tops."""
    arrays = {name: np.asarray(values, np.float32) for name, values in bottoms.items()}
    inputs = "".join(data(name, *values.shape) for name, values in arrays.items())
    net = build("force_backward: true " + inputs + layer(type_, " ".join(arrays), tops, fields, name="layer"), phase)
    net.forward(**arrays)
    return net, [net.blobs[top].data for top in tops.split()]


def slopes(net: netrun.Net, name: str = "x", step: float = 1e-2) -> np.ndarray:
    """The gradient of the sum of top y by small steps of an input's values."""
    values = net.blobs[name].data.copy()
    result = np.zeros(values.shape)
    for i in np.ndindex(values.shape):
        ends = []
        for sign in (1, -1):
            net.blobs[name].data[...] = values
            net.blobs[name].data[i] += sign * step
            net.forward()
            ends.append(float(net.blobs["y"].data.sum(dtype=np.float64)))
        result[i] = (ends[0] - ends[1]) / (2 * step)
    net.blobs[name].data[...] = values
    net.forward()
    return result


ROW = [[[[1, 5, 2, 4, 3]]]]


def test_a_last_pooling_window_outside_the_bottom_is_empty() -> None:
    # ceil((5 - 1) / 3) + 1 = 3 windows, which start at 0, 3 and 6
    net, (y,) = run("Pooling", "pooling_param { kernel_size: 1 stride: 3 }", x=ROW)
    assert y.shape == (1, 1, 1, 3)
    assert y[0, 0, 0].tolist() == [1, 4, np.finfo(np.float32).min]
    assert net.backward(y=np.ones_like(y))["x"][0, 0, 0].tolist() == [1, 0, 0, 1, 0]
    net, (y,) = run("Pooling", "pooling_param { pool: AVE kernel_size: 1 stride: 3 }", x=ROW)
    assert y[0, 0, 0].tolist() == [1, 4, 0]
    assert net.backward(y=np.ones_like(y))["x"][0, 0, 0].tolist() == [1, 0, 0, 1, 0]
    _, (y,) = run("Pooling", "pooling_param { pool: AVE kernel_h: 1 kernel_w: 1 stride: 5 }", x=[[[[1, 5, 2, 4, 3, 8]]]])
    assert y[0, 0, 0].tolist() == [1, 8]
    _, (y,) = run("Pooling", "pooling_param { pool: AVE kernel_size: 1 stride: 5 }", x=[[[[1, 5, 2]]]])
    assert y[0, 0, 0, 0] == 1
    assert np.isnan(run("Pooling", "pooling_param { pool: AVE kernel_size: 1 stride: 3 }", x=[[[[1, 5, 2]]]])[1][0][..., 1:]).all()


@pytest.mark.parametrize(
    ("type_", "fields", "expected"),
    [
        ("Convolution", "convolution_param { num_output: 1 kernel_h: 1 kernel_w: 4 stride: 2 %s }", [8]),
        ("Convolution", "convolution_param { num_output: 1 kernel_size: [1, 2] dilation: [1, 3] stride: 2 %s }", [1]),
        ("Convolution", "convolution_param { num_output: 1 kernel_size: [3, 5] pad: [1, 0] stride: 3 %s }", [8]),
        ("Im2col", "convolution_param { kernel_size: [1, 5] stride: 3 }", [1, 5, 2, 0, 0]),
        ("Pooling", "pooling_param { kernel_h: 1 kernel_w: 4 stride: 2 }", [5]),
        ("Pooling", "pooling_param { pool: AVE kernel_h: 1 kernel_w: 4 stride: 2 }", [8 / 3]),
    ],
)
def test_a_kernel_larger_than_the_bottom_by_less_than_the_stride(type_: str, fields: str, expected: list[float]) -> None:
    """Caffe lays it once, and sees zeros beyond the bottom."""
    fields = fields.replace("%s", 'bias_term: false weight_filler { type: "constant" value: 1 }')
    net, (y,) = run(type_, fields, x=[[[[1, 5, 2]]]])
    assert y.shape == (1, len(expected), 1, 1)
    assert y.ravel() == pytest.approx(expected)
    assert net.backward(y=np.ones_like(y))["x"] == pytest.approx(slopes(net), abs=1e-3)


def test_pooling_mask_and_wide_padding() -> None:
    fields = "pooling_param { kernel_h: 1 kernel_w: 2 pad_h: 0 pad_w: 1 stride_h: 1 stride_w: 2 }"
    _, (y, mask) = run("Pooling", fields, tops="y m", x=ROW)
    assert y[0, 0, 0].tolist() == [1, 5, 4]  # windows (-, 1), (5, 2), (4, 3)
    assert mask[0, 0, 0].tolist() == [0, 1, 3]
    fields = "pooling_param { kernel_h: 1 kernel_w: 3 pad_h: 0 pad_w: 2 stride_h: 1 stride_w: 2 %s }"
    _, (y, mask) = run("Pooling", fields % "", tops="y m", x=ROW)
    assert y[0, 0, 0].tolist() == [1, 5, 4, 3]  # windows (-, -, 1), (1, 5, 2), (2, 4, 3), (3, -, -)
    assert mask[0, 0, 0].tolist() == [0, 1, 3, 4]
    _, (y,) = run("Pooling", fields % "pool: AVE", x=ROW)
    np.testing.assert_allclose(y[0, 0, 0], np.array([1, 8, 9, 3]) / 3, rtol=1e-6)


def test_eltwise_of_equals_goes_to_the_second_then_stays() -> None:
    net, (y,) = run("Eltwise", "eltwise_param { operation: MAX }", a=[[1, 2, 2]], b=[[1, 3, 1]], c=[[1, 3, 5]])
    assert y.tolist() == [[1, 3, 5]]
    diffs = net.backward(y=np.ones((1, 3)))
    assert [diffs[name].tolist() for name in "abc"] == [[[0, 0, 0]], [[1, 1, 0]], [[0, 0, 1]]]


@pytest.mark.parametrize(
    ("type_", "fields", "values"),
    [
        ("Power", "power_param { power: 3 scale: 2 shift: -1 }", lambda x: (2 * x - 1) ** 3),
        ("Exp", "exp_param { base: 2 scale: 3 shift: 1 }", lambda x: 2.0 ** (1 + 3 * x)),
        ("Log", "log_param { base: 10 scale: 2 shift: 7 }", lambda x: np.log10(2 * x + 7)),
        ("BNLL", "", lambda x: np.log1p(np.exp(x))),
        ("Reduction", "reduction_param { operation: SUMSQ axis: 1 coeff: 2 }", lambda x: 2 * (x**2).sum(1)),
        ("Reduction", "reduction_param { operation: ASUM axis: -1 }", lambda x: np.abs(x).sum(-1)),
        ("Reduction", "", lambda x: x.sum()),
        ("Tile", "tile_param { axis: -1 tiles: 2 }", lambda x: np.concatenate([x, x], -1)),
    ],
)
def test_formulas_and_their_slopes(type_: str, fields: str, values: Callable[[np.ndarray], np.ndarray]) -> None:
    x = np.linspace(-0.9, 1.2, 6).reshape(2, 3)
    net, (y,) = run(type_, fields, x=x)
    np.testing.assert_allclose(y, values(x), rtol=1e-5, atol=1e-6)
    diff = net.backward(y=np.ones_like(y))["x"].copy()
    np.testing.assert_allclose(diff, slopes(net), rtol=1e-2, atol=1e-2)


IMAGES = np.random.default_rng(3).standard_normal((2, 3, 4, 4))


@pytest.mark.parametrize(
    ("type_", "fields"),
    [
        ("LRN", "lrn_param { local_size: 3 alpha: 0.5 norm_region: WITHIN_CHANNEL }"),
        ("MVN", "mvn_param { across_channels: true }"),
        ("MVN", "mvn_param { normalize_variance: false }"),
        ("Deconvolution", "convolution_param { num_output: 2 kernel_size: 3 dilation: 2 weight_filler { type: 'xavier' } }"),
        ("InnerProduct", "inner_product_param { num_output: 2 transpose: true weight_filler { type: 'xavier' } }"),
        ("InnerProduct", "inner_product_param { num_output: 2 axis: -1 weight_filler { type: 'xavier' } }"),
    ],
)
def test_slopes(type_: str, fields: str) -> None:
    words = data("x", *IMAGES.shape) + layer(type_, "x", "u", fields) + layer("Power", "u", "y", "power_param { power: 2 }")
    net = build("force_backward: true " + words)
    out = net.forward(x=IMAGES)["y"]
    diff = net.backward(y=np.ones_like(out))["x"].copy()
    np.testing.assert_allclose(diff, slopes(net), rtol=2e-2, atol=2e-2)


def test_mvn_by_hand() -> None:
    _, (y,) = run("MVN", "mvn_param { across_channels: true }", x=IMAGES)
    np.testing.assert_allclose(y.mean((1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(y.std((1, 2, 3)), 1, rtol=1e-5)


def test_lrn_within_channels_by_hand() -> None:
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 1, 1] = 3
    _, (y,) = run("LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 2 norm_region: WITHIN_CHANNEL }", x=x)
    assert y[0, 0, 1, 1] == pytest.approx(3 * (1 + 0.5 * 9 / 9) ** -2)


SCORES = np.array([[0.0, 0, 0, 0], [np.log(2), 0, 0, np.log(4)], [0, np.log(5), 0, 0]])  # label probabilities: 1/4, 1/2, 5/8
LABELS = [2, 3, 1]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", np.log(4 * 2 * 8 / 5) / 3),
        ("loss_param { ignore_label: 3 }", np.log(4 * 8 / 5) / 2),
        ("loss_param { ignore_label: 3 normalization: FULL }", np.log(4 * 8 / 5) / 3),
        ("loss_param { ignore_label: 3 normalize: false }", np.log(4 * 8 / 5) / 3),
        ("loss_param { normalization: NONE }", np.log(4 * 2 * 8 / 5)),
    ],
)
def test_softmax_with_loss_by_hand(fields: str, expected: float) -> None:
    net, (loss, probabilities) = run("SoftmaxWithLoss", fields, tops="y p", x=SCORES, l=LABELS)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert probabilities[1, 3] == pytest.approx(1 / 2)
    net.backward()
    np.testing.assert_allclose(net.blobs["x"].diff, slopes(net), atol=1e-3)
    assert not net.blobs["l"].diff.any()


def test_softmax_with_loss_takes_no_logarithm_of_zero() -> None:
    net, (loss,) = run("SoftmaxWithLoss", x=[[0, 200]], l=[0])
    assert float(loss) == pytest.approx(-np.log(np.finfo(np.float32).tiny))
    net.backward()
    np.testing.assert_allclose(net.blobs["x"].diff, [[-1, 1]])


def test_other_losses_by_hand() -> None:
    def loss(type_: str, fields: str = "", **bottoms: object) -> float:
        net, (y,) = run(type_, fields, **bottoms)
        net.backward()
        name = next(iter(bottoms))
        np.testing.assert_allclose(net.blobs[name].diff, slopes(net, name, 1e-3), atol=2e-3)
        return float(y)

    p, labels, s = [[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], [0, 1], [[2.0, -0.5, -3], [0.5, 0, 0]]
    assert loss("MultinomialLogisticLoss", p=p, l=labels) == pytest.approx(-np.log(0.5 * 0.8) / 2, rel=1e-5)
    matrix = np.diag([1.0, 2, 3]).reshape(1, 1, 3, 3)
    assert loss("InfogainLoss", p=p, l=labels, m=matrix) == pytest.approx(-(np.log(0.5) + 2 * np.log(0.8)) / 2, rel=1e-5)
    # margins: 1 - 2 -> 0, 1 - 0.5, 1 - 3 -> 0; 1 + 0.5, 1 - 0, 1 + 0
    assert loss("HingeLoss", s=s, l=labels) == pytest.approx((0.5 + 1.5 + 1 + 1) / 2)
    assert loss("HingeLoss", "hinge_loss_param { norm: L2 }", s=s, l=labels) == pytest.approx((0.25 + 2.25 + 1 + 1) / 2)
    a, b = [[0.3, 0.4], [0.3, 0.4]], [[0.0, 0], [0, 0]]  # distances 0.5
    assert loss("ContrastiveLoss", a=a, b=b, l=labels) == pytest.approx((0.25 + (1 - 0.5) ** 2) / 4)
    legacy = "contrastive_loss_param { legacy_version: true margin: 2 }"
    assert loss("ContrastiveLoss", legacy, a=a, b=b, l=labels) == pytest.approx((2 - 0.25 + 0.25) / 4)
    ignoring = "loss_param { ignore_label: 1 normalization: VALID }"
    assert loss("SigmoidCrossEntropyLoss", ignoring, s=[[0.0, 3]], t=[[0, 1]]) == pytest.approx(np.log(2), rel=1e-5)


def test_smooth_l1_weights_enter_the_gradient_once() -> None:
    net, (y,) = run("SmoothL1Loss", x=[[1.0, 4.0]], t=[[0.8, 1.0]], w=[[2, 0.5]])
    assert float(y) == pytest.approx(0.5 * 0.4**2 + 1.5 - 0.5)  # of 2 * 0.2 and 0.5 * 3
    net.backward()
    np.testing.assert_allclose(net.blobs["x"].diff, [[0.4, 1]], rtol=1e-6)


def test_layers_that_pick() -> None:
    x = np.arange(12.0).reshape(3, 4)
    _, (y,) = run("BatchReindex", x=x, i=[2, 0, 2])
    assert (y == x[[2, 0, 2]]).all()
    _, (y, z) = run("Filter", tops="y z", x=x, l=[5, 6, 7], s=[1, 0, 2])
    assert (y == x[[0, 2]]).all()
    assert z.tolist() == [5, 7]
    _, (y,) = run("Filter", x=x, s=[0, 0, 0])
    assert y.shape == (0, 4)
    _, (y,) = run("ArgMax", "argmax_param { top_k: 2 }", x=[[3, 9, 7]])
    assert y.tolist() == [[[1, 2]]]
    _, (y,) = run("ArgMax", "argmax_param { top_k: 1 out_max_val: true }", x=[[3, 9, 7]])
    assert y.tolist() == [[[1], [9]]]
    _, (y,) = run("ArgMax", "argmax_param { axis: 0 }", x=[[3, 9], [4, 1]])
    assert y.tolist() == [[1, 0]]
    _, (y,) = run("Threshold", "threshold_param { threshold: 1 }", x=[[0.5, 1, 1.5]])
    assert y.tolist() == [[0, 0, 1]]
    _, (y, each) = run("Accuracy", "accuracy_param { ignore_label: 2 }", tops="y e", x=[[3, 9, 7], [8, 1, 2], [1, 2, 3]], l=[1, 1, 2])
    assert float(y) == 0.5
    assert each.tolist() == [0, 0.5, 0]


def test_accuracy_over_places_takes_the_last_of_equals() -> None:
    scores = np.zeros((1, 20, 1, 3))
    scores[0, 0, 0, 0] = 1
    _, (y,) = run("Accuracy", x=scores, l=[[[0, 19, 0]]])
    assert float(y) == pytest.approx(2 / 3)
    _, (y,) = run("ArgMax", "argmax_param { axis: 1 top_k: 2 }", x=scores)
    assert y[0, :, 0].tolist() == [[0, 19, 19], [19, 18, 18]]


def test_crop_slice_and_silence() -> None:
    x = np.arange(40.0).reshape(1, 2, 4, 5)
    _, (y,) = run("Crop", "crop_param { axis: 2 offset: 1 offset: 2 }", x=x, z=np.zeros((1, 1, 2, 3)))
    assert (y == x[:, :, 1:3, 2:5]).all()
    _, parts = run("Slice", "slice_param { axis: -1 slice_point: 1 slice_point: 4 }", tops="y a b", x=x)
    assert [part.shape[-1] for part in parts] == [1, 3, 1]
    net = build(data("x", 1) + layer("Silence", "x", "", name="s"))
    assert net.forward() == {}


def test_embed() -> None:
    net, (y,) = run("Embed", "embed_param { num_output: 2 input_dim: 5 weight_filler { type: 'gaussian' } }", x=[3, 0, 3])
    table, bias = (blob.data for blob in net.params["layer"])
    assert (y == table[[3, 0, 3]] + bias).all()
    net.backward(y=np.ones((3, 2)))
    assert net.params["layer"][0].diff.sum(1).tolist() == [2, 0, 0, 4, 0]


def test_convolution_over_one_and_three_axes() -> None:
    for axes in (1, 3):
        x = np.random.default_rng(axes).standard_normal((1, 2, *(4,) * axes))
        net, (y,) = run("Convolution", "convolution_param { num_output: 1 kernel_size: 4 weight_filler { type: 'msra' } }", x=x)
        assert y.ravel() == pytest.approx((net.params["layer"][0].data * x).sum(), rel=1e-4)


def test_several_bottoms_go_through_the_same_filters() -> None:
    fields = "convolution_param { num_output: 2 kernel_size: 1 weight_filler { type: 'msra' } }"
    _, (y, z) = run("Convolution", fields, tops="y z", x=IMAGES, w=IMAGES)
    assert (y == z).all()


def test_data_from_fillers() -> None:
    shape = "shape { dim: 2 dim: 3 }"
    words = f"dummy_data_param {{ {shape} data_filler {{ value: 4 }} data_filler {{ type: 'gaussian' }} }}"
    net = build(layer("DummyData", "", "a b", words, name="d"))
    first = {name: values.copy() for name, values in net.forward().items()}
    assert (first["a"] == 4).all()
    net.blobs["a"].data[...] = 5
    second = net.forward()
    assert (second["a"] == 5).all()  # a constant is filled once
    assert not (second["b"] == first["b"]).any()
    net.seek(0)
    assert (net.forward()["b"] == first["b"]).all()


def test_a_parameter_as_a_blob_learns() -> None:
    net = build(layer("Parameter", "", "y", "parameter_param { shape { dim: 2 } }", name="p"))
    net.forward()
    net.backward(y=np.array([1, 2]))
    assert net.params["p"][0].diff.tolist() == [1, 2]


def test_batch_norm_of_single_values_has_no_variance() -> None:
    net, (y,) = run("BatchNorm", x=[[3.0, 4.0]])
    assert (y == 0).all()
    mean, variance, weight = (blob.data for blob in net.params["layer"])
    assert (mean.tolist(), variance.tolist(), weight.tolist()) == ([3, 4], [0, 0], [1])


@pytest.mark.parametrize("type_", layer_types())
def test_every_layer_has_a_rule(type_: str) -> None:
    assert type_ in rule_types()
