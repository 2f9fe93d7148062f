"""Makes weights for a net with other layers: copies those that fit, fills the others anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.phase import filter_net
from caffe_ir.rules import Facts, blob_shape_text
from caffe_ir.walk import walk
from netrun.engine.blob import Blob
from netrun.engine.engine import Engine
from netrun.engine.layer_weights import first_of_each_name
from netrun.engine.stored_boxes import warn_of_other_boxes
from netrun.layers.python import PythonFacts
from netrun.weights.files import StoredLayer, stored
from ssd_common.errors import CaffeError, UnknownShape
from ssd_common.files import PathLike
from ssd_common.suggest import suggest


@dataclass
class Fit:
    """Which layers were copied, and which were not.

    copied: the file that a layer came from, by the layer's name.
    anew: why a layer came from no file, by the layer's name.
    left: the names of the files' layers that the net lacks.
    """

    copied: dict[str, str] = field(default_factory=dict)
    anew: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def without_data(model: PathLike, phase: int) -> Engine:
    """The net of a prototxt with Input layers in place of data layers, so that it needs no data.

    phase: pb.TRAIN or pb.TEST.
    Raises CaffeError where only the data know the shapes.
    """
    net = filter_net(text.read_net(model), phase)
    try:
        found = walk(net, ask={"Python": PythonFacts(phase)})
    except UnknownShape as error:
        remedy = "a net of the same layers with Inputs for its data, such as deploy.prototxt,"
        raise CaffeError(f"{model}: {error}; {remedy} will do") from None
    sources = {}
    for step, layer in zip(found.layers, net.layer, strict=True):
        if _reads_data(layer, step.facts):
            sources[layer.name] = pb.LayerParameter()
            sources[layer.name].CopyFrom(layer)
            layer.CopyFrom(_input_in_place_of(layer, step.facts))
    engine = Engine(net, phase)
    for layer in engine.param.layer:
        if layer.name in sources:
            # A saved file still names the data layers.
            layer.CopyFrom(sources[layer.name])
    return engine


def _reads_data(layer: pb.LayerParameter, facts: Facts) -> bool:
    if layer.bottom or facts.params:
        return False
    return layer.type not in ("Input", "DummyData")


def _input_in_place_of(layer: pb.LayerParameter, facts: Facts) -> pb.LayerParameter:
    """An Input layer of the same name and tops."""
    made = pb.LayerParameter(name=layer.name, type="Input", top=layer.top)
    for shape in facts.tops:
        made.input_param.shape.add(dim=shape)
    return made


def fit(net: Engine, files: Sequence[PathLike], renames: Mapping[str, str]) -> Fit:
    """Copy the layers of these files that fit completely into a net.

    The other layers keep their fillers' values.
    files: the files of weights; for a layer in several of them, the last counts.
    renames: the net's names of layers, by the names that the files have for them.
    Raises CaffeError for a file that holds no weights, and for a rename of or to a layer that
    does not exist.
    """
    held = [(str(path), layer) for path in files for layer in stored(path)]
    _warn_of_boxes(net, held)
    _check_renames(net, {layer.name for _, layer in held}, renames)
    result = Fit({}, {name: "is in none of the files" for name in net.params})
    for path, layer in held:
        name = renames.get(layer.name, layer.name)
        if name not in net.params:
            if layer.blobs and layer.name not in result.left:
                result.left.append(layer.name)
            continue
        why = _misfit(net, name, layer)
        if not why:
            _copy(layer, net.params[name])
            result.copied[name] = path
            result.anew.pop(name, None)
        elif name not in result.copied:
            result.anew[name] = f"{why} in {path}"
    return result


def _warn_of_boxes(net: Engine, held: Sequence[tuple[str, StoredLayer]]) -> None:
    """Warn of files that were trained with other prior boxes than the net's, once for each."""
    layers = first_of_each_name(net.layer_list)
    for file in dict.fromkeys(path for path, _ in held):
        own = [layer for path, layer in held if path == file and layer.name in layers]
        priors = {layer.name: layer.priors for layer in own if layer.priors is not None}
        warn_of_other_boxes(layers, priors, file)


def _check_renames(
    net: Engine,
    names: set[str],
    renames: Mapping[str, str],
) -> None:
    """Refuse a rename of or to an unknown layer.

    names: the names of the files' layers.
    Raises CaffeError.
    """
    for old, new in renames.items():
        where = f"--rename {old}={new}"
        if old not in names:
            hint = suggest(old, names)
            raise CaffeError(f"{where}: no file has a layer '{old}'{hint}")
        if new not in net.params:
            hint = suggest(new, net.params)
            what = f"no layer '{new}' of the net has parameters"
            raise CaffeError(f"{where}: {what}{hint}")


@torch.no_grad()
def _copy(layer: StoredLayer, blobs: Sequence[Blob]) -> None:
    """Copy a stored layer's blobs into a net's layer that they fit."""
    for i, blob in layer.blobs.items():
        values = blob.array().reshape(blobs[i].shape)
        source = torch.from_numpy(np.ascontiguousarray(values))
        tensor = blobs[i].tensor
        tensor.copy_(source.view(tensor.shape))


def fit_weights(
    model: PathLike,
    weights: Sequence[PathLike],
    out: PathLike,
    *,
    phase: int = pb.TRAIN,
    renames: Mapping[str, str] | None = None,
) -> Fit:
    """Write weights for a net: what fits from these files, the rest from the net's fillers.

    model: the net's prototxt; its data may be missing.
    weights: files of weights; for a layer in several of them, the last counts.
    out: the file to write, as HDF5 if its name ends in .h5.
    phase: pb.TRAIN or pb.TEST, which says which of the prototxt's layers the net has.
    renames: the net's names of layers, by the names that the files have for them.
    Returns which layers were copied, and which were not.
    Raises CaffeError where nothing fits, and as `without_data`, `fit` and Engine.save do.
    """
    net = without_data(model, phase)
    found = fit(net, weights, renames or {})
    if not found.copied:
        files = ",".join(map(str, weights))
        raise CaffeError(f"{files}: no layer fits {model}; nothing written")
    net.save(out)
    return found


def _misfit(net: Engine, name: str, layer: StoredLayer) -> str:
    """Why a stored layer does not fit the net's layer of this name; empty where it does."""
    shapes = [blob.shape for blob in net.params[name]]
    known = set(layer.blobs)
    if layer.sparse:
        known |= {i for owner, i in net.shared if owner == name}
    if known != set(range(len(shapes))):
        return f"has {len(shapes)} blobs in the net, {len(layer.blobs)}"
    if all(blob.fits(shapes[i]) for i, blob in layer.blobs.items()):
        return ""
    stored_shapes = [blob.shape for blob in layer.blobs.values()]
    here = " ".join(map(blob_shape_text, shapes))
    there = " ".join(map(blob_shape_text, stored_shapes))
    return f"is {here} in the net, {there}"
