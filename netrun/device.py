"""Where to compute, from Caffe's -gpu flag."""

from __future__ import annotations

import torch

from caffe_ir.errors import CaffeError
from netrun import log


def parse(gpu: str | None) -> list[int]:
    """GPU numbers from `0`, `0,1` or `all`; empty without the flag. Raises CaffeError where this machine lacks one of them."""
    if not gpu:
        return []
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise CaffeError(f"--gpu {gpu}: PyTorch sees no CUDA device here; leave --gpu out to run on the CPU")
    if gpu == "all":
        return list(range(count))
    try:
        numbers = [int(n) for n in gpu.split(",")]
    except ValueError:
        raise CaffeError(f"--gpu {gpu}: give device numbers separated by commas, or 'all'") from None
    if missing := [n for n in numbers if not 0 <= n < count]:
        raise CaffeError(f"--gpu {gpu}: no device {missing[0]}; this machine has 0 to {count - 1}")
    return numbers


def choose(gpu: str | None, cpu: bool = False, default: int | None = None) -> torch.device:
    """The device of a single-process run. default: the GPU that the solver prototxt asks for, taken where there is CUDA.

    Raises CaffeError for a GPU that is not there, and for several of them.
    """
    if cpu and gpu:
        raise CaffeError("--cpu and --gpu exclude each other")
    numbers = parse(gpu)
    if len(numbers) > 1:
        raise CaffeError(f"--gpu {gpu}: netrun runs on one GPU for now; give one number and raise iter_size to keep the batch")
    if not numbers and not cpu and default is not None and torch.cuda.is_available():
        numbers = parse(str(default))
    if not numbers:
        log.info("Use CPU.", at="caffe.cpp:210")
        return torch.device("cpu")
    log.info(f"Use GPU with device ID {numbers[0]}", at="caffe.cpp:270")
    log.info(f"GPU device name: {torch.cuda.get_device_name(numbers[0])}", at="caffe.cpp:274")
    return torch.device("cuda", numbers[0])
