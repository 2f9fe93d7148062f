"""Draws the images for testing, so that no group of them is divided."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from data_prep.images.identical import identical
from data_prep.sources.source import Item
from ssd_common.errors import CaffeError

# Roboflow's copies of one photograph: a_jpg.rf.0123….jpg.
_ROBOFLOW = re.compile(r"(_(jpe?g|png|bmp|webp|tiff?))?\.rf\.[0-9A-Za-z]{16,}$")
# Its frames of a video: walk_mp4-12_jpg.rf.0123….jpg.
_FRAME = re.compile(r"(?<=_(mp4|mov|avi|mkv|m4v))-\d+$|(?<=_webm)-\d+$", re.IGNORECASE)
_NUMBER = re.compile(r"[\W_]*\d+\W*$")


def _folder(image: str) -> str:
    """Return the folder of an image."""
    return str(PurePosixPath(image).parent)


def _prefix(image: str) -> str:
    """Return an image's path without the number at its end: `a/walk` of a/walk_0012.jpg."""
    path = PurePosixPath(image)
    stem = _ROBOFLOW.sub("", path.stem)
    if stem == path.stem:
        stem = _NUMBER.sub("", stem)
    else:
        stem = _FRAME.sub("", stem)
    return f"{path.parent}/{stem}"


GROUPS: Mapping[str, Callable[[str], str]] = {"folder": _folder, "prefix": _prefix}


def draw(
    root: Path,
    items: list[Item],
    share: float,
    seed: int,
    group_by: str | None = None,
    *,
    confine: bool = False,
) -> tuple[list[Item], list[Item]]:
    """Divide items into a share for testing and the rest for training, both in their order.

    Seed and image name decide, so that photographs that are added later hardly move others. Images
    with the same content stay together.

    share: above 0 and below 1.
    group_by: what else stays together, a name in GROUPS.
    confine: open no image outside the root.
    Raises CaffeError for fewer than two items or groups.
    """
    if len(items) < 2:
        raise CaffeError("one image alone cannot be both for training and for testing")
    groups = _Groups(len(items))
    for together in _identical(root, items, confine):
        groups.join(together)
    if group_by:
        for together in _of_one_key(items, GROUPS[group_by]):
            groups.join(together)
    chosen = _chosen(groups.all(), items, share, seed)
    train = [item for i, item in enumerate(items) if i not in chosen]
    test = [items[i] for i in sorted(chosen)]
    return train, test


def _identical(root: Path, items: list[Item], confine: bool) -> list[list[int]]:
    """Return the groups of items whose images have the same content."""
    paths = [os.path.join(root, item.image) for item in items]
    if confine:
        inside = os.path.join(os.path.realpath(root), "")
        is_inside = [os.path.realpath(path).startswith(inside) for path in paths]
        # An empty path cannot be opened.
        paths = [path * known for path, known in zip(paths, is_inside, strict=True)]
    return identical(paths)


def _of_one_key(items: list[Item], key: Callable[[str], str]) -> Iterable[list[int]]:
    """Return the groups of items whose images have the same key."""
    found: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        found.setdefault(key(item.image), []).append(index)
    return found.values()


def _chosen(groups: list[list[int]], items: list[Item], share: float, seed: int) -> set[int]:
    """Return the items for testing: whole groups, no more than the share but at least one.

    Raises CaffeError where there is but one group.
    """
    if len(groups) < 2:
        raise CaffeError(
            "all images belong together (the same pictures, or one group of --group-by):"
            " they cannot be both for training and for testing"
        )

    def key(index: int) -> bytes:
        words = f"{seed} {items[index].image}"
        return hashlib.sha256(words.encode("utf-8", "surrogateescape")).digest()

    drawn = sorted(groups, key=lambda group: min(map(key, group)))
    wanted = max(round(share * len(items)), 1)
    chosen: set[int] = set()
    for group in drawn:
        if len(chosen) + len(group) <= min(wanted, len(items) - 1):
            chosen.update(group)
    smallest: list[int] = min(drawn, key=len)
    return chosen or set(smallest)


class _Groups:
    """Numbers, each in a group with those that it was joined with. count: they go from 0."""

    def __init__(self, count: int) -> None:
        self._first = list(range(count))

    def join(self, numbers: Iterable[int]) -> None:
        """Join the groups of some numbers."""
        firsts = [self._find(number) for number in numbers]
        for first in firsts:
            self._first[first] = min(firsts)

    def _find(self, number: int) -> int:
        """Return the first number of a number's group."""
        while self._first[number] != number:
            self._first[number] = self._first[self._first[number]]
            number = self._first[number]
        return number

    def all(self) -> list[list[int]]:
        """Return every group."""
        found: dict[int, list[int]] = {}
        for number in range(len(self._first)):
            found.setdefault(self._find(number), []).append(number)
        return list(found.values())
