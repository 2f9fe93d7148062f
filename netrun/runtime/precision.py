"""How exactly a net computes: float32 as Caffe does, or faster with matrix products of fewer bits. Losses and detections stay float32."""

from __future__ import annotations

import torch

from netrun.runtime.options import PRECISIONS
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest


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


def wide(x: torch.Tensor) -> torch.Tensor:
    """The tensor in float32 if it was bfloat16."""
    return x.float() if x.dtype == torch.bfloat16 else x
