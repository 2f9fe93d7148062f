"""Memory: whether it ran out, how much is left, and what the C library does with what is freed."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

import torch

from ssd_common.errors import CaffeError

_SAID = (
    "can't allocate memory",
    "Insufficient memory",
    "could not create a memory",
    "bad_alloc",
    "can't start new thread",
    "out of memory",
)
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h


def exhausted(error: BaseException) -> bool:
    """Whether an error says that memory ran out: PyTorch's, NumPy's, OpenCV's, on a CPU or a GPU."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return not isinstance(error, CaffeError) and any(said in str(error) for said in _SAID)


def available(device: torch.device) -> int | None:
    """Bytes that can still be had on a device; None where nothing says so."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min((left for left in (_of_process(), _of_group(), _of_machine()) if left is not None), default=None)


def _of_process() -> int | None:
    """What `ulimit -v` leaves."""
    try:
        import resource  # noqa: PLC0415 - not on every system

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError, ValueError):
        return None
    return None if limit == resource.RLIM_INFINITY else max(limit - used, 0)


def _of_group() -> int | None:
    """What a container or a batch system leaves (cgroups, version 2 and 1). Cached files count as free."""
    for limit, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        root = Path("/sys/fs/cgroup")
        try:
            statistics = dict(line.split() for line in (root / limit).with_name("memory.stat").read_text().splitlines())
            return max(int((root / limit).read_text()) - int((root / used).read_text()) + int(statistics[cached]), 0)
        except (OSError, ValueError, KeyError):
            continue
    return None


def _of_machine() -> int | None:
    try:
        words = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return sum(int(words[name].split()[0]) * 1024 for name in ("MemAvailable", "SwapFree"))
    except (OSError, ValueError, KeyError):
        return None


def hold_freed() -> None:
    """Have glibc's malloc keep what is freed instead of taking it from the kernel anew, page by page, with every pass; 5 % of its time."""
    with suppress(AttributeError, OSError, TypeError):  # another C library
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, 32 << 20)
        library.mallopt(_TRIM_THRESHOLD, 256 << 20)


def give_back_freed() -> None:
    """Return to the kernel what is free now, after something large that will not be wanted again: a file of weights."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
