"""The machine that the figures were measured on: its kind and versions, never its name."""

from __future__ import annotations

import platform
from contextlib import suppress
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import torch

from ssd_common.machine import cores


def describe() -> dict[str, str]:
    """Return label → value, in the order in which a table shows them."""
    model = _proc("/proc/cpuinfo", "model name") or platform.machine()
    capability = torch.backends.cpu.get_cpu_capability()
    memory_kib = _kibibytes("/proc/meminfo", "MemTotal")
    versions = [
        f"Python {platform.python_version()}",
        f"PyTorch {torch.__version__}",
        f"OpenCV {cv2.__version__}",
        f"NumPy {np.__version__}",
    ]
    gpu = "none"
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_name()
        versions.append(f"CUDA {torch.version.cuda}")
        versions.append(f"cuDNN {torch.backends.cudnn.version()}")
    return {
        "date": date.today().isoformat(),
        "CPU": f"{model}, {cores()} cores in use, {capability}",
        "memory": f"{memory_kib / 2**20:.0f} GiB",
        "GPU": gpu,
        "versions": ", ".join(versions),
    }


def memory(field: str) -> int:
    """Return this process's memory in bytes; 0 on a system without /proc.

    field: the kernel's name for it: "VmRSS" (now) or "VmHWM" (the peak so far).
    """
    return _kibibytes("/proc/self/status", field) * 1024


def forget_peak() -> None:
    """Reset VmHWM to the memory in use now.

    Where the kernel does not allow that, the peak stays that of the whole process.
    """
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _kibibytes(path: str, field: str) -> int:
    """Return a field of a file in /proc ("MemTotal:   16384 kB") as a number; 0 without it."""
    value = _proc(path, field)
    if not value:
        return 0
    return int(value.split()[0])


def _proc(path: str, field: str) -> str:
    """Return a field of a file in /proc, "" where the file or the field is missing."""
    if not Path(path).is_file():
        return ""
    for line in Path(path).read_text().splitlines():
        if line.startswith(field):
            return line.split(":")[1].strip()
    return ""
