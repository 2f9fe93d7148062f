"""The parameters of a net's layers: out of files, into files, and shared between nets."""

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
    Raises ParseError for what is no file of weights, CaffeError where counts or shapes differ.
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
    """On a GPU, arrays are copies; on the CPU they are the tensors' own memory."""
    for tensor, array in zip(layer.blobs, arrays, strict=True):
        if tensor.device.type != "cpu":
            tensor.copy_(torch.from_numpy(array))


def share(
    layers: Sequence[Layer],
    others: Sequence[Layer],
    name: str,
    take: Callable[[torch.Tensor, torch.Tensor], None],
) -> None:
    """Have layers use the parameters of another net's layers of the same names.

    name: of the other net. take: makes a tensor (the first) use another's memory.
    Raises LayerError where shapes differ.
    """
    theirs = first_of_each_name(others)
    for layer in layers:
        if layer.name not in theirs:
            continue
        blobs = theirs[layer.name].blobs
        if [t.shape for t in layer.blobs] != [t.shape for t in blobs]:
            here, there = _shapes_text(layer.blobs), _shapes_text(blobs)
            raise layer.refuse(f"cannot share weights: shapes {here} here, {there} in net '{name}'")
        for mine, source in zip(layer.blobs, blobs, strict=True):
            take(mine, source)


def first_of_each_name(layers: Sequence[Layer]) -> dict[str, Layer]:
    """Layers by name; where several have one name the first, as in Caffe."""
    return {layer.name: layer for layer in reversed(layers)}


def arrays_of(layer: Layer) -> list[np.ndarray]:
    """A layer's parameters, each in its own shape; on the CPU the tensors' own memory."""
    return [t.detach().cpu().numpy() for t in layer.blobs]


def gradients_of(layer: Layer) -> list[np.ndarray]:
    """The gradients of a layer's parameters, zeros where they have none."""
    return [_gradient_of(layer, i) for i in range(len(layer.blobs))]


def _gradient_of(layer: Layer, index: int) -> np.ndarray:
    tensor = layer.reshaped.get(index, layer.blobs[index])
    values = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.cpu().numpy()
    return values.reshape(layer.blobs[index].shape)


def _shapes_text(tensors: Sequence[torch.Tensor]) -> str:
    return " ".join(blob_shape_text(t.shape) for t in tensors) or "none"
