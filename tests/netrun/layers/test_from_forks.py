"""Layer types that only other forks have: numbers by hand, and the layers that they stand for."""

from __future__ import annotations

import numpy as np
import pytest

import netrun
from caffe_ir.rules.from_forks import FROM_FORK
from netrun.layers import layer_types
from ssd_common.errors import LayerError
from tests.netrun.layers.one_layer import run
from tests.netrun.small_nets import build, data, layer

VALUES = [[-1.0, 0.0, 2.5, 6.0, 7.0]]


def test_every_type_says_where_it_comes_from_and_runs() -> None:
    assert set(FROM_FORK) <= set(layer_types())
    assert all(FROM_FORK.values())


@pytest.mark.parametrize("top", ["y", "x"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_relu6_cuts_at_0_and_6_and_so_does_its_gradient(top: str, precision: str) -> None:
    words = "force_backward: true " + data("x", 1, 5) + layer("ReLU6", "x", top, name="cut")
    net = build(words, precision=precision)
    net.blobs["x"].data[...] = VALUES
    net.forward()
    assert net.blobs[top].data.tolist() == [[0, 0, 2.5, 6, 6]]
    net.blobs[top].diff[...] = 3
    # Caffe passes the gradient on where 0 < x < 6
    net.backward()
    assert net.blobs["x"].diff.tolist() == [[0, 0, 3, 0, 0]]


def test_relu6_over_a_convolutions_top_in_test() -> None:
    words = data("x", 1, 1, 1, 2)
    words += layer("Convolution", "x", "c", "convolution_param { num_output: 1 kernel_size: 1 }")
    words += layer("ReLU6", "c", "c", name="cut")
    net = build(words, netrun.TEST)
    net.params["c"][0].data[...] = 4
    net.blobs["x"].data[...] = [[[[1, 2]]]]
    assert net.forward()["c"].tolist() == [[[[4, 6]]]]


DEPTHWISE = {
    "ConvolutionDepthwise": "",
    "DepthwiseConvolution": "group: 2",
}


@pytest.mark.parametrize("type_", DEPTHWISE)
def test_depthwise_types_are_convolutions_with_a_group_a_channel(type_: str) -> None:
    x = np.arange(2 * 2 * 4 * 5).reshape(2, 2, 4, 5)
    given = "num_output: 2 kernel_size: 3 pad: 1 stride: 2"
    filler = 'weight_filler { type: "gaussian" std: 1 }'
    words = [f"convolution_param {{ {given} {filler} group: 2 }}"]
    words.append(f"convolution_param {{ {given} {filler} {DEPTHWISE[type_]} }}")
    nets = []
    for kind, fields in zip(("Convolution", type_), words, strict=True):
        net, (y,) = run(kind, fields, x=x)
        assert [blob.data.shape for blob in net.params["layer"]] == [(2, 1, 3, 3), (2,)]
        net.backward(y=np.ones_like(y))
        diffs = [net.blobs["x"].diff, *(blob.diff for blob in net.params["layer"])]
        nets.append([y.copy(), *(diff.copy() for diff in diffs)])
    for expected, found in zip(*nets, strict=True):
        assert np.array_equal(expected, found)
    # each channel's 3 x 2 places add up to its bias' gradient; 2 images
    assert nets[1][3].tolist() == [12, 12]


@pytest.mark.parametrize(
    ("type_", "fields", "said"),
    [
        ("ReLU6", "relu_param { negative_slope: 0.1 }", "negative_slope: ReLU6 has none"),
        (
            "ConvolutionDepthwise",
            "convolution_param { num_output: 4 kernel_size: 1 }",
            "num_output: must be the bottom's 2 channels, found 4",
        ),
        (
            "DepthwiseConvolution",
            "convolution_param { num_output: 2 kernel_size: 1 }",
            "group: must be the bottom's 2 channels, found 1",
        ),
    ],
)
def test_what_their_own_code_would_not_do_faithfully(type_: str, fields: str, said: str) -> None:
    with pytest.raises(LayerError, match=said):
        run(type_, fields, x=np.zeros((1, 2, 3, 3)))


def test_net_spec_writes_them_on_request() -> None:
    caffe = netrun
    spec = caffe.NetSpec()
    spec.x = caffe.layers.Input(shape={"dim": [1, 2, 3, 3]})
    spec.dw = caffe.layers.ConvolutionDepthwise(spec.x, num_output=2, kernel_size=3)
    spec.cut = caffe.layers.ReLU6(spec.dw, in_place=True)
    written = str(spec.to_proto())
    assert 'type: "ConvolutionDepthwise"' in written
    assert "kernel_size: 3" in written
    assert 'type: "ReLU6"' in written
