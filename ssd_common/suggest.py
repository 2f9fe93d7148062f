"""The nearest right name for a wrong one."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable

_MOST = 2000  # names that difflib compares; it takes some 20 µs for each


def suggest(name: str, choices: Iterable[str]) -> str:
    """Name the nearest choice: `" (did you mean 'num_output'?)"`.

    Case and the dashes of flags do not count. Of many thousands, it looks at those that begin most
    alike.
    Returns "" where no choice is near.
    """
    by_folded = {_folded(choice): choice for choice in choices}
    wanted = _folded(name)
    compared: Iterable[str] = by_folded
    if len(by_folded) > _MOST:
        compared = heapq.nlargest(_MOST, by_folded, lambda other: _same_start(wanted, other))
    near = difflib.get_close_matches(wanted, compared, n=1, cutoff=0.6)
    if not near:
        return ""
    return f" (did you mean '{by_folded[near[0]]}'?)"


def _same_start(name: str, other: str) -> int:
    """Count the letters up to the first that differs."""
    for i, (one, two) in enumerate(zip(name, other, strict=False)):
        if one != two:
            return i
    return min(len(name), len(other))


def _folded(name: str) -> str:
    return name.lower().lstrip("-")
