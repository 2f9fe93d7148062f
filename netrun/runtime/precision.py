"""The precision of a net: float32 as in Caffe, or faster, with products of fewer bits.

Losses and detections stay float32.
"""

from __future__ import annotations

import torch

from netrun.runtime.options import PRECISIONS
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest


def prepare(precision: str, device: torch.device) -> None:
    """Make the device compute in this precision.

    On a GPU this holds for the whole process: the latest net decides between fp32 and tf32.
    On a CPU numbers below 1.2e-38 count as 0 from now on in this thread and those it starts.
    Raises CaffeError for an unknown precision, and for tf32 on a device that lacks it.
    """
    if precision not in PRECISIONS:
        known = f"{suggest(precision, PRECISIONS)}; there are {', '.join(PRECISIONS)}"
        raise CaffeError(f"unknown precision '{precision}'{known}")
    if precision == "tf32" and device.type != "cuda":
        raise CaffeError("precision tf32 is for NVIDIA GPUs; on the CPU take fp32 or bf16")
    # Weight decay leaves denormal weights, which slow CPUs five times. PyTorch's threads inherit
    # this when the first pass starts them.
    torch.set_flush_denormal(True)
    if device.type == "cuda":  # PyTorch's own default is TF32 for convolutions
        tf32 = precision == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32


def wide(x: torch.Tensor) -> torch.Tensor:
    """Convert a bfloat16 tensor to float32; return any other tensor unchanged."""
    if x.dtype == torch.bfloat16:
        return x.float()
    return x
