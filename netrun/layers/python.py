"""Layers of type Python: netrun's own focal loss, and the user's classes in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import Facts, Shape
from caffe_ir.rules import facts as ruled
from caffe_ir.rules.focal_loss import is_focal_loss
from netrun.layers.focal_loss import SSDFocalLoss
from netrun.layers.registry import Context, Layer, Tensors, layer
from netrun.runtime import extensions, log


class PythonHost(Protocol):
    """Runs the user's class of one Python layer; netrun.pycaffe.python_host.Host is one.

    user: the user's object.
    """

    user: Any

    def facts(self, shapes: Sequence[Shape]) -> Facts:
        """The layer's facts, from setup and reshape over bottoms of these shapes."""

    def bind(self, parameters: Sequence[Tensor]) -> None:
        """Make these the user's parameter blobs."""

    def initial(self, index: int) -> np.ndarray:
        """The values that setup put into parameter `index`."""

    def forward(self, bottoms: Sequence[Tensor]) -> Tensors:
        """The tops for these bottoms, in memory of their own."""

    def backward(
        self, gradients: Sequence[Tensor | None], wanted: Sequence[bool]
    ) -> list[Tensor | None]:
        """The bottoms' gradients from the tops'; None for bottoms that need none."""

    def call(self, method: str, *args: object) -> None:
        """Call a method of the user's object."""

    def upload(self) -> None:
        """Copy to the device what the user's code wrote to parameters and their diffs."""


class HostFacts(Facts):
    """Facts of a Python layer, with the host that runs it."""

    host: PythonHost


class PythonFacts:
    """The facts of a net's Python layers; sets up each layer once its bottoms' shapes are known."""

    def __init__(self, phase: int) -> None:
        self._phase = phase
        self._hosts: dict[tuple[str, ...], PythonHost] = {}

    def __call__(self, layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
        """The facts of a Python layer over these bottoms.

        Raises LayerError where the layer's code cannot be imported, or fails.
        """
        if is_focal_loss(layer):  # netrun has code of its own for it
            return ruled(layer, bottoms)
        key = (layer.name, *layer.top)
        if key not in self._hosts:
            self._hosts[key] = extensions.python_layer_host(layer, self._phase)
        host = self._hosts[key]
        found = host.facts(bottoms)
        whole = HostFacts(found.tops, found.params)
        object.__setattr__(whole, "host", host)
        return whole


class _Call(torch.autograd.Function):
    """The user's forward and backward as a step of autograd.

    The user's code itself adds to the parameters' gradients.
    """

    @staticmethod
    def forward(ctx: Any, layer: Python, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.layer = layer
        ctx.count = count
        ctx.device = tensors[0].device
        tops = layer.host.forward(tensors[:count])
        return tuple(top.to(ctx.device) for top in tops)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple:
        wanted = ctx.needs_input_grad[2 : 2 + ctx.count]
        found = ctx.layer.host.backward(gradients, wanted)
        ctx.layer.upload()
        bottoms = [None if g is None else g.to(ctx.device) for g in found]
        parameters = len(ctx.needs_input_grad) - 2 - ctx.count
        return (None, None, *bottoms, *[None] * parameters)


@layer("Python")
class Python(Layer):
    """A layer that the user's class, derived from pycaffe's Layer, computes on the host.

    host: runs the user's object. bound: whether the object's blobs are the net's parameters.
    Source: weiliu89/caffe (ssd), include/caffe/layers/python_layer.hpp.
    """

    def __new__(cls, layer: pb.LayerParameter, facts: Facts, context: Context) -> Any:
        """Make an SSDFocalLoss for netgen's focal loss, else a layer of the user's class."""
        if isinstance(facts, HostFacts):
            return super().__new__(cls)
        return SSDFocalLoss(layer, facts, context)

    def __init__(self, layer: pb.LayerParameter, facts: HostFacts, context: Context) -> None:
        super().__init__(layer, facts, context)
        self.host = facts.host
        self.bound = False
        options = context.options
        is_first_of_several = options.world > 1 and options.rank == 0
        if is_first_of_several and not layer.bottom:
            what = f"every process runs a {layer.python_param.layer} of its own"
            remedy = "see that they give different data"
            log.warning(f"layer '{layer.name}': {what}; {remedy}")

    @property
    def user(self) -> Any:
        """The user's object, with the net's own parameters as its blobs."""
        self._bind()
        return self.host.user

    def _bind(self) -> None:
        if not self.bound:
            self.host.bind(self.blobs)
            self.bound = True

    def fit(self, bottoms: list[Shape]) -> Facts:
        """Return the same facts: the user's reshape runs in every forward."""
        return self.facts

    def initial(self, index: int) -> np.ndarray:
        """The values that the user's setup put into parameter `index`."""
        return self.host.initial(index)

    def seek(self, batch: int) -> None:
        """Call the user's `seek`, if the class has one."""
        if hasattr(self.user, "seek"):
            self.host.call("seek", batch)

    def forward(self, bottoms: Tensors) -> Tensors:
        """The tops that the user's forward writes."""
        self.upload()
        if not bottoms and not self.blobs:
            device = self.context.device
            return [top.to(device) for top in self.host.forward([])]
        return list(_Call.apply(self, len(bottoms), *bottoms, *self.blobs))

    def upload(self) -> None:
        """Copy to a GPU what the user's code wrote to parameters and their diffs on the host."""
        self._bind()
        self.host.upload()
