"""Finds the process that trains a run, through Linux's /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

_PROC = Path("/proc")
_WRITES = os.O_WRONLY | os.O_RDWR


def trainer_of(folder: Path, log: Path) -> int | None:
    """Find the process that trains the run in this folder.

    It is a `netrun train` or `caffe train` with a solver of this folder, or else a process that has
    the log open for writing. Of several, it is the one that started the others.
    Returns its id; None where no process trains the run, and on systems other than Linux.
    """
    pids = list(_processes())
    trainers = [pid for pid in pids if _trains(pid, folder)]
    if not trainers and log.is_file():
        others = [pid for pid in pids if pid != os.getpid()]
        trainers = [pid for pid in others if _writes(pid, log)]
    first = [pid for pid in trainers if _parent(pid) not in trainers]
    return min(first, default=None)


def _processes() -> Iterator[int]:
    with suppress(OSError):
        for entry in _PROC.iterdir():
            if entry.name.isdigit():
                yield int(entry.name)


def _trains(pid: int, folder: Path) -> bool:
    """Whether the process's command line is `… train … --solver FILE`, FILE in this folder."""
    process = _PROC / str(pid)
    try:
        line = (process / "cmdline").read_bytes().decode("utf-8", "replace")
        start = Path(os.readlink(process / "cwd"))
    except OSError:
        return False
    words = line.split("\0")
    if "train" not in words:
        return False
    folders = [(start / solver).resolve().parent for solver in _solvers(words)]
    return folder.resolve() in folders


def _solvers(words: list[str]) -> Iterator[str]:
    """The values of --solver, in each of gflags' spellings."""
    for word, following in pairwise([*words, ""]):
        name, _, value = word.partition("=")
        if name in ("-solver", "--solver"):
            yield value or following


def _writes(pid: int, log: Path) -> bool:
    """Tell whether the process has this file open for writing."""
    with suppress(OSError):
        wanted = log.stat()
        for handle in (_PROC / str(pid) / "fd").iterdir():
            if _same(handle, wanted) and _open_for_writing(pid, handle.name):
                return True
    return False


def _same(handle: Path, wanted: os.stat_result) -> bool:
    """Tell whether an open file of a process is the wanted one."""
    with suppress(OSError):
        return os.path.samestat(handle.stat(), wanted)
    return False


def _open_for_writing(pid: int, handle: str) -> bool:
    """Tell whether a process has opened a file for writing.

    handle: the file's number in the process.
    """
    with suppress(OSError):
        flags = _entry(_PROC / str(pid) / "fdinfo" / handle, "flags")
        if flags is not None:
            return bool(int(flags, 8) & _WRITES)
    return False


def _parent(pid: int) -> int | None:
    with suppress(OSError):
        parent = _entry(_PROC / str(pid) / "status", "PPid")
        if parent is not None:
            return int(parent)
    return None


def _entry(path: Path, wanted: str) -> str | None:
    """The value of a `name: value` line of a file; None without one."""
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == wanted:
            return value
    return None
