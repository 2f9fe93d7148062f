"""Finds files with the same content, and reads no more of them than it takes."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Hashable, Sequence

PIECE = 4096  # bytes at the start and at the end that are compared first
CHUNK = 1 << 20  # bytes read at a time


def identical(paths: Sequence[str]) -> list[list[int]]:
    """Return the groups of files with the same content, each as places in `paths`.

    Files are compared by size, then by start and end, and by their whole content only where these
    are the same. What cannot be read is in no group.
    """
    # It is slow to load, and help does without.
    from tqdm import tqdm  # noqa: PLC0415

    groups = [list(range(len(paths)))]
    for key in (_size, _ends, _content):
        found: list[list[int]] = []
        count = sum(map(len, groups))
        progress = tqdm(total=count, desc="compared", unit=" files", disable=None, leave=False)
        with progress:
            for group in groups:
                found += _split(paths, group, key)
                progress.update(len(group))
        groups = found
    return groups


def _split(
    paths: Sequence[str], group: list[int], key: Callable[[str], Hashable]
) -> list[list[int]]:
    """Split a group into those of one key; leave out what is alone, and what cannot be read."""
    found: dict[Hashable, list[int]] = {}
    for place in group:
        try:
            value = key(paths[place])
        except OSError:
            continue
        if value is not None:
            found.setdefault(value, []).append(place)
    return [places for places in found.values() if len(places) > 1]


def _size(path: str) -> int | None:
    """Return the size of a regular file in bytes; None for anything else, and for an empty one."""
    known = os.stat(path)
    if not stat.S_ISREG(known.st_mode):
        return None
    return known.st_size or None


def _ends(path: str) -> bytes:
    """Return the start and the end of a file."""
    with open(path, "rb") as file:
        start = file.read(PIECE)
        file.seek(-min(PIECE, os.fstat(file.fileno()).st_size), os.SEEK_END)
        return hashlib.sha256(start + file.read(PIECE)).digest()


def _content(path: str) -> bytes:
    """Return a fingerprint of a file's content."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.digest()
