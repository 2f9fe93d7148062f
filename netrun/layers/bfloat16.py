"""Which layers of a bf16 net multiply in bfloat16, pass bfloat16 on, or take float32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from caffe_ir import caffe_ir_pb2 as pb
from netrun.layers.registry import Tensors
from netrun.runtime.precision import wide

_MULTIPLY = frozenset(
    {
        "Convolution",
        "ConvolutionDepthwise",
        "DepthwiseConvolution",
        "Deconvolution",
        "InnerProduct",
    }
)
_PASS_ON = frozenset(
    {
        "ReLU",
        "ReLU6",
        "Pooling",
        "BatchNorm",
        "Eltwise",
        "Concat",
        "Split",
        "Slice",
        "Crop",
        "Permute",
        "Flatten",
        "Reshape",
    }
)


def bottoms_for(layer: pb.LayerParameter, bottoms: Tensors) -> Tensors:
    """The bottoms as a layer of a bf16 net takes them: unchanged, or in float32."""
    with_mask = layer.type == "Pooling" and len(layer.top) > 1
    passes_on = layer.type in _PASS_ON and not with_mask
    if layer.type in _MULTIPLY or passes_on:
        return bottoms
    return [wide(x) for x in bottoms]


def arithmetic(
    layer: pb.LayerParameter,
    device: torch.device,
) -> AbstractContextManager[object]:
    """The context in which a layer of a bf16 net computes.

    It rounds the factors of layers that multiply, and does nothing for the others.
    """
    if layer.type in _MULTIPLY:
        return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)
    return nullcontext()
