"""What NumPy took in Python 2's days: whole floats where it asks for whole numbers.

A script divides by a float or rounds with `np.round`, and slices with the result. NumPy 1.12 ended
that. Source: NumPy 1.12's release notes, "Indexing with floats raises IndexError".
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.random

# Functions and methods: the place among their arguments that is a size, its name, and whose.
_SIZES: dict[str, tuple[int, str, tuple[Any, ...]]] = {
    "choice": (1, "size", (np.random,)),
    "empty": (0, "shape", (np,)),
    "linspace": (2, "num", (np,)),
    "ones": (0, "shape", (np,)),
    "zeros": (0, "shape", (np,)),
}
NAMES = (*_SIZES, "reshape")


def whole(value: Any) -> Any:
    """Make a whole float an int, and each one in a tuple or list; leave all else as it is."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return int(value)
    if type(value) in (tuple, list):
        return type(value)(whole(one) for one in value)
    return value


def get(owner: Any, name: str) -> Any:
    """Return `owner.name`; NumPy's take whole floats as sizes. name: one of NAMES."""
    method = getattr(owner, name)
    if name == "reshape":
        if not isinstance(owner, np.ndarray):
            return method
        return lambda *shape, **named: method(*map(whole, shape), **named)
    place, word, owners = _SIZES[name]
    is_random = isinstance(owner, np.random.RandomState) and np.random in owners
    if not is_random and not any(owner is one for one in owners):
        return method

    @functools.wraps(method)
    def call(*args: Any, **named: Any) -> Any:
        found = list(args)
        if place < len(found):
            found[place] = whole(found[place])
        if word in named:
            named[word] = whole(named[word])
        return method(*found, **named)

    return call
