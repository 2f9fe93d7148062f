"""What Python 2's operators do, for the calls that passes.py writes."""

from __future__ import annotations

import datetime
import functools
import operator
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

import numpy as np

from netrun.pycaffe.python2.text import data, shown, text

_WHOLE = (int, np.integer, np.bool_)
_NUMBERS = (int, float, np.number, np.bool_)


def _is_whole(value: object) -> bool:
    """Tell whether a value is a whole number, or an array of them."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biu"
    return isinstance(value, _WHOLE)


def divide(a: Any, b: Any) -> Any:
    """Divide as `/` does: whole numbers give a whole number, rounded down."""
    if _is_whole(a) and _is_whole(b):
        return a // b
    for array, other in ((a, b), (b, a)):
        listed = isinstance(array, np.ndarray) and isinstance(other, (list, tuple))
        if listed and _is_whole(array) and _is_whole(np.asarray(other)):
            return np.floor_divide(a, b)
    return a / b


def divide_in_place(a: Any, b: Any) -> Any:
    """Return what `a /= b` leaves in a; arrays change in place."""
    if isinstance(a, np.ndarray) and _is_whole(a) and _is_whole(b):
        return np.floor_divide(a, b, out=a, casting="unsafe")
    if _is_whole(a) and _is_whole(b):
        return divide(a, b)
    return operator.itruediv(a, b)


def divide_attribute(owner: Any, name: str, b: Any) -> None:
    """Do `owner.name /= b`."""
    setattr(owner, name, divide_in_place(getattr(owner, name), b))


def divide_item(owner: Any, key: Any, b: Any) -> None:
    """Do `owner[key] /= b`."""
    owner[key] = divide_in_place(owner[key], b)


class Key:
    """Gives back the key in `[]`, such as a slice."""

    def __getitem__(self, key: object) -> object:
        return key


class _Float(float):
    """A float that formats with 12 digits, as Python 2's does."""

    def __str__(self) -> str:
        return shown(float(self))

    def __format__(self, spec: str) -> str:
        if not spec:
            return shown(float(self))
        return float.__format__(self, spec)


def formatted(value: Any) -> Any:
    """Prepare a value for `%` and str.format: floats and bytes show as in Python 2."""
    if type(value) is float:
        return _Float(value)
    if isinstance(value, bytes):
        return text(value)
    return value


def modulo(a: Any, b: Any) -> Any:
    """Do `a % b`, which formats text."""
    if isinstance(a, bytes):
        a = text(a)
    if not isinstance(a, str):
        return a % b
    if isinstance(b, tuple):
        return a % tuple(formatted(value) for value in b)
    if isinstance(b, dict):
        return a % {key: formatted(value) for key, value in b.items()}
    return a % formatted(b)


def _rank(value: Any) -> tuple[int, str]:
    """Where a value stands among those of other types: None, numbers, then by type's name."""
    if value is None:
        return (0, "")
    if isinstance(value, _NUMBERS):
        return (1, "")
    return (2, _TYPE_NAMES.get(type(value).__name__, type(value).__name__))


_TYPE_NAMES = {"bytes": "str", "range": "xrange"}
_COLLECTIONS = (list, tuple, dict, set, frozenset)
_WITHOUT_ORDER = (complex, datetime.date, datetime.time, datetime.timedelta, set, frozenset)


def compare(a: Any, b: Any) -> int:
    """Return -1, 0 or 1, as cmp does; values of any two types have an order."""
    if isinstance(a, (list, tuple)) and type(a) is type(b):
        for one, other in zip(a, b, strict=False):
            if one != other:
                return compare(one, other)
        a, b = len(a), len(b)
    elif isinstance(a, dict) and isinstance(b, dict):
        return compare(_dict_order(a), _dict_order(b))
    if _rank(a) != _rank(b):
        a, b = _rank(a), _rank(b)
    elif a is None:
        return 0
    try:
        return int(a > b) - int(a < b)
    except TypeError:
        return int(id(a) > id(b)) - int(id(a) < id(b))


def _has_no_order(*values: Any) -> bool:
    return any(isinstance(value, _WITHOUT_ORDER) for value in values)


def _dict_order(value: Mapping[Any, Any]) -> tuple[int, list[Any]]:
    return len(value), sorted(value.items(), key=functools.cmp_to_key(compare))


def ordered(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Make `<` and the like order values of any two types."""

    def order(a: Any, b: Any) -> Any:
        try:
            return operation(a, b)
        except TypeError as error:
            if "not supported between instances of" not in str(error) or _has_no_order(a, b):
                raise
        return operation(compare(a, b), 0)

    return order


less, greater = ordered(operator.lt), ordered(operator.gt)
at_most, at_least = ordered(operator.le), ordered(operator.ge)


def equal(a: Any, b: Any) -> Any:
    """Do `a == b`; bytes equal the text that they are."""
    if isinstance(a, bytes) and isinstance(b, str):
        a = text(a)
    elif isinstance(a, str) and isinstance(b, bytes):
        b = text(b)
    return a == b


def differ(a: Any, b: Any) -> Any:
    """Do `a != b`."""
    if isinstance(a, (str, bytes)) and isinstance(b, (str, bytes)):
        return not equal(a, b)
    return a != b


def is_in(item: Any, values: Any) -> bool:
    """Do `item in values`; bytes equal the text that they are."""
    if isinstance(values, bytes) and isinstance(item, str):
        return item in text(values)
    if isinstance(item, bytes) and isinstance(values, str):
        return text(item) in values
    if item in values:
        return True
    if isinstance(item, bytes) and isinstance(values, _COLLECTIONS):
        return text(item) in values
    return isinstance(item, str) and isinstance(values, _COLLECTIONS) and data(item) in values


def is_not_in(item: Any, values: Any) -> bool:
    """Do `item not in values`."""
    return not is_in(item, values)


def print_items(file: Any, *items: object, newline: bool = True) -> None:
    """Do `print >>file, a, b`; without a newline, the next print puts a space first."""
    if file is None:
        file = sys.stdout
    for item in items:
        said = shown(item)
        if getattr(file, "softspace", 0):
            file.write(" ")
        file.write(said)
        _set_softspace(file, not said[-1:].isspace() or said.endswith(" "))
    if newline:
        file.write("\n")
        _set_softspace(file, False)


def _set_softspace(file: Any, value: bool) -> None:
    with suppress(AttributeError):
        file.softspace = int(value)


def end_line(file: Any) -> None:
    """End a line that a print left open, as Python 2 does at its exit."""
    if getattr(file, "softspace", 0):
        print_items(file)


def to_raise(kind: Any, value: Any = None, trace: TracebackType | None = None) -> BaseException:
    """Return what `raise kind, value, trace` raises.

    Raises TypeError for text, which was an error up to Python 2.5.
    """
    if isinstance(kind, BaseException):
        error = kind
    elif isinstance(kind, type) and issubclass(kind, BaseException):
        error = _made(kind, value)
    else:
        said = "exceptions must be old-style classes or derived from BaseException, not"
        raise TypeError(f"{said} {type(kind).__name__}: {kind}")
    if trace is not None:
        return error.with_traceback(trace)
    return error


def _made(kind: type[BaseException], value: Any) -> BaseException:
    if value is None:
        return kind()
    if isinstance(value, kind):
        return value
    if isinstance(value, tuple):
        return kind(*value)
    return kind(value)
