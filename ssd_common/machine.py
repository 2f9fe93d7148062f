"""This machine: the cores and the memory that a process may use, and which processes run."""

from __future__ import annotations

import gc
import os
import platform
import zlib

from ssd_common.errors import CaffeError
from ssd_common.words import memory_size


def cores() -> int:
    """Count the cores that this process may use, by its affinity where the system has one."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def collect_rarely() -> None:
    """Let Python look for cyclic garbage rarely.

    It goes through every object again and again, which takes most of the time where a large file
    becomes millions of them.
    """
    gc.set_threshold(50_000, 20, 20)


def require_address_space(least: int) -> None:
    """Refuse to go on where `ulimit -v` allows less than libraries take that are yet to load.

    Some of them crash where they find too little, and no error can be caught.
    least: bytes.
    Raises CaffeError.
    """
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < least:
        allowed = f"ulimit -v allows {memory_size(limit)}"
        raise CaffeError(f"out of memory: the libraries take {memory_size(least)}, {allowed}")


def host() -> str:
    """Return this machine's name in its network."""
    return platform.node()


def is_running(pid: int) -> bool:
    """Tell whether there is a process of that number on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def signature() -> str:
    """Return this process's number and eight digits for its machine, as a part of a file's name."""
    return f"{os.getpid()}-{_host_digits()}"


def has_ended(signature: str) -> bool:
    """Tell whether the process of this signature has certainly ended.

    So has one of this process's number: an earlier one, or in another container. Let the caller
    know what is this process's own.
    """
    pid, _, digits = signature.partition("-")
    if digits != _host_digits() or not pid.isdecimal():
        return False
    return int(pid) == os.getpid() or not is_running(int(pid))


def _host_digits() -> str:
    return f"{zlib.crc32(host().encode()):08x}"
