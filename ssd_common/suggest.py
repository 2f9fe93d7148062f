"""The nearest right name for a wrong one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggest(name: str, choices: Iterable[str]) -> str:
    """Name the nearest choice: `" (did you mean 'num_output'?)"`.

    Case and the dashes of flags do not count.
    Returns "" where no choice is near.
    """
    by_folded = {_folded(choice): choice for choice in choices}
    near = difflib.get_close_matches(_folded(name), by_folded, n=1, cutoff=0.6)
    if not near:
        return ""
    return f" (did you mean '{by_folded[near[0]]}'?)"


def _folded(name: str) -> str:
    return name.lower().lstrip("-")
