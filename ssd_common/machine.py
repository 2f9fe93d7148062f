"""This machine: the cores that a process may use, and which processes run."""

from __future__ import annotations

import os
import platform
import zlib


def cores() -> int:
    """Count the cores that this process may use, by its affinity where the system has one."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def host() -> str:
    """Return this machine's name in its network."""
    return platform.node()


def short_host() -> str:
    """Return eight hexadecimal digits for this machine's name, short enough for a file's name."""
    return f"{zlib.crc32(host().encode()):08x}"


def is_running(pid: int) -> bool:
    """Tell whether there is a process of that number on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
