"""Kinds of data sets.

A kind is one file of this folder, which registers itself with `register`; no list names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.sources.source import Source
from ssd_common.errors import CaffeError


class Option(NamedTuple):
    """An option that only one kind of data set takes.

    name: keyword of Kind.open.
    help: one line for users.
    type: turns a word into the value.
    metavar: name of the value in help.
    choices: all possible values; None where any will do.
    default: the value where a call gives none.
    flag: of a command; "" for the name with two dashes.
    repeated: whether it may be given several times; the value is then a list, None without any.
    """

    name: str
    help: str
    type: Callable[[str], Any] = str
    metavar: str | None = None
    choices: tuple[str, ...] | None = None
    default: Any = None
    flag: str = ""
    repeated: bool = False


def never(_: Path) -> bool:
    """Return False: no folder shows by itself that it is of a kind."""
    return False


class Kind(NamedTuple):
    """A kind of data set.

    name: as commands and open_source take it.
    position: its place in help, by rising numbers.
    title: what it is, in a few words.
    notes: which files and folders it has, and what names a list of its images.
    examples: commands that build it.
    folder: what its first argument is, a folder or a file.
    open: makes the data set of that path; takes the options by name; raises CaffeError where the
      data set is missing.
    options: those of this kind alone.
    needs_labelmap: whether open also takes `labelmap`, a label map's file or built-in name.
    layout: how it looks on the disk, a line for each file or folder that tells it from others.
    looks_like: tells quickly, by names and the start of a file, whether a folder or file is of this
      kind; never raises CaffeError.
    """

    name: str
    position: int
    title: str
    notes: str
    examples: str
    folder: str
    open: Callable[..., Source]
    options: tuple[Option, ...] = ()
    needs_labelmap: bool = False
    layout: str = ""
    looks_like: Callable[[Path], bool] = never


_REGISTERED: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Register a kind of data set under its name.

    Raises CaffeError for a name that is taken.
    """
    if kind.name in _REGISTERED:
        raise CaffeError(f"kind '{kind.name}' of data sets is registered twice")
    _REGISTERED[kind.name] = kind


def registered() -> Mapping[str, Kind]:
    """Return every kind by name, in the order of help."""
    in_order = sorted(_REGISTERED.values(), key=lambda kind: (kind.position, kind.name))
    return {kind.name: kind for kind in in_order}


def likely(path: Path) -> list[str]:
    """Return the names of the kinds that a folder or file may be of, by its looks."""
    return [name for name, kind in registered().items() if kind.looks_like(path)]
