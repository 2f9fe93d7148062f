"""Weights for a net that they were not made for: copied where they fit, else filled anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.phase import filter_net
from caffe_ir.rules import blob_shape_text
from caffe_ir.walk import walk
from netrun.engine.blob import Blob
from netrun.engine.engine import Engine
from netrun.layers.python import PythonFacts
from netrun.weights.files import StoredLayer, stored
from ssd_common.errors import CaffeError, UnknownShape
from ssd_common.files import PathLike
from ssd_common.suggest import suggest


@dataclass
class Fit:
    """What became of the layers.

    copied: by name, the file that a layer came from. anew: by name, why it came from none.
    left: names of the files' layers that the net has not.
    """

    copied: dict[str, str] = field(default_factory=dict)
    anew: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def without_data(model: PathLike, phase: int) -> Engine:
    """The net of a prototxt with Inputs in place of its data layers, which need no data.

    Raises CaffeError where shapes do not follow without the data.
    """
    net = filter_net(text.read_net(model), phase)
    try:
        found = walk(net, ask={"Python": PythonFacts(phase)})
    except UnknownShape as error:
        remedy = "a net of the same layers with Inputs for its data, such as deploy.prototxt,"
        raise CaffeError(f"{model}: {error}; {remedy} will do") from None
    sources = {}
    for step, layer in zip(found.layers, net.layer, strict=True):
        if not layer.bottom and not step.facts.params and layer.type not in ("Input", "DummyData"):
            sources[layer.name] = pb.LayerParameter()
            sources[layer.name].CopyFrom(layer)
            layer.CopyFrom(pb.LayerParameter(name=layer.name, type="Input", top=layer.top))
            layer.input_param.shape.extend(pb.BlobShape(dim=shape) for shape in step.facts.tops)
    engine = Engine(net, phase)
    for layer in engine.param.layer:
        if layer.name in sources:
            layer.CopyFrom(sources[layer.name])  # what is saved names them as they are
    return engine


def fit(net: Engine, files: Sequence[PathLike], renames: Mapping[str, str]) -> Fit:
    """Copy into a net the layers of these files that fit whole.

    The others keep what their fillers gave. files: of layers in several files the last counts.
    renames: layers of the files, by the names that the net has for them.
    Raises CaffeError for a file that holds no weights, and a rename of or to a layer that there
    is not.
    """
    held = [(str(path), layer) for path in files for layer in stored(path)]
    _check_renames(net, {layer.name for _, layer in held}, renames)
    result = Fit({}, {name: "is in none of the files" for name in net.params})
    for path, layer in held:
        name = renames.get(layer.name, layer.name)
        if name not in net.params:
            if layer.blobs and layer.name not in result.left:
                result.left.append(layer.name)
        elif why := _misfit(net, name, layer):
            if name not in result.copied:
                result.anew[name] = f"{why} in {path}"
        else:
            _copy(layer, net.params[name])
            result.copied[name] = path
            result.anew.pop(name, None)
    return result


def _check_renames(net: Engine, names: set[str], renames: Mapping[str, str]) -> None:
    """names: of the files' layers. Raises CaffeError for a rename of or to an unknown layer."""
    for old, new in renames.items():
        if old not in names:
            what = f"no file has a layer '{old}'{suggest(old, names)}"
            raise CaffeError(f"--rename {old}={new}: {what}")
        if new not in net.params:
            what = f"no layer '{new}' of the net has parameters{suggest(new, net.params)}"
            raise CaffeError(f"--rename {old}={new}: {what}")


@torch.no_grad()
def _copy(layer: StoredLayer, blobs: Sequence[Blob]) -> None:
    """Copy a stored layer's blobs, which fit, into a net's."""
    for i, blob in layer.blobs.items():
        values = np.ascontiguousarray(blob.array().reshape(blobs[i].shape))
        tensor = blobs[i].tensor
        tensor.copy_(torch.from_numpy(values).view(tensor.shape))


def fit_weights(
    model: PathLike,
    weights: Sequence[PathLike],
    out: PathLike,
    *,
    phase: int = pb.TRAIN,
    renames: Mapping[str, str] | None = None,
) -> Fit:
    """Write a file of weights for a net: what fits of these files, the rest by the net's fillers.

    model: the net's prototxt; its data need not be there. weights: of layers in several files
    the last counts. out: HDF5 where it ends in .h5. phase: which of the net's layers.
    renames: layers of the files, by the names that the net has for them.
    Returns what became of the layers.
    Raises CaffeError where nothing fits, and as `without_data`, `fit` and Engine.save do.
    """
    net = without_data(model, phase)
    found = fit(net, weights, renames or {})
    if not found.copied:
        raise CaffeError(f"{','.join(map(str, weights))}: no layer fits {model}; nothing written")
    net.save(out)
    return found


def _misfit(net: Engine, name: str, layer: StoredLayer) -> str:
    """Why a stored layer cannot be the net's layer of this name; empty where it can."""
    shapes = [blob.shape for blob in net.params[name]]
    known = set(layer.blobs)
    if layer.sparse:
        known |= {i for owner, i in net.shared if owner == name}
    if known != set(range(len(shapes))):
        return f"has {len(shapes)} blobs in the net, {len(layer.blobs)}"
    if all(blob.fits(shapes[i]) for i, blob in layer.blobs.items()):
        return ""
    mine = " ".join(map(blob_shape_text, shapes))
    theirs = " ".join(blob_shape_text(blob.shape) for blob in layer.blobs.values())
    return f"is {mine} in the net, {theirs}"
