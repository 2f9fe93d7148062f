"""Layers of type Python: netrun's own focal loss, and whatever class of the user's, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import Facts, Shape
from netrun.layers.blob_arrays import ParamBlob
from netrun.layers.focal_loss import SSDFocalLoss
from netrun.layers.python_host import BlobVec, HostFacts
from netrun.layers.python_host import Layer as UserLayer
from netrun.layers.registry import Context, Layer, layer
from netrun.runtime import log


class _Call(torch.autograd.Function):
    """The user's forward and backward as a step of autograd. Parameters' gradients go where the user's code adds them."""

    @staticmethod
    def forward(ctx: Any, layer: Python, count: int, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ctx.layer, ctx.count, ctx.device = layer, count, tensors[0].device
        return tuple(top.to(ctx.device) for top in layer.host.forward(tensors[:count]))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor | None) -> tuple:
        wanted = ctx.needs_input_grad[2 : 2 + ctx.count]
        found = ctx.layer.host.backward(gradients, wanted)
        ctx.layer.upload()
        parameters = len(ctx.needs_input_grad) - 2 - ctx.count
        return (None, None, *(None if g is None else g.to(ctx.device) for g in found), *[None] * parameters)


@layer("Python")
class Python(Layer):
    """A layer that the user's class computes, on the host: pycaffe's interface (netrun.layers.python_host.Layer)."""

    def __new__(cls, layer: pb.LayerParameter, facts: Facts, context: Context) -> Any:
        return super().__new__(cls) if isinstance(facts, HostFacts) else SSDFocalLoss(layer, facts, context)

    def __init__(self, layer: pb.LayerParameter, facts: HostFacts, context: Context) -> None:
        super().__init__(layer, facts, context)
        self.host = facts.host
        self.bound = False
        if context.world > 1 and context.rank == 0 and not layer.bottom:
            what = f"every process runs a {layer.python_param.layer} of its own; see that they give different data"
            log.warning(f"layer '{layer.name}': {what}")

    @property
    def user(self) -> UserLayer:
        """The user's object, its blobs the net's own parameters."""
        if not self.bound:
            self.host.user.blobs = BlobVec(ParamBlob(tuple(t.shape), t.device, tensor=t) for t in self.blobs)
            self.bound = True
        return self.host.user

    def fit(self, bottoms: list[Shape]) -> Facts:
        return self.facts  # the user's reshape runs with every forward

    def initial(self, index: int) -> np.ndarray:
        return self.host.user.blobs[index].data.copy()

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
        for blob in self.user.blobs:
            blob.upload()
