"""Reads parameters of a net's layers from files, gives them as arrays, shares them among nets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch

from caffe_ir.rules import blob_shape_text
from netrun.engine.stored_boxes import warn_of_other_boxes
from netrun.layers import Layer
from netrun.runtime import log
from netrun.runtime.memory import give_back_freed
from netrun.weights.files import Copied, copy_into
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike

Blobs = Collection[tuple[str, int]]  # by layer and number
_NAMES = 3  # of a file's layers and of a net's, in the words for weights of another net


def load(layers: Sequence[Layer], path: PathLike, shared: Blobs) -> Copied:
    """Copy the blobs of a file's layers into the layers of the same names.

    Logs the file's other layers, as Caffe does, and warns of other prior boxes in it.
    shared: the blobs that an earlier layer owns.
    Raises ParseError for a file without weights, CaffeError where counts or shapes differ.
    """
    named = first_of_each_name(layers)
    arrays = {name: arrays_of(layer) for name, layer in named.items()}
    copied = copy_into(arrays, path, shared)
    for name in copied.ignored:
        log.info(f"Ignoring source layer {name}", at="net.cpp:761")
    for name, layer in named.items():
        _write_back(layer, arrays[name])
    warn_of_other_boxes(named, copied.priors, str(path))
    give_back_freed()
    return copied


def check_belongs(layers: Sequence[Layer], copied: Sequence[Copied], files: str) -> None:
    """Refuse weights of another net: none of a net's parameters is in these files.

    copied: what became of each file's layers.
    files: their names.
    Raises CaffeError.
    """
    own = [layer.name for layer in layers if layer.blobs]
    if not own or any(found.taken for found in copied):
        return
    others: list[str] = []
    for found in copied:
        others += found.ignored
    what = "these weights belong to another net: none of its layers has parameters in them"
    names = f"layers {_few(own)} of the net, {_few(others)} of the file"
    way = "`netrun weights fit --rename` takes those that have other names"
    raise CaffeError(f"{files}: {what} ({names}); {way}")


def _few(names: Sequence[str]) -> str:
    text = ", ".join(names[:_NAMES]) or "none"
    if len(names) > _NAMES:
        text += ", …"
    return text


def warn_of_missing(layers: Sequence[Layer], taken: Collection[str], files: str) -> None:
    """Warn of layers whose parameters no file has given.

    taken: names of the layers that files have given.
    files: their names.
    """
    given: set[int] = set()
    for name, layer in first_of_each_name(layers).items():
        if name in taken:
            given |= {tensor.data_ptr() for tensor in layer.blobs}
    missing = []
    for layer in layers:
        if any(tensor.data_ptr() not in given for tensor in layer.blobs):
            missing.append(layer.name)
    if missing:
        names = ", ".join(missing)
        stay = "which keep what their fillers gave"
        log.warning(f"{files}: no parameters for the net's layers {names}, {stay}")


@torch.no_grad()
def _write_back(layer: Layer, arrays: Sequence[np.ndarray]) -> None:
    """Copy arrays to a GPU; on the CPU, arrays are the tensors' own memory."""
    for tensor, array in zip(layer.blobs, arrays, strict=True):
        if tensor.device.type != "cpu":
            tensor.copy_(torch.from_numpy(array))


def share(
    layers: Sequence[Layer],
    others: Sequence[Layer],
    name: str,
    take: Callable[[torch.Tensor, torch.Tensor], None],
) -> None:
    """Make layers use the parameters of another net's layers of the same names.

    others: the other net's layers.
    name: the other net's name.
    take: makes a tensor (the first argument) use the memory of another.
    Raises LayerError where shapes differ.
    """
    other_by_name = first_of_each_name(others)
    for layer in layers:
        if layer.name not in other_by_name:
            continue
        sources = other_by_name[layer.name].blobs
        if [t.shape for t in layer.blobs] != [t.shape for t in sources]:
            here = _shapes_text(layer.blobs)
            there = _shapes_text(sources)
            shapes = f"shapes {here} here, {there} in net '{name}'"
            raise layer.refuse(f"cannot share weights: {shapes}")
        for target, source in zip(layer.blobs, sources, strict=True):
            take(target, source)


def first_of_each_name(layers: Sequence[Layer]) -> dict[str, Layer]:
    """Layers by name; of several with the same name, the first, as in Caffe."""
    return {layer.name: layer for layer in reversed(layers)}


def arrays_of(layer: Layer) -> list[np.ndarray]:
    """A layer's parameters, each in its own shape; on the CPU, the tensors' own memory."""
    return [t.detach().cpu().numpy() for t in layer.blobs]


def gradients_of(layer: Layer) -> list[np.ndarray]:
    """The gradients of a layer's parameters; zeros where there is none."""
    return [_gradient_of(layer, i) for i in range(len(layer.blobs))]


def _gradient_of(layer: Layer, index: int) -> np.ndarray:
    tensor = layer.reshaped.get(index, layer.blobs[index])
    shape = layer.blobs[index].shape
    if tensor.grad is None:
        return np.zeros(shape)
    return tensor.grad.cpu().numpy().reshape(shape)


def _shapes_text(tensors: Sequence[torch.Tensor]) -> str:
    return " ".join(blob_shape_text(t.shape) for t in tensors) or "none"
