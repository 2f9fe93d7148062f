"""Does the work of Net.backward: from the diffs of unread blobs to the diffs of all others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from netrun.engine.graph import Graph, Version
from netrun.engine.runner import Runner
from netrun.layers import Layer
from netrun.layers.python import Python
from netrun.pycaffe.blob_arrays import Blob
from netrun.pycaffe.net_names import NetNames


def go_back(net: NetNames, start: int, end: int) -> None:
    """Fill the diffs of blobs, and add to the gradients of parameters.

    Parameters of layers before `end` keep their gradients.
    start, end: positions of the layers to go back from and to, both included.
    """
    runner = net.runner
    blobs = net.blobs
    versions = [version for version in net.graph.versions if version.layer <= start]
    unread = [version for version in versions if _is_unread(version, start)]
    names = {v.name for v in versions}
    for name in names - {v.name for v in unread}:
        blobs[name].set_diff(None)
    users_code = any(isinstance(layer, Python) for layer in net.layer_list)
    tensors: list[torch.Tensor] = []
    seeds: list[torch.Tensor] = []
    with _parameters_kept(net.layer_list[:end]), _hooks() as hooks:
        for version in versions:
            blob = blobs[version.name]
            tensor = _tensor_of(version, net.graph, runner, blob)
            if tensor is None or not tensor.requires_grad:
                continue
            if version in unread or blob.loss_weight:
                seed = _seed(blob, tensor, users_code)
                if seed is not None:
                    tensors.append(tensor)
                    seeds.append(seed)
            if version.first and runner.tops:
                hooks.append(tensor.register_hook(blob.set_diff))
        torch.autograd.backward(tensors, seeds, retain_graph=True)


def _is_unread(version: Version, start: int) -> bool:
    """Tell whether no layer up to `start` reads this version of a blob."""
    return all(reader > start for reader in version.readers)


def _tensor_of(
    version: Version,
    graph: Graph,
    runner: Runner,
    blob: Blob,
) -> torch.Tensor | None:
    """A version's tensor.

    None where no pass has recorded it and a later version replaced it.
    """
    recorded = runner.tops.get((version.layer, version.top))
    if recorded is not None:
        return recorded
    if version is graph.last[version.name]:
        return blob.tensor
    return None


def _seed(
    blob: Blob,
    tensor: torch.Tensor,
    users_code: bool,
) -> torch.Tensor | None:
    """The gradient to start from at a blob; None: do not start there.

    users_code: whether the net has Python layers; Caffe calls their backward even for a diff of
        zeros.
    """
    seed = blob.seed()
    if seed is None and users_code:
        return torch.zeros_like(tensor)
    return seed


@contextmanager
def _hooks() -> Iterator[list[torch.utils.hooks.RemovableHandle]]:
    hooks: list[torch.utils.hooks.RemovableHandle] = []
    try:
        yield hooks
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _parameters_kept(layers: list[Layer]) -> Iterator[None]:
    """Give the parameters of these layers their gradients back after backward."""
    kept = [(tensor, tensor.grad) for layer in layers for tensor in layer.blobs]
    for tensor, _ in kept:
        tensor.grad = None
    yield
    for tensor, gradient in kept:
        tensor.grad = gradient
