"""Finds names of classes that may not mean what they say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from data_prep.checks.faults import Fault
from ssd_common.words import counted

BACKGROUNDS = ("background", "bg", "noneoftheabove")  # as _bare has them
LONGEST_LIST = 100  # characters of a list of classes in a message
_SEPARATORS = re.compile(r"[\s_-]+")


def alike(objects: Mapping[str, int], rare: int) -> list[Fault]:
    """Find classes whose names are one but for capitals, blanks, hyphens and underscores.

    objects: their number by class.
    rare: a class with this many times as many objects as another makes that a slip of the pen,
      which is another note.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(objects):
        groups.setdefault(_bare(name), []).append(name)
    found = []
    for names in groups.values():
        counts = [objects[name] for name in names]
        if len(names) > 1 and max(counts) < rare * min(counts):
            listed = ", ".join(f"'{name}' ({objects[name]})" for name in names)
            message = f"classes {listed} have one name; --map makes one of them"
            found.append(Fault("alike-class", "", message))
    return found


def backgrounds(names: Mapping[int, str], objects: Mapping[str, int], place: str) -> list[Fault]:
    """Find classes that are called as the background, and are not it.

    names: of the classes by label, without the background's.
    objects: their number by class.
    place: where the names are from.
    """
    others = ",".join(name for name in names.values() if _bare(name) not in BACKGROUNDS)
    way = f"--classes {shlex.quote(others)}"
    if not others or len(others) > LONGEST_LIST:
        way = "--classes with the other names"
    found = []
    for label, name in names.items():
        if _bare(name) in BACKGROUNDS:
            count = counted(objects.get(name, 0), "object")
            message = f"class '{name}' ({count}) is label {label}; {way} leaves it out"
            found.append(Fault("background-name", place, message))
    return found


def _bare(name: str) -> str:
    """Return a name in small letters, without blanks, hyphens and underscores."""
    return _SEPARATORS.sub("", name.casefold())
