"""Classes of Python 2 files: the special methods that have another name in Python 3."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

_RENAMED = {
    "__div__": "__truediv__",
    "__rdiv__": "__rtruediv__",
    "__idiv__": "__itruediv__",
    "__nonzero__": "__bool__",
    "next": "__next__",
}


def python2_class(cls: Any) -> Any:
    """Give a class of a Python 2 file the names by which Python 3 calls its methods."""
    own = vars(cls)
    for old, new in _RENAMED.items():
        if old in own and new not in own:
            setattr(cls, new, own[old])
    if "__unicode__" in own and "__str__" not in own:
        cls.__str__ = own["__unicode__"]
    if "__cmp__" in own:
        for name, holds in _ORDER.items():
            if name not in own:
                setattr(cls, name, _by_cmp(holds))
    if "__getslice__" in own:
        cls.__getitem__ = _slices(own.get("__getitem__"))
    if own.get("__hash__", 0) is None and "__eq__" in own:
        cls.__hash__ = _inherited_hash(cls)
    metaclass = own.get("__metaclass__")
    if metaclass is not None and not isinstance(cls, metaclass):
        return _with_metaclass(cls, metaclass)
    return cls


def _inherited_hash(cls: Any) -> Any:
    return super(cls, cls).__hash__


_ORDER: dict[str, Callable[[int], bool]] = {
    "__lt__": lambda found: found < 0,
    "__le__": lambda found: found <= 0,
    "__gt__": lambda found: found > 0,
    "__ge__": lambda found: found >= 0,
    "__eq__": lambda found: found == 0,
    "__ne__": lambda found: found != 0,
}


def _by_cmp(holds: Callable[[int], bool]) -> Callable[[Any, Any], bool]:
    """Make a comparison out of __cmp__."""

    def order(self: Any, other: Any) -> bool:
        return holds(self.__cmp__(other))

    return order


def _slices(getitem: Any) -> Callable[[Any, Any], Any]:
    """Make a __getitem__ that asks __getslice__ for a slice without a step."""

    def get(self: Any, key: Any) -> Any:
        if isinstance(key, slice) and key.step is None:
            stop = key.stop
            if stop is None:
                stop = 2**63 - 1
            return self.__getslice__(key.start or 0, stop)
        return getitem(self, key)

    return functools.wraps(getitem)(get) if getitem else get


def _with_metaclass(cls: type, metaclass: Any) -> Any:
    """Make the class again, by the metaclass that its body names."""
    own = dict(vars(cls))
    for name in ("__dict__", "__weakref__"):
        own.pop(name, None)
    return metaclass(cls.__name__, cls.__bases__, own)
