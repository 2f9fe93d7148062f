"""Logs every layer as Caffe does under `debug_info`.

The log has the mean absolute values of tops, parameters and gradients.
Source: weiliu89/caffe (ssd), src/caffe/net.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from netrun.engine.backward_flow import BackwardFlow
from netrun.engine.graph import AUTOMATIC, Graph
from netrun.layers import Layer
from netrun.runtime import log

Tops = Mapping[tuple[int, int], Tensor]  # by layer and number
Gradient = Callable[[], Tensor | None]  # returns a gradient after the backward pass


def show_forward(layers: Sequence[Layer], tops: Tops, positions: Iterable[int]) -> None:
    """Log the tops and parameters of the layers at these positions.

    tops: what a pass has recorded, before in-place layers overwrote it.
    """
    for i in positions:
        layer = layers[i]
        where = f"    [Forward] Layer {layer.name}, "
        for j, name in enumerate(layer.param.top):
            shown = name
            if name.endswith(AUTOMATIC):
                shown = AUTOMATIC.strip()
            line = f"top blob {shown} data: {_mean(tops[i, j])}"
            log.info(f"{where}{line}", at="net.cpp:608")
        for j, blob in enumerate(layer.blobs):
            line = f"param blob {_param_name(layer, j)} data: {_mean(blob)}"
            log.info(f"{where}{line}", at="net.cpp:620")


def _param_name(layer: Layer, number: int) -> str:
    """The name that the prototxt gives a parameter, or its number."""
    specs = layer.param.param
    if number < len(specs) and specs[number].name:
        return specs[number].name
    return str(number)


def pass_and_show(
    layers: Sequence[Layer],
    graph: Graph,
    parameters: Sequence[Tensor],
    forward: Callable[[], tuple[Tensor, Tops]],
    force_backward: bool,
) -> None:
    """Run a forward and a backward pass, and log both as Caffe does.

    parameters: the parameters that the net owns.
    forward: runs the net and records its tops; returns its loss and its tops.
    force_backward: the net's own field.

    During the pass, layers read views of their parameters. So where several share one, the log
    shows each layer's own part of the gradient.
    """
    owners = [_owners(layer) for layer in layers]
    sums = {blob: _copied_gradient(blob) for blobs in owners for blob in blobs}
    owned = [layer.blobs for layer in layers]
    flow = BackwardFlow(layers, force_backward)
    try:
        for layer in layers:
            layer.blobs = [blob.view_as(blob) for blob in layer.blobs]
        loss, recorded = forward()
        tops = {key: _gradient_of(top) for key, top in recorded.items()}
        parts = [list(map(_gradient_of, layer.blobs)) for layer in layers]
        if loss.requires_grad:
            loss.backward()
    finally:
        for layer, blobs in zip(layers, owned, strict=True):
            layer.blobs = blobs
    for i in reversed(range(len(layers))):
        if flow.layers[i]:
            read = graph.bottoms[i]
            gradients = [tops[version.layer, version.top] for version in read]
            _show_bottoms(layers[i], gradients, flow.bottoms[i])
            _add_up(owners[i], parts[i], sums)
            so_far = [sums[blob] for blob in owners[i]]
            _show_parameters(layers[i], so_far, flow.rated[i])
    _show_norms(list(parameters))


def _owners(layer: Layer) -> list[Tensor]:
    """A layer's parameters, each as the tensor of the layer that owns it."""
    return [layer.reshaped.get(j, blob) for j, blob in enumerate(layer.blobs)]


def _copied_gradient(blob: Tensor) -> Tensor | None:
    if blob.grad is None:
        return None
    return blob.grad.clone()


def _show_bottoms(
    layer: Layer,
    gradients: Sequence[Gradient],
    shown: Sequence[bool],
) -> None:
    """Log the gradients of the bottoms for which Caffe computes one."""
    where = f"    [Backward] Layer {layer.name}, "
    names = layer.param.bottom
    for name, gradient, wanted in zip(names, gradients, shown, strict=True):
        if wanted:
            line = f"bottom blob {name} diff: {_mean(gradient())}"
            log.info(f"{where}{line}", at="net.cpp:636")


def _add_up(
    owners: Sequence[Tensor],
    parts: Sequence[Gradient],
    sums: dict[Tensor, Tensor | None],
) -> None:
    """Add a layer's own part to the gradients of its parameters so far."""
    for blob, part in zip(owners, parts, strict=True):
        gradient = part()
        if gradient is None:
            continue
        gradient = gradient.reshape(blob.shape)
        so_far = sums[blob]
        if so_far is not None:
            gradient = so_far + gradient
        sums[blob] = gradient


def _show_parameters(
    layer: Layer,
    gradients: Sequence[Tensor | None],
    shown: Sequence[bool],
) -> None:
    where = f"    [Backward] Layer {layer.name}, "
    for j, gradient in enumerate(gradients):
        if shown[j]:
            line = f"param blob {j} diff: {_mean(gradient)}"
            log.info(f"{where}{line}", at="net.cpp:647")


def _gradient_of(tensor: Tensor) -> Gradient:
    """A function that returns, after a backward pass, the gradient of a tensor inside the graph."""
    found: list[Tensor] = []
    if tensor.requires_grad:
        tensor.register_hook(found.append)
    return lambda: next(iter(found), None)


def _show_norms(params: list[Tensor]) -> None:
    values = []
    gradients = []
    for param in params:
        values.append(param.detach())
        if param.grad is None:
            gradients.append(torch.zeros_like(param))
        else:
            gradients.append(param.grad)
    l1 = f"({_norm(values, 1)}, {_norm(gradients, 1)})"
    l2 = f"({_norm(values, 2)}, {_norm(gradients, 2)})"
    line = f"L1 norm = {l1}; L2 norm = {l2}"
    where = "    [Backward] All net params (data, diff): "
    log.error(f"{where}{line}", at="net.cpp:736")


def _norm(tensors: list[Tensor], order: int) -> str:
    if not tensors:
        return "0"
    each = torch.stack(torch._foreach_norm(tensors, order))
    return log.number(float(torch.linalg.vector_norm(each, order)))


def _mean(tensor: Tensor | None) -> str:
    """The mean absolute value: 0 for no tensor; 0 / 0 for an empty one, as in Caffe."""
    if tensor is None:
        return log.number(0.0)
    mean = tensor.detach().abs().mean()
    return log.number(float(mean))
