"""Where to compute, from Caffe's -gpu flag."""

from __future__ import annotations

import platform

import torch

from netrun.runtime import log
from ssd_common.errors import CaffeError, UsageError


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
        raise UsageError(f"--gpu {gpu}: give device numbers separated by commas, or 'all'") from None
    if missing := [n for n in numbers if not 0 <= n < count]:
        raise CaffeError(f"--gpu {gpu}: no device {missing[0]}; this machine has 0 to {count - 1}")
    return numbers


def choose(gpu: str | None, cpu: bool = False, default: int | None = None, local: int = 0) -> torch.device:
    """The device of this process. default: the GPU that the solver prototxt asks for, taken where there is CUDA.

    local: the process's number on its machine, which takes as many-th of the GPUs. Raises CaffeError for a GPU that is not there.
    """
    if cpu and gpu:
        raise UsageError("--cpu and --gpu exclude each other")
    numbers = parse(gpu)
    if not numbers and not cpu and default is not None and torch.cuda.is_available():
        numbers = parse("all" if local else str(default))
    if not numbers:
        log.info("Use CPU.", at="caffe.cpp:210")
        return torch.device("cpu")
    if local >= len(numbers):
        raise CaffeError(f"process {local} of this machine has no GPU: there are {len(numbers)} for it to take; start fewer processes")
    number = numbers[local]
    log.info(f"Use GPU with device ID {number}", at="caffe.cpp:270")
    log.info(f"GPU device name: {torch.cuda.get_device_name(number)}", at="caffe.cpp:274")
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def describe(gpu: str | None = None) -> list[str]:
    """What this machine computes with, a line each: PyTorch, the CPU, every GPU.

    gpu: only these, as --gpu has them (default: all). Raises CaffeError for one that is not there.
    """
    wanted = parse(gpu)
    capability = torch.backends.cpu.get_cpu_capability()
    lines = [
        f"PyTorch {torch.__version__}, Python {platform.python_version()}",
        f"CPU: {torch.get_num_threads()} threads, {capability}",
    ]
    if not torch.cuda.is_available():
        lines.append("GPU: none that PyTorch sees")
    return lines + [_describe_gpu(i) for i in wanted or range(torch.cuda.device_count())]


def _describe_gpu(number: int) -> str:
    about = torch.cuda.get_device_properties(number)
    memory = f"{about.total_memory / 2**30:.1f} GiB"
    capability = f"compute capability {about.major}.{about.minor}"
    return f"GPU {number}: {about.name}, {memory}, {capability}, {about.multi_processor_count} SMs"
