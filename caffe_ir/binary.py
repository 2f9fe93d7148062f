"""Reads and writes Caffe's binary files.

They are weights (.caffemodel), solver states (.solverstate) and means (.binaryproto).
"""

from __future__ import annotations

import re
from typing import TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.upgrade import upgrade_net
from ssd_common.errors import ParseError
from ssd_common.files import PathLike, read_bytes, write_atomic

M = TypeVar("M", bound=Message)


def read_weights(path: PathLike) -> pb.NetParameter:
    """Read the net of a .caffemodel: layers in the current form, with their `blobs`.

    path: a file in the current form, V1 or V0.
    Raises ParseError where the file is missing, does not decode, holds no layers, or where a
    layer's name or type is not UTF-8, as no prototxt can have it.
    """
    net = read(path, pb.NetParameter)
    try:
        upgrade_net(net, str(path))
    except UnicodeDecodeError:
        raise ParseError(str(path), "a text in its layers is not UTF-8") from None
    if not net.layer:
        raise ParseError(str(path), "holds no layers; is this a .caffemodel?")
    for i, layer in enumerate(net.layer):
        for field in ("name", "type"):
            # protobuf gives bytes for a text that is not UTF-8.
            if isinstance(getattr(layer, field), bytes):
                raise ParseError(str(path), f"layer[{i}]: its {field} is not UTF-8")
    return net


def read_state(path: PathLike) -> pb.SolverState:
    """Read the state of a .solverstate.

    Raises ParseError where the file is missing, does not decode or holds no iteration.
    """
    state = read(path, pb.SolverState)
    if not state.HasField("iter"):
        raise ParseError(str(path), "holds no iteration; is this a .solverstate?")
    return state


def read(path: PathLike, cls: type[M]) -> M:
    """Read a binary file as the message type cls, without upgrading old forms.

    Raises ParseError where the file is missing, is HDF5 or does not decode.
    """
    data = read_bytes(path)
    if data.startswith(b"\x89HDF"):
        raise ParseError(
            str(path),
            "is an HDF5 file; only the binary protobuf form is read (snapshot_format: BINARYPROTO)",
        )
    message = cls()
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise ParseError(str(path), _what_is_wrong(data, cls)) from None
    return message


def write(message: Message, path: PathLike) -> None:
    """Write the message in binary form, atomically.

    Raises CaffeError where the folder cannot be written.
    """
    write_atomic(path, message.SerializeToString())


def blob_shape(blob: pb.BlobProto) -> tuple[int, ...]:
    """Return the shape of a stored blob.

    Files from before the field `shape` give num, channels, height and width: always four axes.
    """
    legacy = ("num", "channels", "height", "width")
    if any(blob.HasField(name) for name in legacy):
        return tuple(getattr(blob, name) for name in legacy)
    return tuple(blob.shape.dim)


_FIXED = {
    1: 8,
    5: 4,
}  # bytes of a value by wire type; 0: a varint; 2: a length and that many bytes
_WITH_LENGTH = (FieldDescriptor.CPPTYPE_STRING, FieldDescriptor.CPPTYPE_MESSAGE)


def _what_is_wrong(data: bytes, cls: type[Message]) -> str:
    """Walk the outermost fields of bytes that do not decode, and describe the first fault."""
    name = cls.DESCRIPTOR.name
    if re.fullmatch(rb"[\t\n\r -~]*", data[:4096]):
        return f"is a text file, not a binary {name}"
    at = 0
    while at < len(data):
        start = at
        tag, at = _varint(data, at)
        number = tag >> 3
        wire = tag & 7
        if wire in (3, 4, 6, 7) or not number:
            return f"is not a binary {name}: no field can begin at byte {start}"
        field = cls.DESCRIPTOR.fields_by_number.get(number)
        if field and field.cpp_type in _WITH_LENGTH and wire != 2:
            return f"is not a binary {name}: its field '{field.name}' is of another type"
        length = _FIXED.get(wire, 0)
        if wire == 0:
            _, at = _varint(data, at)
        elif wire == 2:
            length, at = _varint(data, at)
        if at + length > len(data):
            what = f"field '{field.name}'" if field else f"a field (number {number})"
            place = f"{what} at byte {start} ends at byte {at + length}, the file at {len(data)}"
            return f"is truncated or not a binary {name}: {place}"
        at += length
    return f"is corrupt: a field inside the {name} does not decode"


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a varint: its value, and the position after it.

    A varint that runs past the end counts as one byte missing.
    """
    value = 0
    for i in range(10):
        if at + i >= len(data):
            return value, len(data) + 1
        value |= (data[at + i] & 127) << (7 * i)
        if data[at + i] < 128:
            return value, at + i + 1
    return value, at + 10
