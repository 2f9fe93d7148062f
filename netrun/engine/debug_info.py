"""What Caffe logs of every layer under `debug_info` (src/caffe/net.cpp).

The mean absolute value of tops, parameters and gradients.
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
Gradient = Callable[[], Tensor | None]  # None where there is none


def show_forward(layers: Sequence[Layer], tops: Tops, positions: Iterable[int]) -> None:
    """Log the tops and parameters of the layers at these positions.

    tops: what a pass has recorded, before in-place layers wrote over it.
    """
    for i in positions:
        layer = layers[i]
        where = f"    [Forward] Layer {layer.name}, "
        for j, name in enumerate(layer.param.top):
            shown = AUTOMATIC.strip() if name.endswith(AUTOMATIC) else name
            log.info(f"{where}top blob {shown} data: {_mean(tops[i, j])}", at="net.cpp:608")
        for j, blob in enumerate(layer.blobs):
            given = layer.param.param[j].name if j < len(layer.param.param) else ""
            log.info(f"{where}param blob {given or j} data: {_mean(blob)}", at="net.cpp:620")


def pass_and_show(
    layers: Sequence[Layer],
    graph: Graph,
    parameters: Sequence[Tensor],
    forward: Callable[[], tuple[Tensor, Tops]],
    force_backward: bool,
) -> None:
    """A pass forward and backward with all that Caffe logs of both.

    parameters: those that the net owns. forward: computes the net, recorded; its loss and its tops.
    force_backward: the net's own field.

    Layers read views of their parameters meanwhile: where several share one, every layer's own
    part of the gradient shows.
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
        parts = [[_gradient_of(blob) for blob in layer.blobs] for layer in layers]
        if loss.requires_grad:
            loss.backward()
    finally:
        for layer, blobs in zip(layers, owned, strict=True):
            layer.blobs = blobs
    for i in reversed(range(len(layers))):
        if flow.layers[i]:
            made_by = [tops[version.layer, version.top] for version in graph.bottoms[i]]
            _show_bottoms(layers[i], made_by, flow.bottoms[i])
            _add_up(owners[i], parts[i], sums)
            _show_parameters(layers[i], [sums[blob] for blob in owners[i]], flow.rated[i])
    _show_norms(list(parameters))


def _owners(layer: Layer) -> list[Tensor]:
    """A layer's parameters as the layers that own them have them."""
    return [layer.reshaped.get(j, blob) for j, blob in enumerate(layer.blobs)]


def _copied_gradient(blob: Tensor) -> Tensor | None:
    return None if blob.grad is None else blob.grad.clone()


def _show_bottoms(layer: Layer, gradients: Sequence[Gradient], shown: Sequence[bool]) -> None:
    """Log the gradients of the bottoms that Caffe computes one for."""
    where = f"    [Backward] Layer {layer.name}, "
    for name, gradient, wanted in zip(layer.param.bottom, gradients, shown, strict=True):
        if wanted:
            log.info(f"{where}bottom blob {name} diff: {_mean(gradient())}", at="net.cpp:636")


def _add_up(
    owners: Sequence[Tensor], parts: Sequence[Gradient], sums: dict[Tensor, Tensor | None]
) -> None:
    """Add a layer's own part to the gradients of its parameters so far."""
    for blob, part in zip(owners, parts, strict=True):
        gradient = part()
        if gradient is None:
            continue
        so_far, gradient = sums[blob], gradient.reshape(blob.shape)
        sums[blob] = gradient if so_far is None else so_far + gradient


def _show_parameters(
    layer: Layer, gradients: Sequence[Tensor | None], shown: Sequence[bool]
) -> None:
    where = f"    [Backward] Layer {layer.name}, "
    for j, (gradient, wanted) in enumerate(zip(gradients, shown, strict=True)):
        if wanted:
            log.info(f"{where}param blob {j} diff: {_mean(gradient)}", at="net.cpp:647")


def _gradient_of(tensor: Tensor) -> Gradient:
    """Asks, after a backward pass, for the gradient of a tensor in the midst of the graph."""
    found: list[Tensor] = []
    if tensor.requires_grad:
        tensor.register_hook(found.append)
    return lambda: found[0] if found else None


def _show_norms(params: list[Tensor]) -> None:
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in params]
    values = [p.detach() for p in params]

    l1, l2 = (f"({_norm(values, order)}, {_norm(gradients, order)})" for order in (1, 2))
    said = f"L1 norm = {l1}; L2 norm = {l2}"
    log.error(f"    [Backward] All net params (data, diff): {said}", at="net.cpp:736")


def _norm(tensors: list[Tensor], order: int) -> str:
    if not tensors:
        return "0"
    each = torch.stack(torch._foreach_norm(tensors, order))
    return log.number(float(torch.linalg.vector_norm(each, order)))


def _mean(tensor: Tensor | None) -> str:
    """The mean absolute value; 0 for no tensor, and as in Caffe 0 / 0 for an empty one."""
    return log.number(0.0 if tensor is None else float(tensor.detach().abs().mean()))
