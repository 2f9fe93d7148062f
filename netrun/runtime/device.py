"""Chooses the device, as Caffe's -gpu flag does."""

from __future__ import annotations

import platform

import torch

from netrun.runtime import log
from ssd_common.errors import CaffeError, UsageError
from ssd_common.words import memory_size


def parse(gpu: str | None) -> list[int]:
    """Read the value of --gpu: `0`, `0,1` or `all`.

    Returns the GPUs' numbers; an empty list without the flag.
    Raises CaffeError where this machine lacks one of them, UsageError for any other value.
    """
    if not gpu:
        return []
    numbers = _numbers(gpu)
    count = _gpu_count()
    if count == 0:
        none = "PyTorch sees no CUDA device here; leave --gpu out to run on the CPU"
        raise CaffeError(f"--gpu {gpu}: {none}")
    if numbers is None:
        return list(range(count))
    for number in numbers:
        if not 0 <= number < count:
            known = f"this machine has 0 to {count - 1}"
            raise CaffeError(f"--gpu {gpu}: no device {number}; {known}")
    return numbers


def _numbers(gpu: str) -> list[int] | None:
    """The numbers in the value of --gpu; None for `all`. Raises UsageError for other words."""
    if gpu == "all":
        return None
    try:
        return [int(word) for word in gpu.split(",")]
    except ValueError:
        form = "give device numbers separated by commas, or 'all'"
        raise UsageError(f"--gpu {gpu}: {form}") from None


def _gpu_count() -> int:
    if not torch.cuda.is_available():
        return 0
    return torch.cuda.device_count()


def choose(
    gpu: str | None,
    cpu: bool = False,
    default: int | None = None,
    local: int = 0,
) -> torch.device:
    """Choose the device of this process, and log it.

    gpu: the value of --gpu.
    cpu: whether the user gave --cpu.
    default: the GPU that the solver prototxt asks for, used if there is CUDA.
    local: the process's number on its machine; it takes the GPU at that position in the list.
    Raises UsageError for both flags, CaffeError for a GPU that does not exist.
    """
    if cpu and gpu:
        raise UsageError("--cpu and --gpu exclude each other")
    numbers = parse(gpu)
    by_default = not numbers and not cpu and default is not None
    if by_default and torch.cuda.is_available():
        numbers = parse("all" if local else str(default))
    if not numbers:
        log.info("Use CPU.", at="caffe.cpp:210")
        return torch.device("cpu")
    if local >= len(numbers):
        there = f"there are {len(numbers)} for it to take; start fewer processes"
        raise CaffeError(f"process {local} of this machine has no GPU: {there}")
    number = numbers[local]
    name = torch.cuda.get_device_name(number)
    log.info(f"Use GPU with device ID {number}", at="caffe.cpp:270")
    log.info(f"GPU device name: {name}", at="caffe.cpp:274")
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def describe(gpu: str | None = None) -> list[str]:
    """Describe what this machine computes with, a line each: PyTorch, the CPU, every GPU.

    gpu: only these GPUs, in the form of --gpu (default: all).
    Raises CaffeError for a GPU that does not exist.
    """
    wanted = parse(gpu)
    capability = torch.backends.cpu.get_cpu_capability()
    lines = [
        f"PyTorch {torch.__version__}, Python {platform.python_version()}",
        f"CPU: {torch.get_num_threads()} threads, {capability}",
    ]
    if not torch.cuda.is_available():
        lines.append("GPU: none that PyTorch sees")
    for number in wanted or range(torch.cuda.device_count()):
        lines.append(_describe_gpu(number))
    return lines


def _describe_gpu(number: int) -> str:
    about = torch.cuda.get_device_properties(number)
    memory = memory_size(about.total_memory)
    capability = f"compute capability {about.major}.{about.minor}"
    processors = f"{about.multi_processor_count} SMs"
    return f"GPU {number}: {about.name}, {memory}, {capability}, {processors}"
