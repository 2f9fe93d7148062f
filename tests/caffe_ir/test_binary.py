"""Binary files: weights in every form, states, and files that are neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_ir import binary
from caffe_ir import caffe_ir_pb2 as pb
from ssd_common.errors import ParseError
from tests.support import golden


def weights() -> pb.NetParameter:
    net = pb.NetParameter(name="net")
    layer = net.layer.add(name="conv", type="Convolution")
    layer.blobs.add(data=[1, 2, 3, 4, 5, 6], shape=pb.BlobShape(dim=[2, 3]))
    return net


def test_weights_come_back(tmp_path: Path) -> None:
    path = tmp_path / "w.caffemodel"
    binary.write(weights(), path)
    assert binary.read_weights(path) == weights()
    assert list(tmp_path.iterdir()) == [path]


def test_old_weights_are_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "w.caffemodel"
    blob = pb.BlobProto(num=1, channels=1, height=2, width=3, data=range(6))
    v1 = pb.NetParameter(input=["data"])
    v1.layers.add(name="ip", type=pb.V1LayerParameter.INNER_PRODUCT, blobs=[blob])
    binary.write(v1, path)
    layer = binary.read_weights(path).layer[0]
    assert (layer.name, layer.type, layer.blobs[0]) == ("ip", "InnerProduct", blob)
    v0 = pb.NetParameter()
    v0.layers.add(layer=pb.V0LayerParameter(name="ip", type="innerproduct", blobs=[blob]))
    binary.write(v0, path)
    layer = binary.read_weights(path).layer[0]
    assert (layer.name, layer.type, layer.blobs[0]) == ("ip", "InnerProduct", blob)


def test_state_comes_back(tmp_path: Path) -> None:
    state = pb.SolverState(
        iter=7, learned_net="net.caffemodel", history=[pb.BlobProto(data=[1, 2])]
    )
    binary.write(state, tmp_path / "s.solverstate")
    assert binary.read_state(tmp_path / "s.solverstate") == state


@pytest.mark.parametrize(
    "path", golden("solver/**/*.caffemodel") + golden("solver/**/*.solverstate")
)
def test_files_that_caffe_wrote(path: Path, tmp_path: Path) -> None:
    if path.suffix == ".caffemodel":
        message: pb.NetParameter | pb.SolverState = binary.read_weights(path)
    else:
        message = binary.read_state(path)
    binary.write(message, tmp_path / path.name)
    assert binary.read(tmp_path / path.name, type(message)) == message


def test_blob_shapes() -> None:
    assert binary.blob_shape(pb.BlobProto(shape=pb.BlobShape(dim=[4, 5]))) == (4, 5)
    assert binary.blob_shape(pb.BlobProto(num=1, channels=2, height=3, width=4)) == (1, 2, 3, 4)
    assert binary.blob_shape(pb.BlobProto(shape=pb.BlobShape())) == ()


WHOLE = weights().SerializeToString()


@pytest.mark.parametrize("cut", range(1, len(WHOLE)))
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "w.caffemodel"
    path.write_bytes(WHOLE[:cut])
    # The first byte alone is a line break; after the 5 bytes of `name` a whole message ends, which
    # has no layers.
    said = {1: "is empty", 5: "holds no layers"}.get(
        cut, rf"is truncated or not a binary NetParameter: field '\w+' .* the file at {cut}$"
    )
    with pytest.raises(ParseError, match=said) as caught:
        binary.read_weights(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b'name: "net"\nlayer { }\n', "is a text file, not a binary NetParameter"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a text file"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        (b"\xff" * 40, "is not a binary NetParameter: no field can begin at byte 0"),
        (b"\x0a\x01a\x07\x00", "is not a binary NetParameter: no field can begin at byte 3"),
        (b"\xa2\x06\x03\x0a\x05a", "is corrupt: a field inside the NetParameter does not decode"),
        (
            pb.SolverState(iter=3, learned_net="x").SerializeToString(),
            "its field 'name' is of another type",
        ),
        (pb.SolverState(iter=3).SerializeToString(), "holds no layers"),
    ],
)
def test_files_that_hold_no_weights(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "w.caffemodel"
    path.write_bytes(data)
    with pytest.raises(ParseError, match=said):
        binary.read_weights(path)


def test_weights_are_no_state(tmp_path: Path) -> None:
    path = tmp_path / "s.solverstate"
    binary.write(weights(), path)
    with pytest.raises(ParseError, match=r"s\.solverstate: "):
        binary.read_state(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match=r"none\.caffemodel: No such file"):
        binary.read_weights(tmp_path / "none.caffemodel")
