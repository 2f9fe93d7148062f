"""Formats in which LMDBs are written out.

A format is one file of this folder, which registers itself with `register`; no list names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from data_prep.checks.faults import Fault
from data_prep.writers.formats.classes import Classes


class Box(NamedTuple):
    """An object of a record.

    label: of its class.
    corners: xmin, ymin, xmax, ymax in fractions of the image, as single-precision numbers.
    """

    label: int
    difficult: bool
    corners: tuple[float, float, float, float]


class Photo(NamedTuple):
    """One image of an LMDB.

    key: of its record, for messages.
    name: of its file, unlike that of any other image of the export, also without the ending.
    data: the file's bytes.
    width, height: in pixels.
    channels: 1 or 3.
    """

    key: str
    name: str
    data: bytes
    width: int
    height: int
    channels: int
    boxes: Sequence[Box]


class Writer(Protocol):
    """Writes a data set into an empty folder: one split after the other, then what names them."""

    def begin(self, split: str) -> None:
        """Begin a split, such as train."""
        ...

    def add(self, photo: Photo) -> list[Fault]:
        """Write an image and its objects. Returns what the format cannot say of them."""
        ...

    def finish(self) -> None:
        """Write what is known only after the last image."""
        ...


class Format(NamedTuple):
    """A format.

    name: as --format takes it.
    title: what it is, in a few words.
    layout: how it looks on the disk, lines as data_prep.sources.kind.Kind has them.
    open: makes the writer for a folder and the classes of the LMDBs.
    """

    name: str
    title: str
    layout: str
    open: Callable[[Path, Classes], Writer]


_REGISTERED: dict[str, Format] = {}


def register(found: Format) -> None:
    """Register a format under its name."""
    _REGISTERED[found.name] = found


def registered() -> Mapping[str, Format]:
    """Return every format by name."""
    return dict(sorted(_REGISTERED.items()))
