"""The zoo: every detector that the papers print or their authors released, by id.

An id is `<detector><size>_<dataset>`, what the paper prints; `<id>_release` is what the authors released where that differs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache

from netgen.names import full_id
from netgen.recipe import Detector

Entry = Callable[[], Detector]
_MODULES = ("ssd", "resnet", "dssd", "fssd", "mobilenet", "m2det", "dsod", "ppn", "shapes")
_ENTRIES: dict[str, Entry] = {}
_HEADLINES: set[str] = set()


def entry(function: Entry) -> Entry:
    """Register a headline: a function without arguments, whose name is the zoo id and whose docstring is the detector's card.

    Its files are committed in prototxt/.
    """
    _HEADLINES.add(function.__name__)
    return variant(function)


def variant(function: Entry) -> Entry:
    """Register a function as `entry` does, for a detector whose files are written on demand only."""
    assert function.__name__ not in _ENTRIES, function.__name__
    _ENTRIES[function.__name__] = function
    return function


def row(zoo_id: str, make: Entry, card: str) -> None:
    """Register a variant that is a row of a table: its id, what makes the detector, and its card."""

    def function() -> Detector:
        return make()

    function.__name__, function.__doc__, function.__module__ = zoo_id, card, getattr(make, "func", make).__module__
    variant(function)


@cache
def entries() -> dict[str, Entry]:
    """Every entry by zoo id, in the order of the papers."""
    for module in _MODULES:
        importlib.import_module(f"netgen.zoo.{module}")
    return _ENTRIES


def headlines() -> list[str]:
    """The ids whose files are committed in prototxt/, in the order of the papers."""
    return [zoo_id for zoo_id in entries() if zoo_id in _HEADLINES]


def family(zoo_id: str) -> str:
    """The module of the zoo that an id is from: "ssd", "fssd", …"""
    return entries()[zoo_id].__module__.rpartition(".")[-1]


def resolve(name: str) -> str:
    """The zoo id that a name means (see `full_id`). Raises CaffeError with the nearest id."""
    return full_id(name, entries())


def get(name: str) -> Detector:
    """The detector of a zoo id or short name (see `resolve`)."""
    return entries()[resolve(name)]()
