"""How exactly a net computes: float32 as Caffe does, or faster with matrix products of fewer bits. Losses and detections stay float32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from caffe_ir import caffe_ir_pb2 as pb
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

# fp32: faithful to Caffe. tf32: float32 whose products an NVIDIA GPU takes with 10 bits of mantissa. bf16: weights and bottoms of the
# types below are rounded to bfloat16 (8 bits of mantissa) before they are multiplied; parameters, gradients and updates stay float32.
PRECISIONS = ("fp32", "bf16", "tf32")
_MULTIPLY = {"Convolution", "Deconvolution", "InnerProduct"}
_PASS_ON = {"ReLU", "Pooling", "BatchNorm", "Eltwise", "Concat", "Split", "Slice", "Crop", "Permute", "Flatten", "Reshape"}


def prepare(precision: str, device: torch.device) -> None:
    """Have the device compute so; on a GPU this holds for the whole process, and the latest net decides between fp32 and tf32.

    Raises CaffeError for an unknown precision, and for tf32 on a device without.
    """
    if precision not in PRECISIONS:
        raise CaffeError(f"unknown precision '{precision}'{suggest(precision, PRECISIONS)}; there are {', '.join(PRECISIONS)}")
    if precision == "tf32" and device.type != "cuda":
        raise CaffeError("precision tf32 is for NVIDIA GPUs; on the CPU take fp32 or bf16")
    if device.type == "cuda":  # PyTorch's own default is TF32 for convolutions
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.allow_tf32 = precision == "tf32"


def bottoms_for(layer: pb.LayerParameter, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
    """The bottoms as a layer of a bf16 net takes them: as they come, or in float32."""
    if layer.type in _MULTIPLY or (layer.type in _PASS_ON and not (layer.type == "Pooling" and len(layer.top) > 1)):
        return bottoms
    return [wide(x) for x in bottoms]


def wide(x: torch.Tensor) -> torch.Tensor:
    """The tensor in float32 if it was bfloat16."""
    return x.float() if x.dtype == torch.bfloat16 else x


def arithmetic(layer: pb.LayerParameter, device: torch.device) -> AbstractContextManager[object]:
    """The context in which a layer of a bf16 net computes: one that rounds what it multiplies, or none."""
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False) if layer.type in _MULTIPLY else nullcontext()
