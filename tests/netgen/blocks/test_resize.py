"""The resize of stock layers is Interp's bilinear interpolation, exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from netgen.blocks.resize import resize
from netgen.graph import Net
from ssd_common.errors import LayerError

SIZES = [
    (19, 38),
    (10, 38),
    (32, 64),
    (16, 64),
    (5, 7),
    (7, 5),
    (1, 6),
    (2, 9),
    (7, 4),
    (10, 20),
    (5, 20),
    (3, 3),
    (20, 39),
    (38, 19),
]


def align_corners(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Interp's interpolation: output i reads position i (n - 1) / (m - 1), both corners kept.

    Source: lzx1413/CAFFE_SSD, interp.cpp.
    """
    for axis, m in enumerate(size):
        n = x.shape[axis]
        at = np.linspace(0, n - 1, m)
        low = np.minimum(np.floor(at + 1e-9).astype(int), n - 1)
        high = np.minimum(low + 1, n - 1)
        part = np.expand_dims(at - low, 1 - axis)
        x = np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part
    return x


def deconvolve(x: np.ndarray, param: pb.ConvolutionParameter) -> np.ndarray:
    """Ones, kernel = stride: every value is spread over a block of its own."""
    assert (param.kernel_h, param.kernel_w) == (param.stride_h, param.stride_w)
    assert (param.weight_filler.type, param.weight_filler.value) == ("constant", 1)
    assert param.bias_term is False
    return np.kron(x, np.ones((param.kernel_h, param.kernel_w)))


def average(x: np.ndarray, param: pb.PoolingParameter) -> np.ndarray:
    """AVE pooling without padding; output sizes are rounded up, as Caffe does."""
    kernel_h = param.kernel_h
    kernel_w = param.kernel_w
    rows = math.ceil((x.shape[0] - kernel_h) / param.stride_h) + 1
    columns = math.ceil((x.shape[1] - kernel_w) / param.stride_w) + 1
    out = np.empty((rows, columns))
    for i in range(rows):
        for j in range(columns):
            window = x[i * param.stride_h :, j * param.stride_w :][:kernel_h, :kernel_w]
            assert window.shape == (kernel_h, kernel_w), "no window may be cut at the border"
            out[i, j] = window.mean()
    return out


def run(net: pb.NetParameter, x: np.ndarray) -> np.ndarray:
    """The layers of a net one after the other, on one channel."""
    for layer in net.layer:
        if layer.type == "Deconvolution":
            x = deconvolve(x, layer.convolution_param)
        else:
            assert layer.type == "Pooling"
            x = average(x, layer.pooling_param)
    return x


def stock(before: tuple[int, int], after: tuple[int, int]) -> Net:
    net = Net("n", "deploy", "ssd")
    y = resize(net, "y", net.input("data", (1, 4, *before)), after)
    assert y.shape == (1, 4, *after)
    return net


@pytest.mark.parametrize(("n", "m"), SIZES)
@pytest.mark.parametrize("other", [(6, 6), (6, 11)])
def test_equals_interp(n: int, m: int, other: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=(n, other[0]))
    got = run(stock((n, other[0]), (m, other[1])).proto, x)
    np.testing.assert_allclose(got, align_corners(x, (m, other[1])), atol=1e-12)
    got = run(stock((other[0], n), (other[1], m)).proto, x.T)
    np.testing.assert_allclose(got, align_corners(x.T, (other[1], m)), atol=1e-12)


def test_layers_are_frozen_depthwise_and_end_in_the_name() -> None:
    layers = stock((19, 19), (38, 38)).proto.layer
    # 18/37 is in lowest terms: 37 copies, windows of 37 every 18
    assert [layer.type for layer in layers] == ["Deconvolution", "Pooling"] * 2
    first = layers[0]
    assert [(p.lr_mult, p.decay_mult) for p in first.param] == [(0, 0)]
    assert (first.convolution_param.group, first.convolution_param.num_output) == (4, 4)
    assert {first.convolution_param.kernel_h, first.convolution_param.kernel_w} == {1, 37}
    assert {layers[1].pooling_param.stride_h, layers[1].pooling_param.stride_w} == {1, 18}
    assert (layers[-1].name, list(layers[-1].top)) == ("y", ["y"])


def test_nothing_is_added_where_nothing_changes() -> None:
    assert not stock((7, 7), (7, 7)).proto.layer


def test_the_axis_that_shrinks_goes_first() -> None:
    layers = stock((9, 5), (3, 20)).proto.layer
    assert layers[0].type == "Pooling"  # 9 -> 3 is every fourth cell: no copies needed
    assert layers[0].pooling_param.stride_h == 4


def test_target_fssd_has_a_layer_for_it() -> None:
    net = Net("n", "deploy", "fssd")
    y = resize(net, "y", net.input("data", (1, 4, 19, 19)), (38, 30))
    assert y.shape == (1, 4, 38, 30)
    (layer,) = net.proto.layer
    assert (layer.type, layer.interp_param.height, layer.interp_param.width) == ("Interp", 38, 30)


def test_several_cells_cannot_become_one() -> None:
    with pytest.raises(LayerError, match=r"layer 'y'.*5 cells to 1"):
        stock((5, 5), (1, 5))
