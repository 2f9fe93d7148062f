"""The builtins of Python 2 files: the module that they import as __builtin__."""

from __future__ import annotations

import builtins
import functools
import importlib
import io
import itertools
import math
import operator
import sys
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal
from types import ModuleType
from typing import Any

import numpy as np

from netrun.pycaffe.python2 import arrays, operations
from netrun.pycaffe.python2.classes import python2_class
from netrun.pycaffe.python2.files import open_file
from netrun.pycaffe.python2.methods import METHODS, get, in_order, real
from netrun.pycaffe.python2.operations import compare
from netrun.pycaffe.python2.passes import helper
from netrun.pycaffe.python2.scopes import EXECUTED
from netrun.pycaffe.python2.syntax import PRINT, RAISE
from netrun.pycaffe.python2.text import shown


class _Kind(type):
    """A type that stands for others."""

    of: tuple[type, ...]

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.of)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.of)


class basestring(metaclass=_Kind):
    """The base of Python 2's two types of text."""

    of = (str, bytes)


class unicode(str, metaclass=_Kind):
    """Text; `unicode(value, encoding)` gives it."""

    of = (str,)

    def __new__(cls, value: object = "", encoding: str = "", errors: str = "strict") -> Any:
        """Return a plain str."""
        if isinstance(value, bytes) and encoding:
            return value.decode(encoding, errors)
        return shown(value)


class file(metaclass=_Kind):
    """Python 2's type of open files, and another name of its open."""

    of = (io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom)

    def __new__(cls, *given: Any, **named: Any) -> Any:
        """Open a file."""
        return open_file(*given, **named)


def _map(function: Any, *given: Iterable[Any]) -> list[Any]:
    """Map to a list; None stands for what the shorter of several lists lack."""
    if function is str:
        function = shown
    if len(given) > 1:
        rows = list(itertools.zip_longest(*given))
        return rows if function is None else [function(*row) for row in rows]
    if function is None:
        return list(given[0])
    return [function(value) for value in given[0]]


def _zip(*given: Iterable[Any]) -> list[Any]:
    return list(zip(*given, strict=False))


def _filter(function: Any, values: Any) -> Any:
    """Filter to a list; text stays text, and a tuple a tuple."""
    found = filter(function, values)
    if isinstance(values, str):
        return "".join(found)
    if isinstance(values, tuple):
        return tuple(found)
    return list(found)


def _range(*bounds: int) -> list[int]:
    return list(range(*bounds))


_EXACT = Context(prec=1100)  # digits of the longest float


def _round(number: Any, ndigits: int = 0) -> float:
    """Round to a float, a half away from zero."""
    value = float(number)
    if not math.isfinite(value) or ndigits > 300:
        return value
    unit = Decimal(1).scaleb(-ndigits)
    return float(Decimal(value).quantize(unit, ROUND_HALF_UP, _EXACT))


def _print(*items: object, sep: Any = None, end: Any = None, file: Any = None) -> None:
    """Do print where it is a function; a flush=True is Python 3's alone."""
    builtins.print(*map(shown, items), sep=sep, end=end, file=file)


def _isinstance(value: object, kinds: Any) -> bool:
    """Tell a value's type; NumPy's whole numbers of 64 bits are int, too."""
    if isinstance(value, kinds):
        return True
    if isinstance(value, np.int64):
        return issubclass(int, kinds)
    return False


def _getattr(owner: Any, name: str, *default: Any) -> Any:
    """Get an attribute, such as a dictionary's iteritems."""
    if name not in METHODS:
        return getattr(owner, name, *default)
    try:
        return get(owner, name)
    except AttributeError:
        if default:
            return default[0]
        raise


def _hasattr(owner: Any, name: str) -> bool:
    return _getattr(owner, name, _MISSING) is not _MISSING


_MISSING = object()


def _extreme(function: Any, better: int) -> Any:
    """Make min or max order values of any two types."""

    @functools.wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        try:
            return function(*given, **named)
        except TypeError:
            values = list(given if len(given) > 1 else given[0])
            key = named.get("key") or (lambda value: value)
            best = values[0]
            for value in values[1:]:
                if compare(key(value), key(best)) * better > 0:
                    best = value
            return best

    return call


def _oct(number: Any) -> str:
    said = format(operator.index(number), "o")
    if said.startswith("-"):
        return f"-0{said[1:]}"
    return f"0{said}" if said != "0" else "0"


def _executed(of_file: dict[str, Any], found: dict[str, Any], variables: set[str]) -> None:
    """Give the file the names that `exec` in a function found.

    Raises NameError where the file has another value under such a name, which Python 2 would keep.
    """
    for name in set(found) - variables:
        if of_file.get(name, found[name]) is not found[name]:
            said = f"exec in a function hides {name!r} of the file: write `exec code in names`"
            raise NameError(said)
        of_file[name] = found[name]


def _apply(function: Any, args: Any = (), named: Any = None) -> Any:
    return function(*args, **(named or {}))


def _reload(module: ModuleType) -> ModuleType:
    if real(module) is sys:
        return module
    return importlib.reload(real(module))


MODULE = ModuleType("__builtin__")
vars(MODULE).update(vars(builtins))
vars(MODULE).update(
    {
        "__name__": "__builtin__",
        "StandardError": Exception,
        "apply": _apply,
        "basestring": basestring,
        "buffer": memoryview,
        "cmp": compare,
        "file": file,
        "filter": _filter,
        "getattr": _getattr,
        "hasattr": _hasattr,
        "intern": sys.intern,
        "isinstance": _isinstance,
        "long": int,
        "map": _map,
        "max": _extreme(max, 1),
        "min": _extreme(min, -1),
        "oct": _oct,
        "open": open_file,
        "print": _print,
        "range": _range,
        "raw_input": input,
        "reduce": functools.reduce,
        "reload": _reload,
        "round": _round,
        "sorted": in_order,
        "unichr": chr,
        "unicode": unicode,
        "xrange": range,
        "zip": _zip,
        EXECUTED: _executed,
        PRINT: operations.print_items,
        RAISE: operations.to_raise,
        helper("class"): python2_class,
        helper("div"): operations.divide,
        helper("eq"): operations.equal,
        helper("ge"): operations.at_least,
        helper("get"): get,
        helper("gt"): operations.greater,
        helper("idiv"): operations.divide_in_place,
        helper("idiv_attribute"): operations.divide_attribute,
        helper("idiv_item"): operations.divide_item,
        helper("in"): operations.is_in,
        helper("key"): operations.Key(),
        helper("le"): operations.at_most,
        helper("lt"): operations.less,
        helper("mod"): operations.modulo,
        helper("ne"): operations.differ,
        helper("not_in"): operations.is_not_in,
        helper("whole"): arrays.whole,
        helper("str"): lambda kind, value: shown(value) if kind is str else kind(value),
    }
)
GONE = (
    "apply",
    "basestring",
    "buffer",
    "cmp",
    "execfile",
    "file",
    "intern",
    "long",
    "raw_input",
    "reduce",
    "reload",
    "unichr",
    "unicode",
    "xrange",
    "StandardError",
)
