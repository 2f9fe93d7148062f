"""What `debug_info` has Caffe log of every layer: the mean absolute value of tops, parameters and gradients (src/caffe/net.cpp)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from netrun.engine.graph import AUTOMATIC
from netrun.runtime import log

if TYPE_CHECKING:
    from netrun.engine.engine import Engine


def show_forward(net: Engine, positions: Iterable[int]) -> None:
    """Log layers' tops, as they were before in-place layers came, and parameters. The net must have recorded their forward."""
    for i in positions:
        layer = net.layer_list[i]
        where = f"    [Forward] Layer {layer.name}, "
        for j, name in enumerate(layer.param.top):
            shown = AUTOMATIC.strip() if name.endswith(AUTOMATIC) else name
            log.info(f"{where}top blob {shown} data: {_mean(net._tops[i, j])}", at="net.cpp:608")
        for j, blob in enumerate(layer.blobs):
            given = layer.param.param[j].name if j < len(layer.param.param) else ""
            log.info(f"{where}param blob {given or j} data: {_mean(blob)}", at="net.cpp:620")


def pass_and_show(net: Engine) -> dict[str, Tensor]:
    """Engine.run under debug_info, and the backward pass of its loss, with all that Caffe logs of both; the outputs.

    Layers read views of their parameters meanwhile: where several share one, every layer's own part of the gradient shows.
    """
    owners = [[layer.reshaped.get(j, blob) for j, blob in enumerate(layer.blobs)] for layer in net.layer_list]
    before = {blob: None if blob.grad is None else blob.grad.clone() for blobs in owners for blob in blobs}
    owned = [layer.blobs for layer in net.layer_list]
    flow = _Flow(net)
    try:
        for layer in net.layer_list:
            layer.blobs = [blob.view_as(blob) for blob in layer.blobs]
        outputs = net.run()
        tops = {key: _gradient_of(top) for key, top in net._tops.items()}
        parts = [[_gradient_of(blob) for blob in layer.blobs] for layer in net.layer_list]
        if net.loss.requires_grad:
            net.loss.backward()
    finally:
        for layer, blobs in zip(net.layer_list, owned, strict=True):
            layer.blobs = blobs
    for i in reversed(range(len(net.layer_list))):
        if not flow.layers[i]:
            continue
        layer = net.layer_list[i]
        where = f"    [Backward] Layer {layer.name}, "
        for j, (name, version) in enumerate(zip(layer.param.bottom, net._wiring.bottoms[i], strict=True)):
            if flow.bottoms[i][j]:
                log.info(f"{where}bottom blob {name} diff: {_mean(tops[version.layer, version.top]())}", at="net.cpp:636")
        for j, (blob, part) in enumerate(zip(owners[i], parts[i], strict=True)):
            if (gradient := part()) is not None:
                so_far, gradient = before[blob], gradient.reshape(blob.shape)
                before[blob] = gradient if so_far is None else so_far + gradient
            if flow.rate(i, j):
                log.info(f"{where}param blob {j} diff: {_mean(before[blob])}", at="net.cpp:647")
    _show_norms([p.tensor for p in net.learnable])
    return outputs


def _gradient_of(tensor: Tensor) -> Callable[[], Tensor | None]:
    """What asks, after a backward pass, for the gradient of a tensor in the midst of the graph; None where it has none."""
    found: list[Tensor] = []
    if tensor.requires_grad:
        tensor.register_hook(found.append)
    return lambda: found[0] if found else None


def _show_norms(params: list[Tensor]) -> None:
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in params]
    values = [p.detach() for p in params]

    def norm(tensors: list[Tensor], order: int) -> str:
        return log.number(float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors, order)), order))) if tensors else "0"

    l1, l2 = ((norm(values, order), norm(gradients, order)) for order in (1, 2))
    said = f"L1 norm = ({l1[0]}, {l1[1]}); L2 norm = ({l2[0]}, {l2[1]})"
    log.error(f"    [Backward] All net params (data, diff): {said}", at="net.cpp:736")


def _mean(tensor: Tensor | None) -> str:
    """The mean absolute value of a blob, 0 where it has none; an empty one's, in Caffe, is 0 / 0."""
    return log.number(0.0 if tensor is None else float(tensor.detach().abs().mean()))


@dataclass(init=False)
class _Flow:
    """Which layers Caffe calls Backward of, and for which of their bottoms: Net::Init's own bookkeeping."""

    layers: list[bool]
    bottoms: list[list[bool]]

    def __init__(self, net: Engine) -> None:
        self._params = [[j < len(la.param.param) and la.param.param[j].lr_mult == 0 for j in range(len(la.blobs))] for la in net.layer_list]
        self._forced = net.param.force_backward
        self.layers, self.bottoms = [], []
        wanted: dict[str, bool] = {}
        for i, layer in enumerate(net.layer_list):
            flags, names = layer.param.propagate_down, layer.param.bottom
            self.bottoms.append([bool(flags[j]) if flags else wanted[name] for j, name in enumerate(names)])
            self.layers.append(any(wanted[name] for name in names) or not all(self._params[i]))
            wanted.update(dict.fromkeys(layer.param.top, self.layers[i]))
        self._stop_where_no_loss_is(net)
        if self._forced:
            self.layers = [True] * len(self.layers)
            self.bottoms = [
                [known or j not in layer.no_gradient_to for j, known in enumerate(flags)]
                for flags, layer in zip(self.bottoms, net.layer_list, strict=True)
            ]

    def _stop_where_no_loss_is(self, net: Engine) -> None:
        """No layer goes back that no loss depends on, or whose every top is read by layers that do not go back to it."""
        under_loss: set[str] = set()
        skipped: set[str] = set()
        for i in reversed(range(len(self.layers))):
            layer = net.layer_list[i].param
            contributes = any(net._loss_weight(net.layer_list[i], j) or top in under_loss for j, top in enumerate(layer.top))
            if self.layers[i] and all(top in skipped for top in layer.top):
                self.layers[i] = False
                self.bottoms[i] = [False] * len(layer.bottom)
            if contributes:
                under_loss.update(layer.bottom)
            else:
                self.layers[i] = False
                self.bottoms[i] = [False] * len(layer.bottom)
            skipped.update(name for name, known in zip(layer.bottom, self.bottoms[i], strict=True) if not known)

    def rate(self, layer: int, param: int) -> bool:
        """Whether a parameter blob's gradient is computed."""
        return self._forced or not self._params[layer][param]
