"""Files of weights in the forms that Caffe has left behind: all of them load as if they were of
today.

NET has what such files hold: convolutions (grouped too), inner products, whose weights were once
1x1xNxK and biases 1x1x1xN, and BatchNorm, whose three blobs have been both (C) and 1xCx1x1's like.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import netrun
from caffe_ir import binary
from caffe_ir import caffe_ir_pb2 as pb
from ssd_common.errors import CaffeError
from tests.netrun.small_nets import build, data, layer

CONV = "convolution_param { num_output: 4 kernel_size: 3 group: %d }"
NET = (
    data("x", 1, 2, 6, 6)
    + layer("Convolution", "x", "c", CONV % 1)
    + layer("Convolution", "c", "g", CONV % 2)
    + layer("InnerProduct", "g", "f", "inner_product_param { num_output: 5 }")
)
NORM = (
    data("x", 2, 3, 4, 4)
    + layer("BatchNorm", "x", "b")
    + layer("Scale", "b", "s", "scale_param { bias_term: true }")
)
V1_TYPES = {
    "Convolution": pb.V1LayerParameter.CONVOLUTION,
    "InnerProduct": pb.V1LayerParameter.INNER_PRODUCT,
}
V0_TYPES = {"Convolution": "conv", "InnerProduct": "innerproduct"}
Arrays = dict[str, list[np.ndarray]]


def legacy(array: np.ndarray) -> pb.BlobProto:
    n, c, h, w = (1,) * (4 - array.ndim) + array.shape
    return pb.BlobProto(num=n, channels=c, height=h, width=w, data=array.ravel().tolist())


def today(array: np.ndarray) -> pb.BlobProto:
    return pb.BlobProto(shape=pb.BlobShape(dim=array.shape), data=array.ravel().tolist())


def doubles(array: np.ndarray) -> pb.BlobProto:
    return pb.BlobProto(shape=pb.BlobShape(dim=array.shape), double_data=array.ravel().tolist())


def legacy_doubles(array: np.ndarray) -> pb.BlobProto:
    blob = legacy(array)
    blob.ClearField("data")
    blob.double_data.extend(array.ravel().tolist())
    return blob


def v2(net: pb.NetParameter, name: str, kind: str, blobs: list[pb.BlobProto]) -> None:
    net.layer.add(name=name, type=kind, blobs=blobs)


def v1(net: pb.NetParameter, name: str, kind: str, blobs: list[pb.BlobProto]) -> None:
    net.layers.add(
        name=name, type=V1_TYPES[kind], blobs=blobs, blobs_lr=[1, 2], bottom=["x"], top=[name]
    )


def v0(net: pb.NetParameter, name: str, kind: str, blobs: list[pb.BlobProto]) -> None:
    net.layers.add(
        layer=pb.V0LayerParameter(name=name, type=V0_TYPES[kind], blobs=blobs, blobs_lr=[1, 2]),
        bottom=["x"],
        top=[name],
    )


def values(net: netrun.Net) -> Arrays:
    rng = np.random.default_rng(4)
    found = {}
    for name, blobs in net.params.items():
        found[name] = [rng.standard_normal(blob.shape).astype(np.float32) for blob in blobs]
    return found


def write(net: netrun.Net, arrays: Arrays, form: Callable, blob: Callable, path: Path) -> None:
    message = pb.NetParameter(name="old", input=["x"])
    for known in net.layer_list:
        if known.name in arrays:
            form(message, known.name, known.type, [blob(array) for array in arrays[known.name]])
    binary.write(message, path)


@pytest.mark.parametrize("blob", [today, legacy, doubles, legacy_doubles])
@pytest.mark.parametrize("form", [v0, v1, v2])
def test_every_form_loads(form: Callable, blob: Callable, tmp_path: Path) -> None:
    net, path = build(NET), tmp_path / "old.caffemodel"
    arrays = values(net)
    write(net, arrays, form, blob, path)
    assert net.copy_from(path) == []
    for name, blobs in arrays.items():
        for mine, array in zip(net.params[name], blobs, strict=True):
            np.testing.assert_array_equal(mine.data, array)


@pytest.mark.parametrize("blob", [today, legacy, doubles])
def test_statistics_load_in_every_shape(blob: Callable, tmp_path: Path) -> None:
    """And normalise: the two first blobs count divided by the third."""
    net, path = build(NORM, netrun.TEST), tmp_path / "old.caffemodel"
    arrays = {
        "b": [
            np.array([2, 4, 6], np.float32),
            np.array([8, 18, 32], np.float32),
            np.array([2], np.float32),
        ],
        "s": [np.array([1, 2, 3], np.float32), np.array([0, 1, 2], np.float32)],
    }
    write(net, arrays, v2, blob, path)
    net.copy_from(path)
    net.blobs["x"].data[...] = 5
    out = net.forward()["s"][0, :, 0, 0]
    mean, variance = np.array([1, 2, 3], np.float32), np.array([4, 9, 16], np.float32)
    np.testing.assert_allclose(
        out, (5 - mean) / np.sqrt(variance + 1e-5) * [1, 2, 3] + [0, 1, 2], rtol=1e-5
    )


def test_four_sizes_are_no_other_four(tmp_path: Path) -> None:
    """Ones go in front of what a parameter has, never behind: Caffe's ShapeEquals."""
    net, path = build(NET), tmp_path / "old.caffemodel"
    arrays = values(net)
    arrays["f"][1] = arrays["f"][1].reshape(5, 1, 1, 1)
    write(net, arrays, v1, legacy, path)
    with pytest.raises(
        CaffeError, match=r"layer 'f', blob 1: shape \(5 1 1 1\) in the file, \(5\) in the net"
    ):
        net.copy_from(path)
