"""Layers of type Python: netrun's own focal loss, and whatever class of the user's, in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import Facts, Shape
from caffe_ir.rules import facts as ruled
from caffe_ir.rules.focal_loss import is_focal_loss
from netrun.layers.focal_loss import SSDFocalLoss
from netrun.layers.registry import Context, Layer, layer
from netrun.runtime import extensions, log


class PythonHost(Protocol):
    """What runs the user's class of one Python layer: netrun.pycaffe.python_host.Host.

    user: the user's object.
    """

    user: Any

    def facts(self, shapes: Sequence[Shape]) -> Facts:
        """What setup and reshape make of bottoms of these shapes."""

    def bind(self, parameters: Sequence[torch.Tensor]) -> None:
        """Make these the user's parameter blobs."""

    def initial(self, index: int) -> np.ndarray:
        """What setup put into parameter `index`."""

    def forward(self, bottoms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The tops for these bottoms, in memory of their own."""

    def backward(
        self, gradients: Sequence[torch.Tensor | None], wanted: Sequence[bool]
    ) -> list[torch.Tensor | None]:
        """The bottoms' gradients from the tops', for those bottoms that want one."""

    def call(self, method: str, *args: object) -> None:
        """Call a method of the user's object."""

    def upload(self) -> None:
        """Put on the device what the user's code wrote to parameters and their diffs."""


class HostFacts(Facts):
    """Facts of a Python layer, with what runs it."""

    host: PythonHost


class PythonFacts:
    """Facts of one net's Python layers, each set up when its bottoms' shapes are first known."""

    def __init__(self, phase: int) -> None:
        self._phase = phase
        self._hosts: dict[tuple[str, ...], PythonHost] = {}

    def __call__(self, layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
        """The facts of a Python layer over these bottoms.

        Raises LayerError where its code cannot be imported, or fails.
        """
        if is_focal_loss(layer):  # netrun has code of its own for it
            return ruled(layer, bottoms)
        key = (layer.name, *layer.top)
        if key not in self._hosts:
            self._hosts[key] = extensions.python_layer_host(layer, self._phase)
        found = self._hosts[key].facts(bottoms)
        whole = HostFacts(found.tops, found.params)
        object.__setattr__(whole, "host", self._hosts[key])
        return whole


class _Call(torch.autograd.Function):
    """The user's forward and backward as a step of autograd.

    Parameters' gradients go where the user's code adds them.
    """

    @staticmethod
    def forward(
        ctx: Any, layer: Python, count: int, *tensors: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        ctx.layer, ctx.count, ctx.device = layer, count, tensors[0].device
        return tuple(top.to(ctx.device) for top in layer.host.forward(tensors[:count]))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor | None) -> tuple:
        wanted = ctx.needs_input_grad[2 : 2 + ctx.count]
        found = ctx.layer.host.backward(gradients, wanted)
        ctx.layer.upload()
        bottoms = [None if g is None else g.to(ctx.device) for g in found]
        parameters = len(ctx.needs_input_grad) - 2 - ctx.count
        return (None, None, *bottoms, *[None] * parameters)


@layer("Python")
class Python(Layer):
    """A layer that the user's class computes on the host, derived from pycaffe's Layer."""

    def __new__(cls, layer: pb.LayerParameter, facts: Facts, context: Context) -> Any:
        if isinstance(facts, HostFacts):
            return super().__new__(cls)
        return SSDFocalLoss(layer, facts, context)

    def __init__(self, layer: pb.LayerParameter, facts: HostFacts, context: Context) -> None:
        super().__init__(layer, facts, context)
        self.host = facts.host
        self.bound = False
        if context.options.world > 1 and context.options.rank == 0 and not layer.bottom:
            what = f"every process runs a {layer.python_param.layer} of its own"
            log.warning(f"layer '{layer.name}': {what}; see that they give different data")

    @property
    def user(self) -> Any:
        """The user's object, its blobs the net's own parameters."""
        self._bind()
        return self.host.user

    def _bind(self) -> None:
        if not self.bound:
            self.host.bind(self.blobs)
            self.bound = True

    def fit(self, bottoms: list[Shape]) -> Facts:
        return self.facts  # the user's reshape runs with every forward

    def initial(self, index: int) -> np.ndarray:
        return self.host.initial(index)

    def seek(self, batch: int) -> None:
        if hasattr(self.user, "seek"):
            self.host.call("seek", batch)

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        self.upload()
        if not bottoms and not self.blobs:
            return [top.to(self.context.device) for top in self.host.forward([])]
        return list(_Call.apply(self, len(bottoms), *bottoms, *self.blobs))

    def upload(self) -> None:
        """On a GPU: what the user's code wrote to parameters and their diffs on the host."""
        self._bind()
        self.host.upload()
