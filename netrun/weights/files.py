"""Weights between files and arrays: by layer name, as Caffe's CopyTrainedLayersFrom, ToProto and ToHDF5 do it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from caffe_ir import binary
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import blob_shape_text
from caffe_ir.rules.loss import is_loss
from netrun.weights.hdf5 import check_names, is_hdf5, read_weights, write_weights
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike

Arrays = Sequence[Sequence[np.ndarray]]  # of every layer, its blobs
_LEGACY = ("num", "channels", "height", "width")


@dataclass(frozen=True)
class StoredBlob:
    """A parameter blob in a file. legacy: its shape is num, channels, height, width, with ones in front where it has fewer axes."""

    shape: tuple[int, ...]
    legacy: bool
    source: pb.BlobProto | np.ndarray

    def fits(self, wanted: Sequence[int]) -> bool:
        """Whether it can be copied into a parameter of this shape."""
        padding = (1,) * (len(self.shape) - len(wanted)) if self.legacy else ()
        return padding + tuple(wanted) == self.shape

    def array(self) -> np.ndarray:
        """Its values, float32 in its shape. Raises CaffeError where their count is not the shape's."""
        return self.source if isinstance(self.source, np.ndarray) else blob_array(self.source)


@dataclass(frozen=True)
class StoredLayer:
    """A layer in a file of weights: its blobs by number. HDF5 knows no types, and leaves out blobs that another layer owns."""

    name: str
    type: str
    blobs: dict[int, StoredBlob]
    sparse: bool = False  # blobs may be missing


def blob_array(blob: pb.BlobProto) -> np.ndarray:
    """The values of a stored blob, float32 in its shape (legacy blobs: the four of num, channels, height, width).

    Raises CaffeError where the count of values is not the shape's.
    """
    values = np.array(blob.double_data or blob.data, np.float32)
    shape = binary.blob_shape(blob)
    if values.size != math.prod(shape):
        raise CaffeError(f"holds {values.size} values for shape {blob_shape_text(shape)}")
    return values.reshape(shape)


def blob_message(array: np.ndarray, diff: np.ndarray | None = None) -> pb.BlobProto:
    """A blob as Caffe stores it: shape and float32 values, and its diff where given."""
    blob = pb.BlobProto.FromString(_packed(pb.BlobProto.DATA_FIELD_NUMBER, array))
    if diff is not None:
        blob.MergeFromString(_packed(pb.BlobProto.DIFF_FIELD_NUMBER, diff))
    blob.shape.dim.extend(np.shape(array))
    return blob


def _packed(field: int, array: np.ndarray) -> bytes:
    """Tag, length and values as protobuf writes them: fifty times faster than handing it number by number."""
    data = np.ascontiguousarray(array, "<f4").tobytes()
    size, length = len(data), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([field << 3 | 2, *length, size]) + data


def stored(path: PathLike) -> list[StoredLayer]:
    """The layers of a file of weights, binary (whatever form it has) or HDF5. Raises ParseError for what is neither."""
    if is_hdf5(path):
        return [
            StoredLayer(name, "", {i: StoredBlob(blob.shape, legacy=False, source=blob) for i, blob in sorted(blobs.items())}, sparse=True)
            for name, blobs in read_weights(path).items()
        ]
    return [
        StoredLayer(layer.name, layer.type, {i: _of_message(blob) for i, blob in enumerate(layer.blobs)})
        for layer in binary.read_weights(path).layer
    ]


def _of_message(blob: pb.BlobProto) -> StoredBlob:
    return StoredBlob(binary.blob_shape(blob), any(blob.HasField(name) for name in _LEGACY), blob)


def read(path: PathLike) -> dict[str, list[np.ndarray]]:
    """The parameter blobs of a file of weights by layer name. Raises ParseError for what is no such file."""
    return {layer.name: [blob.array() for blob in layer.blobs.values()] for layer in stored(path) if layer.blobs}


def copy_into(layers: Mapping[str, Sequence[np.ndarray]], path: PathLike, shared: Collection[tuple[str, int]] = ()) -> list[str]:
    """Copy a file's blobs into the arrays of layers of the same name; return the file's layers that `layers` has not.

    shared: blobs, by layer and number, that earlier layers own: an HDF5 file need not hold those. Nothing is copied unless everything
    fits. Raises ParseError for what is no file of weights, and CaffeError naming file, layer, blob, both shapes and the ways out where
    counts or shapes differ.
    """
    ignored: list[str] = []
    copies: list[tuple[np.ndarray, np.ndarray]] = []
    for source in stored(path):
        if source.name in layers:
            owned_before = {i for name, i in shared if name == source.name}
            copies += _copies(source, layers[source.name], owned_before, path)
        else:
            ignored.append(source.name)
    for target, values in copies:
        target[...] = values.reshape(target.shape)
    return ignored


def _copies(
    source: StoredLayer, targets: Sequence[np.ndarray], shared: set[int], path: PathLike
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The arrays to write for a stored layer, and what into them.

    shared: the blobs that an earlier layer owns. Raises CaffeError where counts or shapes differ.
    """
    where = f"{path}: layer '{source.name}'"
    missing = set(range(len(targets))) - source.blobs.keys()
    if source.sparse:
        missing -= shared
    if missing or any(i >= len(targets) for i in source.blobs):
        counts = f"has {len(source.blobs)} blobs, the net's {len(targets)}"
        raise CaffeError(f"{where} {counts}; {_WAYS_OUT}")
    return [
        (targets[i], _checked(blob, targets[i].shape, f"{where}, blob {i}"))
        for i, blob in source.blobs.items()
    ]


def _checked(blob: StoredBlob, wanted: Sequence[int], where: str) -> np.ndarray:
    """A stored blob's values. Raises CaffeError where its shape is another, or a value is not finite."""
    if not blob.fits(wanted):
        shapes = f"shape {blob_shape_text(blob.shape)} in the file, {blob_shape_text(wanted)} in the net"
        raise CaffeError(f"{where}: {shapes}; {_WAYS_OUT}")
    try:
        values = blob.array()
    except CaffeError as error:
        raise CaffeError(f"{where}: {error}") from None
    if not np.isfinite(values).all():
        what = "holds values that are not finite: the file is corrupt, or of a run that diverged"
        raise CaffeError(f"{where} {what}")
    return values


_WAYS_OUT = "to train it anew, rename it in the net, or have `netrun weights fit` write a file of what does fit"


def net_message(net: pb.NetParameter, blobs: Arrays, diffs: Arrays | None = None) -> pb.NetParameter:
    """The net with its parameters, as Caffe saves it: every layer's prototxt and its blobs, which are given layer by layer."""
    saved = pb.NetParameter(name=net.name)
    for i, (layer, arrays) in enumerate(zip(net.layer, blobs, strict=True)):
        copy = saved.layer.add()
        copy.CopyFrom(layer)
        copy.ClearField("blobs")
        if is_loss(layer) and not layer.loss_weight:
            copy.loss_weight.append(1)
        if not layer.HasField("phase"):
            copy.phase = net.state.phase
        copy.blobs.extend(blob_message(array, diffs[i][j] if diffs else None) for j, array in enumerate(arrays))
    return saved


def write(
    net: pb.NetParameter,
    blobs: Arrays,
    path: PathLike,
    *,
    hdf5: bool = False,
    shared: Collection[tuple[str, int]] = (),
    diffs: Arrays | None = None,
) -> None:
    """Write weights, and diffs where given, whole or not at all, in binary or as HDF5.

    net: its state says the phase. shared: blobs, by layer and number, that earlier layers own. Raises CaffeError where the file cannot
    be written, or HDF5 cannot hold the names of the net's layers.
    """
    if not hdf5:
        binary.write(net_message(net, blobs, diffs), path)
        return
    names = [layer.name for layer in net.layer]
    check_names(names)
    data = {
        name: {i: array for i, array in enumerate(arrays) if (name, i) not in shared} for name, arrays in zip(names, blobs, strict=True)
    }
    write_weights(path, data, {n: dict(enumerate(a)) for n, a in zip(names, diffs, strict=True)} if diffs else None)
