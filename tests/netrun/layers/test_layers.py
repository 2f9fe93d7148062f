"""Every layer against the reference Caffe: golden cases, and what they do not cover, worked out by
hand.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from caffe_ir.rules import layer_types as rule_types
from netrun.layers import layer_types
from tests.netrun.goldens import replay
from tests.netrun.layers.one_layer import run, slopes
from tests.netrun.small_nets import build, data, layer
from tests.support import golden


@pytest.mark.parametrize("path", golden("layers/*.npz"))
def test_golden(path: Path) -> None:
    replay(path)


@pytest.mark.parametrize("path", golden("fssd/[!m]*.npz"))
def test_golden_of_fssd_fork(path: Path) -> None:
    replay(path)


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
    _, (y,) = run(
        "Pooling",
        "pooling_param { pool: AVE kernel_h: 1 kernel_w: 1 stride: 5 }",
        x=[[[[1, 5, 2, 4, 3, 8]]]],
    )
    assert y[0, 0, 0].tolist() == [1, 8]
    _, (y,) = run(
        "Pooling", "pooling_param { pool: AVE kernel_size: 1 stride: 5 }", x=[[[[1, 5, 2]]]]
    )
    assert y[0, 0, 0, 0] == 1
    assert np.isnan(
        run("Pooling", "pooling_param { pool: AVE kernel_size: 1 stride: 3 }", x=[[[[1, 5, 2]]]])[
            1
        ][0][..., 1:]
    ).all()


@pytest.mark.parametrize(
    ("type_", "fields", "expected"),
    [
        (
            "Convolution",
            "convolution_param { num_output: 1 kernel_h: 1 kernel_w: 4 stride: 2 %s }",
            [8],
        ),
        (
            "Convolution",
            "convolution_param { num_output: 1 kernel_size: [1, 2] dilation: [1, 3] stride: 2 %s }",
            [1],
        ),
        (
            "Convolution",
            "convolution_param { num_output: 1 kernel_size: [3, 5] pad: [1, 0] stride: 3 %s }",
            [8],
        ),
        ("Im2col", "convolution_param { kernel_size: [1, 5] stride: 3 }", [1, 5, 2, 0, 0]),
        ("Pooling", "pooling_param { kernel_h: 1 kernel_w: 4 stride: 2 }", [5]),
        ("Pooling", "pooling_param { pool: AVE kernel_h: 1 kernel_w: 4 stride: 2 }", [8 / 3]),
    ],
)
def test_a_kernel_larger_than_the_bottom_by_less_than_the_stride(
    type_: str, fields: str, expected: list[float]
) -> None:
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
    fields = (
        "pooling_param { kernel_h: 1 kernel_w: 3 pad_h: 0 pad_w: 2 stride_h: 1 stride_w: 2 %s }"
    )
    _, (y, mask) = run("Pooling", fields % "", tops="y m", x=ROW)
    assert y[0, 0, 0].tolist() == [1, 5, 4, 3]  # windows (-, -, 1), (1, 5, 2), (2, 4, 3), (3, -, -)
    assert mask[0, 0, 0].tolist() == [0, 1, 3, 4]
    _, (y,) = run("Pooling", fields % "pool: AVE", x=ROW)
    np.testing.assert_allclose(y[0, 0, 0], np.array([1, 8, 9, 3]) / 3, rtol=1e-6)


def test_eltwise_of_equals_goes_to_the_second_then_stays() -> None:
    net, (y,) = run(
        "Eltwise", "eltwise_param { operation: MAX }", a=[[1, 2, 2]], b=[[1, 3, 1]], c=[[1, 3, 5]]
    )
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
        (
            "Reduction",
            "reduction_param { operation: SUMSQ axis: 1 coeff: 2 }",
            lambda x: 2 * (x**2).sum(1),
        ),
        ("Reduction", "reduction_param { operation: ASUM axis: -1 }", lambda x: np.abs(x).sum(-1)),
        ("Reduction", "", lambda x: x.sum()),
        ("Tile", "tile_param { axis: -1 tiles: 2 }", lambda x: np.concatenate([x, x], -1)),
    ],
)
def test_formulas_and_their_slopes(
    type_: str, fields: str, values: Callable[[np.ndarray], np.ndarray]
) -> None:
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
        (
            "Deconvolution",
            (
                "convolution_param { num_output: 2 kernel_size: 3 dilation: 2 "
                "weight_filler { type: 'xavier' } }"
            ),
        ),
        (
            "InnerProduct",
            (
                "inner_product_param { num_output: 2 transpose: true "
                "weight_filler { type: 'xavier' } }"
            ),
        ),
        (
            "InnerProduct",
            "inner_product_param { num_output: 2 axis: -1 weight_filler { type: 'xavier' } }",
        ),
    ],
)
def test_slopes(type_: str, fields: str) -> None:
    words = (
        data("x", *IMAGES.shape)
        + layer(type_, "x", "u", fields)
        + layer("Power", "u", "y", "power_param { power: 2 }")
    )
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
    _, (y,) = run(
        "LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 2 norm_region: WITHIN_CHANNEL }", x=x
    )
    assert y[0, 0, 1, 1] == pytest.approx(3 * (1 + 0.5 * 9 / 9) ** -2)


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
    _, (y, each) = run(
        "Accuracy",
        "accuracy_param { ignore_label: 2 }",
        tops="y e",
        x=[[3, 9, 7], [8, 1, 2], [1, 2, 3]],
        l=[1, 1, 2],
    )
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
    _, (y,) = run(
        "Crop", "crop_param { axis: 2 offset: 1 offset: 2 }", x=x, z=np.zeros((1, 1, 2, 3))
    )
    assert (y == x[:, :, 1:3, 2:5]).all()
    _, parts = run(
        "Slice", "slice_param { axis: -1 slice_point: 1 slice_point: 4 }", tops="y a b", x=x
    )
    assert [part.shape[-1] for part in parts] == [1, 3, 1]
    net = build(data("x", 1) + layer("Silence", "x", "", name="s"))
    assert net.forward() == {}


def test_embed() -> None:
    net, (y,) = run(
        "Embed",
        "embed_param { num_output: 2 input_dim: 5 weight_filler { type: 'gaussian' } }",
        x=[3, 0, 3],
    )
    table, bias = (blob.data for blob in net.params["layer"])
    assert (y == table[[3, 0, 3]] + bias).all()
    net.backward(y=np.ones((3, 2)))
    assert net.params["layer"][0].diff.sum(1).tolist() == [2, 0, 0, 4, 0]


def test_convolution_over_one_and_three_axes() -> None:
    for axes in (1, 3):
        x = np.random.default_rng(axes).standard_normal((1, 2, *(4,) * axes))
        net, (y,) = run(
            "Convolution",
            "convolution_param { num_output: 1 kernel_size: 4 weight_filler { type: 'msra' } }",
            x=x,
        )
        assert y.ravel() == pytest.approx((net.params["layer"][0].data * x).sum(), rel=1e-4)


def test_several_bottoms_go_through_the_same_filters() -> None:
    fields = "convolution_param { num_output: 2 kernel_size: 1 weight_filler { type: 'msra' } }"
    _, (y, z) = run("Convolution", fields, tops="y z", x=IMAGES, w=IMAGES)
    assert (y == z).all()


def test_data_from_fillers() -> None:
    shape = "shape { dim: 2 dim: 3 }"
    words = (
        f"dummy_data_param {{ {shape} data_filler {{ value: 4 }} "
        f"data_filler {{ type: 'gaussian' }} }}"
    )
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
