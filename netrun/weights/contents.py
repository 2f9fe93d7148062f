"""Lists the contents of files of weights, compares two of them, and converts their form."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from caffe_ir import binary
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import blob_shape_text
from netrun.weights import hdf5
from netrun.weights.files import StoredBlob, StoredLayer, blob_message, stored
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike


@dataclass(frozen=True)
class LayerWeights:
    """The parameters of a layer in a file.

    type: the layer's type; empty for HDF5 files, which do not store it.
    shapes: the blobs' shapes.
    count: how many values all blobs together have.
    """

    name: str
    type: str
    shapes: tuple[tuple[int, ...], ...]
    count: int


def list_weights(path: PathLike) -> list[LayerWeights]:
    """The layers with parameters in a .caffemodel, binary or HDF5.

    Raises ParseError for a file of another kind.
    """
    found = []
    for layer in stored(path):
        shapes = tuple(blob.shape for blob in layer.blobs.values())
        if shapes:
            count = sum(map(prod, shapes))
            found.append(LayerWeights(layer.name, layer.type, shapes, count))
    return found


def convert_weights(path: PathLike, out: PathLike) -> None:
    """Write the weights of a file to another: as HDF5 if `out` ends in .h5, else in binary.

    Raises ParseError for a file without weights; CaffeError where `out` cannot be written, and for
    an HDF5 file with shared parameters: only the net knows which layers share them.
    """
    if str(out).endswith(".h5"):
        layers = stored(path)
        hdf5.check_names([layer.name for layer in layers])
        arrays = {layer.name: _arrays(layer) for layer in layers}
        hdf5.write_weights(str(out), arrays)
    elif hdf5.is_hdf5(path):
        binary.write(_message(path), out)
    else:
        binary.write(binary.read_weights(path), out)


def _arrays(layer: StoredLayer) -> dict[int, np.ndarray]:
    return {i: blob.array() for i, blob in layer.blobs.items()}


def _message(path: PathLike) -> pb.NetParameter:
    """An HDF5 file's layers as Caffe's message."""
    net = pb.NetParameter()
    for layer in stored(path):
        if layer.blobs.keys() != set(range(len(layer.blobs))):
            what = "shares parameters, which only its net knows; use netrun weights fit"
            raise CaffeError(f"{path}: layer '{layer.name}' {what}")
        blobs = [blob_message(blob.array()) for blob in layer.blobs.values()]
        net.layer.add(name=layer.name, blobs=blobs)
    return net


def compare_weights(one: PathLike, other: PathLike) -> list[str]:
    """Compare two files of weights: a line for each layer or blob that differs.

    Raises ParseError for a file without weights.
    """
    layers = _by_name(one)
    others = _by_name(other)
    lines = []
    for name in sorted(layers.keys() ^ others.keys()):
        holder = one if name in layers else other
        shown = name or "''"
        lines.append(f"{shown}: only in {holder}")
    for name, layer in layers.items():
        if name in others:
            differences = _differences(layer, others[name])
            shown = name or "''"
            lines += [f"{shown}: {difference}" for difference in differences]
    return lines


def _by_name(path: PathLike) -> dict[str, StoredLayer]:
    return {layer.name: layer for layer in stored(path) if layer.blobs}


def _differences(one: StoredLayer, other: StoredLayer) -> list[str]:
    lines = []
    for i in sorted(one.blobs.keys() | other.blobs.keys()):
        if i not in one.blobs or i not in other.blobs:
            lines.append(f"{len(one.blobs)} blobs against {len(other.blobs)}")
            break
        difference = _difference(one.blobs[i], other.blobs[i])
        if difference:
            lines.append(f"blob {i}: {difference}")
    return lines


def _difference(one: StoredBlob, other: StoredBlob) -> str:
    """How two blobs differ; empty where they are equal."""
    a = one.array()
    b = other.array()
    if not (one.fits(b.shape) or other.fits(a.shape)):
        return f"{blob_shape_text(a.shape)} against {blob_shape_text(b.shape)}"
    gap = np.abs(a.reshape(b.shape) - b)
    if not gap.any():
        return ""
    greatest = np.abs(b).max(initial=0)
    share = (gap > 0).mean()
    apart = f"up to {gap.max(initial=0):g} apart, {share:.0%} of the values"
    return f"{apart}; the greatest is {greatest:g}"
