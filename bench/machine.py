"""What the figures were measured on: kind of machine and versions, never its name."""

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
    """Label -> value, in the order in which a table shows them."""
    model = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory = next((int(line.split()[1]) / 2**20 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0.0)
    found = {
        "date": date.today().isoformat(),
        "CPU": f"{model}, {cores()} cores in use, {torch.backends.cpu.get_cpu_capability()}",
        "memory": f"{memory:.0f} GiB",
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "versions": f"Python {platform.python_version()}, PyTorch {torch.__version__}, OpenCV {cv2.__version__}, NumPy {np.__version__}",
    }
    if torch.cuda.is_available():
        found["versions"] += f", CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    return found


def memory(field: str) -> int:
    """Bytes of this process's memory by the kernel's name: VmRSS (now) or VmHWM (at most, so far). 0 where there is no /proc."""
    return next((int(line.split()[1]) * 1024 for line in _lines("/proc/self/status") if line.startswith(field)), 0)


def forget_peak() -> None:
    """Have VmHWM start from what is used now. Where the kernel does not let us, the peak is that of the whole process."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).is_file() else []
