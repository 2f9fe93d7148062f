"""The nearest right name for a wrong one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggest(name: str, choices: Iterable[str]) -> str:
    """Name the nearest of choices: `" (did you mean 'num_output'?)"`, or `""` where none is near.

    Case does not count, nor do the dashes of flags.
    """
    by_folded = {c.lower().lstrip("-"): c for c in choices}
    near = difflib.get_close_matches(name.lower().lstrip("-"), by_folded, n=1, cutoff=0.6)
    return f" (did you mean '{by_folded[near[0]]}'?)" if near else ""
