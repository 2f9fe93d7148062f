"""A net's parameters: allocated from the layer rules, filled, and shared where two layers give them one name."""

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
    """A parameter that layer `layer` owns as its blob `index`; lr_mult 0 marks what the solver leaves alone (BatchNorm's always)."""

    tensor: torch.Tensor
    lr_mult: float
    decay_mult: float
    layer: str
    index: int


def allocate(layers: Sequence[Layer], all_facts: Sequence[Facts], context: Context, force_backward: bool) -> list[LearnableParam]:
    """Give every layer its blobs, new ones filled; return all that some layer owns, in Caffe's order.

    force_backward: gradients even where lr_mult is 0. Raises LayerError for a filler that is none.
    """
    owned: list[LearnableParam] = []
    named: dict[str, LearnableParam] = {}
    for layer, facts in zip(layers, all_facts, strict=True):
        for i, wanted in enumerate(facts.params):
            spec = layer.param.param[i] if i < len(layer.param.param) else pb.ParamSpec()
            owner = named.get(spec.name)
            if owner is None:
                rate = spec.lr_mult if wanted.learnable else 0.0
                owner = LearnableParam(_new(layer, i, wanted, context), rate, spec.decay_mult, layer.name, i)
                owned.append(owner)
                if spec.name:
                    named[spec.name] = owner
            else:
                _share(spec, owner)
            owner.tensor.requires_grad_(wanted.learnable and (owner.lr_mult != 0 or force_backward))
            if tuple(wanted.shape) != tuple(owner.tensor.shape):  # share_mode: PERMISSIVE
                owner.tensor.data = owner.tensor.data.contiguous()
                layer.reshaped[i] = owner.tensor
            layer.blobs.append(owner.tensor.view(tuple(wanted.shape)) if i in layer.reshaped else owner.tensor)
    return owned


def _new(layer: Layer, index: int, wanted: Param, context: Context) -> torch.Tensor:
    try:
        values = layer.initial(index)
        if values is None:
            values = fill(wanted.filler, wanted.shape, context.options.seed, f"{layer.name}/{index}")
    except CaffeError as error:
        raise layer.refuse(str(error)) from None
    tensor = torch.from_numpy(values).to(context.device)
    # Convolutions take channels that lie next to each other. Training on the CPU rearranges filters with every pass instead (1 %):
    # in one order for good, whoever looks at them, sums over them stay the same to the last bit.
    arranged = tensor.dim() == 4 and not (context.train and context.device.type == "cpu")
    return tensor.contiguous(memory_format=torch.channels_last) if arranged else tensor


def _share(spec: pb.ParamSpec, owner: LearnableParam) -> None:
    """Multipliers that only a later sharer states hold for all; that they and shapes agree, caffe_ir.walk has seen to."""
    if spec.HasField("lr_mult"):
        owner.lr_mult = spec.lr_mult
    if spec.HasField("decay_mult"):
        owner.decay_mult = spec.decay_mult
