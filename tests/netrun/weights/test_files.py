"""Weights: files that Caffe wrote, files for Caffe to read, and files that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netrun
from caffe_ir import binary, text
from caffe_ir import caffe_ir_pb2 as pb
from netrun.weights import files
from ssd_common.errors import CaffeError
from tests.support import SHARED, needs_shared

NET = """name: "n"
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 dim: 4 dim: 4 } } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c"
  convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
layer { name: "f" type: "InnerProduct" bottom: "c" top: "f"
  inner_product_param { num_output: 2 bias_term: false } }
"""


def build(words: str = NET) -> netrun.Net:
    return netrun.Net(text.parse(words, pb.NetParameter), netrun.TEST)


def model(**blobs: list[pb.BlobProto]) -> pb.NetParameter:
    return pb.NetParameter(
        layer=[
            pb.LayerParameter(name=name, type="Convolution", blobs=b) for name, b in blobs.items()
        ]
    )


def legacy(array: np.ndarray) -> pb.BlobProto:
    """A blob as files from before 2015 have it: four sizes, ones in front."""
    shape = (1,) * (4 - array.ndim) + array.shape
    return pb.BlobProto(
        num=shape[0],
        channels=shape[1],
        height=shape[2],
        width=shape[3],
        data=array.ravel().tolist(),
    )


def test_round_trip(tmp_path: Path) -> None:
    net, path = build(), tmp_path / "w.caffemodel"
    net.params["f"][0].data[...] = np.random.default_rng(0).standard_normal((2, 12))
    net.save(path)
    saved = binary.read_weights(path)
    assert [(layer.name, layer.type, len(layer.blobs)) for layer in saved.layer] == [
        ("x", "Input", 0),
        ("c", "Convolution", 2),
        ("r", "ReLU", 0),
        ("f", "InnerProduct", 1),
    ]
    assert list(saved.layer[1].blobs[0].shape.dim) == [3, 2, 3, 3]
    again = netrun.Net(net.param, netrun.TEST, path)
    for name, blobs in net.params.items():
        for mine, theirs in zip(blobs, again.params[name], strict=True):
            assert (mine.data == theirs.data).all()
    assert not list(tmp_path.glob(".*"))


@needs_shared
def test_file_that_caffe_wrote() -> None:
    folder = SHARED / "golden" / "solver" / "adam"
    path = folder / "init.caffemodel"
    net = netrun.Net(folder / "net.prototxt", netrun.TRAIN, path)
    for name, arrays in files.read(path).items():
        assert len(arrays) == len(net.params[name])
        for array, blob in zip(arrays, net.params[name], strict=True):
            assert array.shape == blob.data.shape
            assert (array == blob.data).all()


def test_legacy_shapes_doubles_and_strangers(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(1), tmp_path / "old.caffemodel"
    w, b = (
        rng.standard_normal((3, 2, 3, 3)).astype(np.float32),
        rng.standard_normal(3).astype(np.float32),
    )
    f = rng.standard_normal((2, 12))
    doubles = pb.BlobProto(shape=pb.BlobShape(dim=f.shape), double_data=f.ravel().tolist())
    binary.write(model(c=[legacy(w), legacy(b)], f=[doubles], stranger=[legacy(b)]), path)
    net = build()
    assert net.copy_from(path) == ["stranger"]
    assert (net.params["c"][0].data == w).all()
    assert (net.params["c"][1].data == b).all()
    assert (net.params["f"][0].data == f.astype(np.float32)).all()


@pytest.mark.parametrize(
    ("blobs", "message"),
    [
        ([np.zeros((3, 2, 3, 3))], "layer 'c' has 1 blobs, the net's 2"),
        (
            [np.zeros((4, 2, 3, 3)), np.zeros(3)],
            "layer 'c', blob 0: shape (4 2 3 3) in the file, (3 2 3 3) in the net",
        ),
        (
            [np.zeros((3, 2, 3, 3)), np.zeros((1, 1, 1, 3))],
            "layer 'c', blob 1: shape (1 1 1 3) in the file, (3) in the net",
        ),
    ],
)
def test_what_does_not_fit_changes_nothing(
    tmp_path: Path, blobs: list[np.ndarray], message: str
) -> None:
    path, net = tmp_path / "w.caffemodel", build()
    before = net.params["f"][0].data.copy()
    binary.write(
        model(f=[files.blob_message(np.ones((2, 12)))], c=[files.blob_message(b) for b in blobs]),
        path,
    )
    with pytest.raises(CaffeError) as error:
        net.copy_from(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)
    assert "rename it" in str(error.value)
    assert (net.params["f"][0].data == before).all()


def test_count_of_values_must_be_the_shapes(tmp_path: Path) -> None:
    path, blob = tmp_path / "w.caffemodel", files.blob_message(np.zeros((2, 12)))
    del blob.data[20:]
    binary.write(model(f=[blob]), path)
    with pytest.raises(CaffeError, match=r"layer 'f', blob 0: holds 20 values for shape \(2 12\)"):
        build().copy_from(path)


@pytest.mark.parametrize(
    "array", [np.float32(3.5), np.zeros((0, 4)), np.arange(300.0).reshape(3, 100)]
)
def test_blob_message_is_what_protobuf_writes(array: np.ndarray) -> None:
    expected = pb.BlobProto(shape=pb.BlobShape(dim=np.shape(array)), data=np.ravel(array).tolist())
    assert files.blob_message(array) == expected
