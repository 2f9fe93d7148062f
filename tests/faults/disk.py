"""A file system that loses what was not synced: all that a crash may leave of a run's calls.

It promises no more than POSIX: data are safe once their file is synced, a name once its folder is.
Any of the other changes may or may not have reached the disk, in any order.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.faults.oplog import Call

Tree = dict[str, bytes | None]  # content by path below the folder; None for a folder
_TOP = 0  # the folder's number
_EXCHANGE = 2  # renameat2's RENAME_EXCHANGE
_SUBSETS = 3  # random ones of every moment


@dataclass
class _Node:
    """A file's bytes, or a folder's names with the number of each, as they are on the disk."""

    is_folder: bool = False
    data: bytes = b""
    names: dict[str, int] = field(default_factory=dict)

    def copy(self) -> _Node:
        return _Node(self.is_folder, self.data, dict(self.names))


@dataclass(frozen=True)
class _Change:
    """A change that is not on the disk yet.

    nodes: whose sync puts it there.
    data: written at `offset`; None: cut there.
    gone, come: (folder, name, number) of names that disappear and appear.
    """

    nodes: tuple[int, ...]
    offset: int = 0
    data: bytes | None = None
    gone: tuple[tuple[int, str, int], ...] = ()
    come: tuple[tuple[int, str, int], ...] = ()

    @property
    def of_names(self) -> bool:
        return bool(self.gone or self.come)


class Disk:
    """Follows the calls of a run on the files of a folder.

    folder: its path.
    tree: what it holds before, all on the disk.
    """

    def __init__(self, folder: str, tree: Tree) -> None:
        self._folder = folder
        self._nodes = {_TOP: _Node(is_folder=True)}
        self._now: dict[tuple[int, str], int] = {}  # names as the processes see them
        self._pending: list[_Change] = []
        self._files: dict[int, int] = {}  # by descriptor
        for path, data in sorted(tree.items()):
            parent, name = self._place(os.path.join(folder, path))
            number = self._new(is_folder=data is None)
            self._nodes[number].data = data or b""
            self._nodes[parent].names[name] = number
            self._now[parent, name] = number

    def follow(self, call: Call) -> None:
        """Take in the next call."""
        if call.name != "failed":
            getattr(self, f"_{call.name}")(call)

    def states(self, coming: Call | None) -> Iterator[Tree]:
        """List what the disk may hold if the power goes now; a state may occur twice.

        coming: the call that is being made, of which half may be done.
        """
        pending = self._pending
        yield self.synced()
        yield self._tree(pending)
        if coming and coming.name == "write" and coming.fd in self._files:
            half = coming.data[: len(coming.data) // 2]
            change = _Change((self._files[coming.fd],), coming.offset, half)
            yield self._tree([*pending, change])
        names = [change for change in pending if change.of_names]
        yield self._tree(names)
        yield self._tree([change for change in pending if not change.of_names])
        yield self._tree([_zeros(change) for change in pending])
        for i, change in enumerate(pending):
            yield self._tree(pending[:i])
            yield self._tree(pending[:i] + pending[i + 1 :])
            yield self._tree([change])
        draw = random.Random(len(pending))
        for _ in range(_SUBSETS):
            yield self._tree([change for change in pending if draw.random() < 0.5])

    def synced(self) -> Tree:
        """Return what is on the disk for certain."""
        return self._tree([])

    def all(self) -> Tree:
        """Return what the processes see."""
        return self._tree(self._pending)

    def _tree(self, changes: Iterable[_Change]) -> Tree:
        nodes = {number: node.copy() for number, node in self._nodes.items()}
        for change in changes:
            _apply(change, nodes)
        tree: Tree = {}
        waiting = [("", _TOP)]
        while waiting:
            path, number = waiting.pop()
            for name, inner in nodes[number].names.items():
                whole = os.path.join(path, name)
                node = nodes[inner]
                tree[whole] = None if node.is_folder else node.data
                if node.is_folder:
                    waiting.append((whole, inner))
        return tree

    def _new(self, *, is_folder: bool) -> int:
        number = len(self._nodes)
        self._nodes[number] = _Node(is_folder)
        return number

    def _place(self, path: str) -> tuple[int, str]:
        """Return the number of a path's folder, and its name there."""
        parts = os.path.relpath(os.path.normpath(path), self._folder).split(os.sep)
        number = _TOP
        for part in parts[:-1]:
            number = self._now[number, part]
        return number, parts[-1]

    def _number(self, path: str) -> int:
        if os.path.normpath(path) == self._folder:
            return _TOP
        return self._now[self._place(path)]

    def _open(self, call: Call) -> None:
        if call.flags & os.O_TMPFILE == os.O_TMPFILE:  # a file that never has a name
            self._files[call.fd] = self._new(is_folder=False)
            return
        self._files[call.fd] = self._number(call.path)
        if call.flags & os.O_TRUNC:
            self._pending.append(_Change((self._files[call.fd],)))

    def _create(self, call: Call) -> None:
        parent, name = self._place(call.path)
        number = self._new(is_folder=False)
        self._now[parent, name] = number
        self._pending.append(_Change((parent,), come=((parent, name, number),)))
        self._files[call.fd] = number

    def _mkdir(self, call: Call) -> None:
        parent, name = self._place(call.path)
        number = self._new(is_folder=True)
        self._now[parent, name] = number
        self._pending.append(_Change((parent,), come=((parent, name, number),)))

    def _write(self, call: Call) -> None:
        self._pending.append(_Change((self._files[call.fd],), call.offset, call.data))

    def _truncate(self, call: Call) -> None:
        self._pending.append(_Change((self._files[call.fd],), call.offset))

    def _close(self, call: Call) -> None:
        self._files.pop(call.fd, None)

    def _unlink(self, call: Call) -> None:
        parent, name = self._place(call.path)
        number = self._now.pop((parent, name))
        self._pending.append(_Change((parent,), gone=((parent, name, number),)))

    def _rename(self, call: Call) -> None:
        old = self._place(call.path)
        new = self._place(call.target)
        moved = self._now.pop(old)
        replaced = self._now.get(new)
        gone = [(*old, moved)]
        come = [(*new, moved)]
        self._now[new] = moved
        if call.flags & _EXCHANGE and replaced is not None:
            self._now[old] = replaced
            gone.append((*new, replaced))
            come.append((*old, replaced))
        self._pending.append(_Change((old[0], new[0]), gone=tuple(gone), come=tuple(come)))

    def _sync(self, call: Call) -> None:
        number = self._files[call.fd]
        for change in self._pending:
            if number in change.nodes:
                _apply(change, self._nodes)
        self._pending = [change for change in self._pending if number not in change.nodes]

    def _syncall(self, _: Call) -> None:
        for change in self._pending:
            _apply(change, self._nodes)
        self._pending = []


def _zeros(change: _Change) -> _Change:
    """The same change, if the size of the file reaches the disk but its data do not."""
    if change.data is None:
        return change
    return _Change(change.nodes, change.offset, bytes(len(change.data)))


def _apply(change: _Change, nodes: dict[int, _Node]) -> None:
    if change.of_names:
        for folder, name, number in change.gone:
            if nodes[folder].names.get(name) == number:
                del nodes[folder].names[name]
        for folder, name, number in change.come:
            nodes[folder].names[name] = number
        return
    node = nodes[change.nodes[0]]
    rest = b""
    if change.data is not None:
        rest = change.data + node.data[change.offset + len(change.data) :]
    node.data = node.data[: change.offset].ljust(change.offset, b"\0") + rest
