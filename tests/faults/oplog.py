"""Reads the shim's log: one Call for each call that changed a file, or failed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

UNCOUNTED = ("close", "syncall")  # they never fail, so they have no number


@dataclass(frozen=True)
class Call:
    """A call, and its arguments as far as it has them.

    number: as Fault.at counts; 0 for calls that never fail.
    name: create, open, write, truncate, sync, syncall, close, rename, unlink or mkdir; "failed" for
      a call that failed by itself.
    flags: those of open, renameat2 or unlinkat.
    data: what is written.
    """

    number: int
    name: str
    fd: int
    offset: int
    flags: int
    data: bytes
    path: str
    target: str

    @property
    def needs_room(self) -> bool:
        """Whether a full disk can refuse it."""
        return self.name in ("create", "write", "truncate", "sync", "rename", "mkdir")


def read(log: Path) -> list[Call]:
    """Read a log."""
    found = []
    number = 0
    with log.open("rb") as file:
        for line in iter(file.readline, b""):
            name, fd, offset, flags, size, more = line.decode().split()
            first = file.read(int(size))
            target = file.read(int(more)).decode()
            place = (int(fd), int(offset), int(flags))
            counted = 0
            if name not in UNCOUNTED:
                number += 1
                counted = number
            data, path = first, ""
            if name != "write":
                data, path = b"", first.decode()
            found.append(Call(counted, name, *place, data, path, target))
    return found
