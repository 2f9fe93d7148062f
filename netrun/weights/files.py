"""Copies weights from files into arrays and back, by layer name.

Source: weiliu89/caffe (ssd), CopyTrainedLayersFrom, ToProto and ToHDF5 in src/caffe/net.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

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
_WAYS_OUT = (
    "to train it anew, rename it in the net, "
    "or have `netrun weights fit` write a file of what does fit"
)


@dataclass(frozen=True)
class StoredBlob:
    """A parameter blob in a file.

    legacy: whether the shape is num, channels, height, width, with leading ones for fewer axes.
    source: the blob's values, or Caffe's message of them.
    """

    shape: tuple[int, ...]
    legacy: bool
    source: pb.BlobProto | np.ndarray

    def fits(self, wanted: Sequence[int]) -> bool:
        """Tell whether the blob can be copied into a parameter of this shape."""
        shape = tuple(wanted)
        if self.legacy:
            shape = (1,) * (len(self.shape) - len(shape)) + shape
        return shape == self.shape

    def array(self) -> np.ndarray:
        """The blob's values, float32 in its shape.

        Raises CaffeError where their count does not fit the shape.
        """
        if isinstance(self.source, np.ndarray):
            return self.source
        return blob_array(self.source)


@dataclass(frozen=True)
class StoredLayer:
    """A layer in a file of weights.

    type: the layer's type; empty for HDF5 files, which do not store it.
    blobs: the layer's blobs by number.
    sparse: whether blobs may be missing, because HDF5 files leave out those of another layer.
    priors: the prior boxes of a PriorBox layer; None for other layers, and for HDF5 files.
    """

    name: str
    type: str
    blobs: dict[int, StoredBlob]
    sparse: bool = False
    priors: pb.PriorBoxParameter | None = None


@dataclass(frozen=True)
class Copied:
    """What became of a file's layers.

    taken: names of those whose blobs were copied.
    ignored: names of those that the net lacks.
    priors: the file's prior boxes by layer.
    """

    taken: list[str]
    ignored: list[str]
    priors: dict[str, pb.PriorBoxParameter] = field(default_factory=dict)


def blob_array(blob: pb.BlobProto) -> np.ndarray:
    """The values of a stored blob, float32 in its shape.

    A legacy blob has the four axes num, channels, height and width.
    Raises CaffeError where the count of values does not fit the shape.
    """
    values = np.array(blob.double_data or blob.data, np.float32)
    shape = binary.blob_shape(blob)
    if values.size != math.prod(shape):
        raise CaffeError(f"holds {values.size} values for shape {blob_shape_text(shape)}")
    return values.reshape(shape)


def blob_message(array: np.ndarray, diff: np.ndarray | None = None) -> pb.BlobProto:
    """A blob as Caffe stores it: shape, float32 values, and `diff` if given."""
    blob = pb.BlobProto.FromString(_packed(pb.BlobProto.DATA_FIELD_NUMBER, array))
    if diff is not None:
        blob.MergeFromString(_packed(pb.BlobProto.DIFF_FIELD_NUMBER, diff))
    blob.shape.dim.extend(np.shape(array))
    return blob


def _packed(number: int, array: np.ndarray) -> bytes:
    """Tag, length and values of a field as protobuf writes them.

    This is fifty times faster than passing protobuf number by number.
    """
    data = np.ascontiguousarray(array, "<f4").tobytes()
    size = len(data)
    length = bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + data


def stored(path: PathLike) -> list[StoredLayer]:
    """The layers of a file of weights, binary (of any age) or HDF5.

    Raises ParseError for any other file.
    """
    if is_hdf5(path):
        layers = read_weights(path).items()
        return [_of_arrays(name, blobs) for name, blobs in layers]
    found = []
    for layer in binary.read_weights(path).layer:
        messages = map(_of_message, layer.blobs)
        blobs = dict(enumerate(messages))
        found.append(StoredLayer(layer.name, layer.type, blobs, priors=_priors(layer)))
    return found


def _priors(layer: pb.LayerParameter) -> pb.PriorBoxParameter | None:
    """A copy of a layer's prior boxes, which does not keep the file in memory."""
    if not layer.HasField("prior_box_param"):
        return None
    priors = pb.PriorBoxParameter()
    priors.CopyFrom(layer.prior_box_param)
    return priors


def _of_arrays(name: str, arrays: Mapping[int, np.ndarray]) -> StoredLayer:
    """A layer of an HDF5 file."""
    blobs = {}
    for i, array in sorted(arrays.items()):
        blobs[i] = StoredBlob(array.shape, legacy=False, source=array)
    return StoredLayer(name, "", blobs, sparse=True)


def _of_message(blob: pb.BlobProto) -> StoredBlob:
    legacy = any(blob.HasField(name) for name in _LEGACY)
    return StoredBlob(binary.blob_shape(blob), legacy, blob)


def read(path: PathLike) -> dict[str, list[np.ndarray]]:
    """The parameter blobs of a file of weights, by layer name.

    Raises ParseError for any other file.
    """
    found = {}
    for layer in stored(path):
        if layer.blobs:
            found[layer.name] = [blob.array() for blob in layer.blobs.values()]
    return found


def copy_into(
    layers: Mapping[str, Sequence[np.ndarray]],
    path: PathLike,
    shared: Collection[tuple[str, int]] = (),
) -> Copied:
    """Copy a file's blobs into the arrays of layers of the same name; copy all or none.

    layers: each layer's arrays, by its name.
    shared: blobs, by layer and number, that earlier layers own; an HDF5 file may lack these.
    Raises ParseError for a file without weights; CaffeError, naming file, layer, blob, both shapes
    and the remedies, where counts or shapes differ.
    """
    found = Copied([], [])
    copies: list[tuple[np.ndarray, np.ndarray]] = []
    for source in stored(path):
        if source.name in layers:
            owned_before = {i for name, i in shared if name == source.name}
            copies += _copies(source, layers[source.name], owned_before, path)
            if source.blobs:
                found.taken.append(source.name)
            if source.priors is not None:
                found.priors[source.name] = source.priors
        else:
            found.ignored.append(source.name)
    for target, values in copies:
        target[...] = values.reshape(target.shape)
    return found


def _copies(
    source: StoredLayer,
    targets: Sequence[np.ndarray],
    shared: set[int],
    path: PathLike,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pair the arrays to write for a stored layer with the values to write.

    shared: the blobs that an earlier layer owns.
    Raises CaffeError where counts or shapes differ.
    """
    where = f"{path}: layer '{source.name}'"
    missing = set(range(len(targets))) - source.blobs.keys()
    if source.sparse:
        missing -= shared
    if missing or any(i >= len(targets) for i in source.blobs):
        counts = f"has {len(source.blobs)} blobs, the net's {len(targets)}"
        raise CaffeError(f"{where} {counts}; {_WAYS_OUT}")
    copies = []
    for i, blob in source.blobs.items():
        values = _checked(blob, targets[i].shape, f"{where}, blob {i}")
        copies.append((targets[i], values))
    return copies


def _checked(blob: StoredBlob, wanted: Sequence[int], where: str) -> np.ndarray:
    """A stored blob's values.

    where: file, layer and blob for an error's text.
    Raises CaffeError where the shape is not the wanted one, or a value is not finite.
    """
    if not blob.fits(wanted):
        found = f"shape {blob_shape_text(blob.shape)} in the file"
        needed = f"{blob_shape_text(wanted)} in the net"
        raise CaffeError(f"{where}: {found}, {needed}; {_WAYS_OUT}")
    try:
        values = blob.array()
    except CaffeError as error:
        raise CaffeError(f"{where}: {error}") from None
    if not np.isfinite(values).all():
        what = "holds values that are not finite"
        cause = "the file is corrupt, or of a run that diverged"
        raise CaffeError(f"{where} {what}: {cause}")
    return values


def net_message(
    net: pb.NetParameter,
    blobs: Arrays,
    diffs: Arrays | None = None,
) -> pb.NetParameter:
    """The net as Caffe saves it: every layer's prototxt with its blobs.

    blobs, diffs: a list for each layer.
    """
    saved = pb.NetParameter(name=net.name)
    for i, (layer, arrays) in enumerate(zip(net.layer, blobs, strict=True)):
        copy = saved.layer.add()
        copy.CopyFrom(layer)
        copy.ClearField("blobs")
        if is_loss(layer) and not layer.loss_weight:
            copy.loss_weight.append(1)
        if not layer.HasField("phase"):
            copy.phase = net.state.phase
        for j, array in enumerate(arrays):
            diff = diffs[i][j] if diffs else None
            copy.blobs.append(blob_message(array, diff))
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
    """Write weights, and diffs if given, atomically, in binary or as HDF5.

    net: the prototxt; its state has the phase.
    blobs, diffs: layer by layer.
    shared: blobs, by layer and number, that earlier layers own; HDF5 leaves them out.
    Raises CaffeError where the file cannot be written, or HDF5 cannot hold the layers' names.
    """
    if not hdf5:
        binary.write(net_message(net, blobs, diffs), path)
        return
    names = [layer.name for layer in net.layer]
    check_names(names)
    data = _by_name(names, blobs)
    for name, number in shared:
        data.get(name, {}).pop(number, None)
    gradients = None
    if diffs:
        gradients = _by_name(names, diffs)
    write_weights(path, data, gradients)


def _by_name(names: Sequence[str], arrays: Arrays) -> dict[str, dict[int, np.ndarray]]:
    """Arrays by layer name and number."""
    pairs = zip(names, arrays, strict=True)
    return {name: dict(enumerate(blobs)) for name, blobs in pairs}
