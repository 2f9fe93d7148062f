"""Weights between .caffemodel files and arrays: by layer name, as Caffe's CopyTrainedLayersFrom and ToProto do it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from caffe_ir import binary
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.errors import CaffeError

PathLike = str | os.PathLike[str]


def blob_array(blob: pb.BlobProto) -> np.ndarray:
    """The values of a stored blob, float32 in its shape (legacy blobs: the four of num, channels, height, width).

    Raises CaffeError where the count of values is not the shape's.
    """
    values = np.array(blob.double_data or blob.data, np.float32)
    shape = binary.blob_shape(blob)
    if values.size != math.prod(shape):
        raise CaffeError(f"holds {values.size} values for shape {shape_text(shape)}")
    return values.reshape(shape)


def blob_message(array: np.ndarray) -> pb.BlobProto:
    """A blob as Caffe stores it: shape and float32 values."""
    data = np.ascontiguousarray(array, "<f4").tobytes()
    # tag, length and values as protobuf writes them: fifty times faster than handing it number by number
    size, length = len(data), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    blob = pb.BlobProto.FromString(bytes([pb.BlobProto.DATA_FIELD_NUMBER << 3 | 2, *length, size]) + data)
    blob.shape.dim.extend(np.shape(array))
    return blob


def same_shape(wanted: Sequence[int], blob: pb.BlobProto) -> bool:
    """Whether a stored blob fits a parameter of this shape; a legacy blob has ones in front of a shape of fewer axes."""
    stored = binary.blob_shape(blob)
    legacy = any(blob.HasField(name) for name in ("num", "channels", "height", "width"))
    padding = (1,) * (len(stored) - len(wanted)) if legacy else ()
    return padding + tuple(wanted) == stored


def shape_text(shape: Iterable[int]) -> str:
    return "(" + " ".join(map(str, shape)) + ")"


def read(path: PathLike) -> dict[str, list[np.ndarray]]:
    """The parameter blobs of a .caffemodel by layer name. Raises ParseError for what is no such file."""
    return {layer.name: [blob_array(blob) for blob in layer.blobs] for layer in binary.read_weights(path).layer if layer.blobs}


def copy_into(layers: Mapping[str, Sequence[np.ndarray]], path: PathLike) -> list[str]:
    """Copy a .caffemodel's blobs into the arrays of layers of the same name; return the file's layers that `layers` has not.

    Nothing is copied unless everything fits. Raises ParseError for what is no .caffemodel, and CaffeError naming file, layer, blob,
    both shapes and the way out where counts or shapes differ.
    """
    ignored, copies = [], []
    for source in binary.read_weights(path).layer:
        if source.name not in layers:
            ignored.append(source.name)
            continue
        targets = layers[source.name]
        where = f"{path}: layer '{source.name}'"
        if len(targets) != len(source.blobs):
            raise CaffeError(f"{where} has {len(source.blobs)} blobs, the net's {len(targets)}; to train it anew, rename it in the net")
        for i, (target, blob) in enumerate(zip(targets, source.blobs, strict=True)):
            if not same_shape(target.shape, blob):
                shapes = f"shape {shape_text(binary.blob_shape(blob))} in the file, {shape_text(target.shape)} in the net"
                raise CaffeError(f"{where}, blob {i}: {shapes}; to train it anew, rename it in the net")
            try:
                copies.append((target, blob_array(blob)))
            except CaffeError as error:
                raise CaffeError(f"{where}, blob {i}: {error}") from None
    for target, values in copies:
        target[...] = values.reshape(target.shape)
    return ignored


def net_message(net: pb.NetParameter, blobs: Sequence[Sequence[np.ndarray]]) -> pb.NetParameter:
    """The net with its parameters, as Caffe saves it: every layer's prototxt and its blobs, which are given layer by layer."""
    saved = pb.NetParameter(name=net.name)
    for layer, arrays in zip(net.layer, blobs, strict=True):
        copy = saved.layer.add()
        copy.CopyFrom(layer)
        copy.ClearField("blobs")
        copy.blobs.extend(blob_message(array) for array in arrays)
    return saved


def write(net: pb.NetParameter, blobs: Sequence[Sequence[np.ndarray]], path: PathLike) -> None:
    """Write a .caffemodel, whole or not at all. Raises CaffeError where it cannot be written."""
    binary.write(net_message(net, blobs), path)
