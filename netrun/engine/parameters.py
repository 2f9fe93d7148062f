"""Allocates a net's parameters by the layer rules, fills them, and shares them between layers.

Two layers share a parameter if both give it the same name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import Facts, Param, Shape
from netrun.layers import Context, Layer
from netrun.layers.fillers import fill
from ssd_common.errors import CaffeError


@dataclass
class LearnableParam:
    """A parameter that layer `layer` owns as its blob `index`.

    tensor: a leaf; its `.grad` is None where no gradient reached it.
    lr_mult: multiplies the solver's learning rate; 0 if the solver never changes the parameter, as
    with BatchNorm's sums.
    decay_mult: multiplies the solver's weight decay.
    """

    tensor: torch.Tensor
    lr_mult: float
    decay_mult: float
    layer: str
    index: int


def allocate(
    layers: Sequence[Layer],
    all_facts: Sequence[Facts],
    context: Context,
    force_backward: bool,
) -> list[LearnableParam]:
    """Give every layer its blobs, and fill new ones.

    all_facts: the facts of each layer.
    force_backward: whether parameters with lr_mult 0 take gradients too.
    Returns the parameters that some layer owns, in Caffe's order.
    Raises LayerError for a filler that Caffe lacks.
    """
    owned: list[LearnableParam] = []
    named: dict[str, LearnableParam] = {}
    for layer, facts in zip(layers, all_facts, strict=True):
        for i, wanted in enumerate(facts.params):
            spec = _spec(layer, i)
            owner = named.get(spec.name)
            if owner is None:
                owner = _owned(layer, i, wanted, context)
                owned.append(owner)
                if spec.name:
                    named[spec.name] = owner
            else:
                _share(spec, owner)
            learns = owner.lr_mult != 0 or force_backward
            owner.tensor.requires_grad_(wanted.learnable and learns)
            _put(layer, owner.tensor, tuple(wanted.shape))
    return owned


def _spec(layer: Layer, index: int) -> pb.ParamSpec:
    """The prototxt's `param` field for a layer's parameter."""
    specs = layer.param.param
    if index < len(specs):
        return specs[index]
    return pb.ParamSpec()


def _owned(
    layer: Layer,
    index: int,
    wanted: Param,
    context: Context,
) -> LearnableParam:
    """A new parameter of this layer."""
    spec = _spec(layer, index)
    tensor = _new(layer, index, wanted, context)
    rate = spec.lr_mult if wanted.learnable else 0.0
    return LearnableParam(tensor, rate, spec.decay_mult, layer.name, index)


def _put(layer: Layer, tensor: torch.Tensor, shape: Shape) -> None:
    """Make a tensor a layer's next parameter, of this shape."""
    if shape == tuple(tensor.shape):
        layer.blobs.append(tensor)
        return
    # Another layer owns it in another shape, as share_mode PERMISSIVE allows.
    tensor.data = tensor.data.contiguous()
    layer.reshaped[len(layer.blobs)] = tensor
    layer.blobs.append(tensor.view(shape))


def _new(
    layer: Layer,
    index: int,
    wanted: Param,
    context: Context,
) -> torch.Tensor:
    try:
        values = layer.initial(index)
        if values is None:
            key = f"{layer.name}/{index}"
            values = fill(wanted.filler, wanted.shape, context.options.seed, key)
    except CaffeError as error:
        raise layer.refuse(str(error)) from None
    tensor = torch.from_numpy(values).to(context.device)
    # Convolutions take filters with adjacent channels. Training on the CPU instead rearranges
    # filters in every pass, which costs 1 %: if all readers of the filters see one order, sums over
    # them stay the same to the last bit.
    trains_on_cpu = context.train and context.device.type == "cpu"
    if tensor.dim() == 4 and not trains_on_cpu:
        return tensor.contiguous(memory_format=torch.channels_last)
    return tensor


def _share(spec: pb.ParamSpec, owner: LearnableParam) -> None:
    """Apply the multipliers that only a later layer gives to the parameter that it shares.

    caffe_ir.walk has checked that multipliers and shapes agree.
    """
    if spec.HasField("lr_mult"):
        owner.lr_mult = spec.lr_mult
    if spec.HasField("decay_mult"):
        owner.decay_mult = spec.decay_mult
