"""Finds the process that trains a run, by Linux's /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_WRITES = os.O_WRONLY | os.O_RDWR


def trainer_of(folder: Path, log: Path) -> int | None:
    """The id of the process that trains the run of this folder; None where there is none.

    It is the one that was started as `netrun train` or `caffe train` with a solver of this
    folder, else one that has the log open for writing. Other systems than Linux: None.
    """
    pids = list(_processes())
    trainers = [pid for pid in pids if _trains(pid, folder)]
    if not trainers and log.is_file():
        trainers = [pid for pid in pids if pid != os.getpid() and _writes(pid, log)]
    children = [pid for pid in trainers if _parent(pid) in trainers]
    first = [pid for pid in trainers if pid not in children]
    return min(first, default=None)


def _processes() -> Iterator[int]:
    with suppress(OSError):
        for entry in _PROC.iterdir():
            if entry.name.isdigit():
                yield int(entry.name)


def _trains(pid: int, folder: Path) -> bool:
    """Whether the process's command line is `… train … --solver FILE`, FILE in this folder."""
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        start = Path(os.readlink(_PROC / str(pid) / "cwd"))
    except OSError:
        return False
    if "train" not in words:
        return False
    return any((start / solver).resolve().parent == folder.resolve() for solver in _solvers(words))


def _solvers(words: list[str]) -> Iterator[str]:
    """The values of --solver in gflags' spellings."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, _, value = word.partition("=")
        if name in ("-solver", "--solver"):
            yield value or following


def _writes(pid: int, log: Path) -> bool:
    """Whether the process has this file open for writing."""
    with suppress(OSError):
        wanted = log.stat()
        for handle in (_PROC / str(pid) / "fd").iterdir():
            if _same(handle, wanted) and _open_for_writing(pid, handle.name):
                return True
    return False


def _same(handle: Path, wanted: os.stat_result) -> bool:
    with suppress(OSError):
        return os.path.samestat(handle.stat(), wanted)
    return False


def _open_for_writing(pid: int, handle: str) -> bool:
    with suppress(OSError):
        for line in (_PROC / str(pid) / "fdinfo" / handle).read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "flags":
                return bool(int(value, 8) & _WRITES)
    return False


def _parent(pid: int) -> int | None:
    with suppress(OSError):
        for line in (_PROC / str(pid) / "status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "PPid":
                return int(value)
    return None
