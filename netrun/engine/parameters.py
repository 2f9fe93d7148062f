"""A net's parameters: allocated by the layer rules, filled, shared between layers.

Two layers share a parameter to which both give the same name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import Facts, Param
from netrun.layers import Context, Layer
from netrun.layers.fillers import fill
from ssd_common.errors import CaffeError


@dataclass
class LearnableParam:
    """A parameter that layer `layer` owns as its blob `index`.

    tensor: a leaf; its `.grad` is None where no gradient reached it.
    lr_mult: times the solver's rate; 0 for what it leaves alone, as BatchNorm's sums always.
    decay_mult: times the solver's weight decay.
    """

    tensor: torch.Tensor
    lr_mult: float
    decay_mult: float
    layer: str
    index: int


def allocate(
    layers: Sequence[Layer], all_facts: Sequence[Facts], context: Context, force_backward: bool
) -> list[LearnableParam]:
    """Give every layer its blobs, and fill new ones.

    all_facts: of each layer. force_backward: gradients even where lr_mult is 0.
    Returns the parameters that some layer owns, in Caffe's order.
    Raises LayerError for a filler that Caffe has not.
    """
    owned: list[LearnableParam] = []
    named: dict[str, LearnableParam] = {}
    for layer, facts in zip(layers, all_facts, strict=True):
        for i, wanted in enumerate(facts.params):
            spec = layer.param.param[i] if i < len(layer.param.param) else pb.ParamSpec()
            owner = named.get(spec.name)
            if owner is None:
                rate = spec.lr_mult if wanted.learnable else 0.0
                tensor = _new(layer, i, wanted, context)
                owner = LearnableParam(tensor, rate, spec.decay_mult, layer.name, i)
                owned.append(owner)
                if spec.name:
                    named[spec.name] = owner
            else:
                _share(spec, owner)
            owner.tensor.requires_grad_(wanted.learnable and (owner.lr_mult != 0 or force_backward))
            if tuple(wanted.shape) != tuple(owner.tensor.shape):  # share_mode: PERMISSIVE
                owner.tensor.data = owner.tensor.data.contiguous()
                layer.reshaped[i] = owner.tensor
                layer.blobs.append(owner.tensor.view(tuple(wanted.shape)))
            else:
                layer.blobs.append(owner.tensor)
    return owned


def _new(layer: Layer, index: int, wanted: Param, context: Context) -> torch.Tensor:
    try:
        values = layer.initial(index)
        if values is None:
            key = f"{layer.name}/{index}"
            values = fill(wanted.filler, wanted.shape, context.options.seed, key)
    except CaffeError as error:
        raise layer.refuse(str(error)) from None
    tensor = torch.from_numpy(values).to(context.device)
    # Convolutions take channels that lie next to each other. Training on the CPU rearranges filters
    # with every pass instead (1 %): while they lie in one order, whoever looks at them, sums over
    # them stay the same to the last bit.
    trains_on_cpu = context.train and context.device.type == "cpu"
    if tensor.dim() == 4 and not trains_on_cpu:
        return tensor.contiguous(memory_format=torch.channels_last)
    return tensor


def _share(spec: pb.ParamSpec, owner: LearnableParam) -> None:
    """Have multipliers that only a later sharer states hold for all.

    caffe_ir.walk has checked that multipliers and shapes agree.
    """
    if spec.HasField("lr_mult"):
        owner.lr_mult = spec.lr_mult
    if spec.HasField("decay_mult"):
        owner.decay_mult = spec.decay_mult
