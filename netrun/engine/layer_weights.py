"""Reads parameters of a net's layers from files, gives them as arrays, shares them among nets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch

from caffe_ir.rules import blob_shape_text
from netrun.layers import Layer
from netrun.runtime.memory import give_back_freed
from netrun.weights.files import copy_into
from ssd_common.files import PathLike

Blobs = Collection[tuple[str, int]]  # by layer and number


def load(layers: Sequence[Layer], path: PathLike, shared: Blobs) -> list[str]:
    """Copy the blobs of a file's layers into the layers of the same names.

    shared: the blobs that an earlier layer owns.
    Returns the names of the file's other layers.
    Raises ParseError for a file without weights, CaffeError where counts or shapes differ.
    """
    named = first_of_each_name(layers)
    arrays = {name: arrays_of(layer) for name, layer in named.items()}
    ignored = copy_into(arrays, path, shared)
    for name, layer in named.items():
        _write_back(layer, arrays[name])
    give_back_freed()
    return ignored


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
