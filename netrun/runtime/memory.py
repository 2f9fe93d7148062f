"""Memory: whether it ran out, how much is left, and whether the C library keeps freed memory."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

import torch

from ssd_common.errors import CaffeError

# Words in the messages of PyTorch, OpenCV, oneDNN, C++ and Python.
_PHRASES = (
    "can't allocate memory",
    "Insufficient memory",
    "could not create a memory",
    "could not create a primitive",
    "bad_alloc",
    "can't start new thread",
    "out of memory",
)
# Options of mallopt(), from malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_CGROUPS = Path("/sys/fs/cgroup")
# For cgroups 2 and 1: the file of the limit, that of the usage, and memory.stat's name for cached
# files.
_CGROUP_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)


def exhausted(error: BaseException) -> bool:
    """Tell whether an error means that memory ran out.

    error: from PyTorch, NumPy, OpenCV or the system, on a CPU or a GPU; a CaffeError never counts.
    """
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    if isinstance(error, CaffeError):
        return False
    message = str(error)
    return any(phrase in message for phrase in _PHRASES)


def available(device: torch.device) -> int | None:
    """How much memory this process can still take on a device.

    Returns bytes; None if unknown.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + cached
    limits = (_left_to_process(), _left_to_group(), _left_to_machine())
    return min((left for left in limits if left is not None), default=None)


def _left_to_process() -> int | None:
    """What `ulimit -v` leaves, in bytes."""
    try:
        import resource  # noqa: PLC0415 - not on every system

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        used = pages * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError, ValueError):
        return None
    if limit == resource.RLIM_INFINITY:
        return None
    return max(limit - used, 0)


def _left_to_group() -> int | None:
    """What a container or a batch system leaves (cgroups, version 2 and 1), in bytes."""
    for files in _CGROUP_FILES:
        with suppress(OSError, ValueError, KeyError):
            return _left_in_group(*files)
    return None


def _left_in_group(limit: str, used: str, cached: str) -> int:
    """The limit less the usage; cached files count as free."""
    statistics = {}
    for line in (_CGROUPS / limit).with_name("memory.stat").read_text().splitlines():
        name, value = line.split()
        statistics[name] = value
    allowed = int((_CGROUPS / limit).read_text())
    taken = int((_CGROUPS / used).read_text())
    return max(allowed - taken + int(statistics[cached]), 0)


def _left_to_machine() -> int | None:
    """Free memory and swap, in bytes."""
    sizes = {}
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            name, value = line.split(":")
            sizes[name] = value
        kibibytes = int(sizes["MemAvailable"].split()[0]) + int(sizes["SwapFree"].split()[0])
    except (OSError, ValueError, KeyError):
        return None
    return kibibytes * 1024


def hold_freed() -> None:
    """Make glibc's malloc keep freed memory.

    By default, every pass gets large pieces from the kernel again, page by page, which costs 5 % of
    its time.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, 32 << 20)
        library.mallopt(_TRIM_THRESHOLD, 256 << 20)


def give_back_freed() -> None:
    """Return free memory to the kernel.

    Call it after something large that is not needed again, such as reading a file of weights.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
