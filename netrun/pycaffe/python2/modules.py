"""Python 2's standard library: modules under their old names, and names that modules lost."""

from __future__ import annotations

import collections.abc
import csv
import importlib
import io
import itertools
import json
import math
import os
import pickle
import random
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from netrun.pycaffe.python2 import names
from netrun.pycaffe.python2.files import File, StringIO, open_file
from netrun.pycaffe.python2.text import data, text

# Old name of a module, and the modules of today that have its names.
RENAMED = {
    "BaseHTTPServer": ("http.server",),
    "ConfigParser": ("configparser",),
    "Cookie": ("http.cookies",),
    "HTMLParser": ("html.parser",),
    "Queue": ("queue",),
    "SimpleHTTPServer": ("http.server",),
    "SocketServer": ("socketserver",),
    "StringIO": (),
    "Tkinter": ("tkinter",),
    "UserDict": ("collections",),
    "UserList": ("collections",),
    "UserString": ("collections",),
    "__builtin__": (),
    "anydbm": ("dbm",),
    "cPickle": ("pickle",),
    "cStringIO": (),
    "commands": ("subprocess",),
    "cookielib": ("http.cookiejar",),
    "copy_reg": ("copyreg",),
    "dummy_thread": ("_thread",),
    "exceptions": ("builtins",),
    "htmlentitydefs": ("html.entities",),
    "httplib": ("http.client",),
    "md5": ("hashlib",),
    "sets": (),
    "sha": ("hashlib",),
    "thread": ("_thread",),
    "tkFileDialog": ("tkinter.filedialog",),
    "tkMessageBox": ("tkinter.messagebox",),
    "urllib2": ("urllib.request", "urllib.error", "urllib.parse"),
    "urlparse": ("urllib.parse",),
    "xmlrpclib": ("xmlrpc.client",),
}
# Modules that Python 3 has, but without names that are in others now.
_SPREAD = {"urllib": ("urllib.request", "urllib.parse", "urllib.error")}


class Module(ModuleType):
    """A module with Python 2's names, before another's."""

    def __init__(self, name: str, old: dict[str, Any], behind: tuple[ModuleType, ...]) -> None:
        super().__init__(name)
        vars(self)["__behind__"] = behind
        if behind:
            vars(self)["__python3__"] = behind[0]
        vars(self).update(old)

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return [known for known in dir(self) if not known.startswith("_")]
        for module in vars(self)["__behind__"]:
            if hasattr(module, name):
                return getattr(module, name)
        said = f"module {self.__name__!r} has no attribute {name!r}"
        raise AttributeError(said, name=name, obj=self)

    def __setattr__(self, name: str, value: Any) -> None:
        for module in vars(self)["__behind__"][:1]:
            setattr(module, name, value)
        if name in vars(self) or not vars(self)["__behind__"]:
            vars(self)[name] = value

    def __dir__(self) -> list[str]:
        found = set(vars(self))
        for module in vars(self)["__behind__"]:
            found.update(dir(module))
        return sorted(found)


def _text_lines(lines: Iterable[Any]) -> Iterator[Any]:
    for line in lines:
        yield text(line) if isinstance(line, bytes) else line


def _pickle_load(file: Any, **named: Any) -> Any:
    """Unpickle from a file, of text as well; strings of Python 2 become text."""
    source = file
    if isinstance(file, io.TextIOWrapper):
        source = file.buffer
    return pickle.load(source, **{"encoding": "latin1", **named})


def _pickle_loads(value: Any, **named: Any) -> Any:
    return pickle.loads(data(value), **{"encoding": "latin1", **named})


def _pickle_dump(value: Any, file: Any, protocol: int | None = 2) -> None:
    """Pickle to a file, of text as well, so that Python 2 can read it."""
    to = file
    if isinstance(file, io.TextIOWrapper):
        file.flush()
        to = file.buffer
    pickle.dump(value, to, protocol)


def _pickle_dumps(value: Any, protocol: int | None = 2) -> bytes:
    return pickle.dumps(value, protocol)


def _pickle_names() -> dict[str, Any]:
    return {
        "dump": _pickle_dump,
        "dumps": _pickle_dumps,
        "load": _pickle_load,
        "loads": _pickle_loads,
    }


def _number(value: Any) -> Any:
    """JSON of NumPy's whole numbers, which were int in Python 2."""
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, bytes):
        return text(value)
    said = f"Object of type {type(value).__name__} is not JSON serializable"
    raise TypeError(said)


def _json(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*given: Any, **named: Any) -> Any:
        named.pop("encoding", None)
        return function(*given, **{"default": _number, **named})

    return call


class _Popen(subprocess.Popen):
    """A process whose pipes carry text."""

    def __init__(self, *given: Any, **named: Any) -> None:
        asked = {"text", "encoding", "errors", "universal_newlines"} & set(named)
        if not asked:
            named.update(encoding="utf-8", errors="surrogateescape")
        super().__init__(*given, **named)


def _check_output(*given: Any, **named: Any) -> Any:
    if not {"text", "encoding", "errors", "universal_newlines"} & set(named):
        named.update(encoding="utf-8", errors="surrogateescape")
    return subprocess.check_output(*given, **named)


def _joined(words: Iterable[str], between: str = " ") -> str:
    return between.join(words)


_OF_TEXT = (
    "capitalize",
    "center",
    "count",
    "expandtabs",
    "find",
    "index",
    "ljust",
    "lower",
    "lstrip",
    "replace",
    "rfind",
    "rjust",
    "rsplit",
    "rstrip",
    "split",
    "strip",
    "swapcase",
    "upper",
    "zfill",
)


def _string_names() -> dict[str, Any]:
    """The module string's functions: methods of text now."""
    found: dict[str, Any] = {name: getattr(str, name) for name in _OF_TEXT}
    found.update(join=_joined, joinfields=_joined, atoi=int, atof=float, atol=int)
    found.update(letters=string.ascii_letters, maketrans=str.maketrans)
    found.update(lowercase=string.ascii_lowercase, uppercase=string.ascii_uppercase)
    return found


def _types_names() -> dict[str, Any]:
    return {
        "BooleanType": bool,
        "ClassType": type,
        "DictType": dict,
        "FileType": File,
        "FloatType": float,
        "InstanceType": object,
        "IntType": int,
        "ListType": list,
        "LongType": int,
        "NoneType": type(None),
        "StringType": str,
        "StringTypes": (str, bytes),
        "TupleType": tuple,
        "TypeType": type,
        "UnicodeType": str,
    }


def _fdopen(number: int, mode: str = "r", buffering: int = -1) -> Any:
    return open_file(number, mode, buffering)


class _DictMixin(collections.abc.MutableMapping):
    """Makes a dictionary of a class that has keys and the methods of [] alone."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())


def _imap(function: Any, *given: Iterable[Any]) -> Iterator[Any]:
    """Map lazily; without a function, to tuples."""
    if function is None:
        return zip(*given, strict=False)
    return map(function, *given)


def _nothing(*_: object) -> None:
    """What a call that Python 3 has no use for does."""


class _Random(random.Random):
    """Gives the numbers of Python 2's random for the same seed."""

    def _randbelow(self, n: int) -> int:
        return int(self.random() * n)

    def seed(self, a: Any = None, version: int = 1) -> None:
        """Seed with a number or text."""
        super().seed(a, version)


def _random_names() -> dict[str, Any]:
    """The functions of the module random, of a generator that all files of Python 2 share."""
    one = _Random()
    named = [name for name in random.__all__ if hasattr(one, name)]
    return {"Random": _Random, **{name: getattr(one, name) for name in named}}


def _md5(name: str) -> dict[str, Any]:
    hashlib = importlib.import_module("hashlib")
    function = getattr(hashlib, {"sha": "sha1"}.get(name, name))
    new = lambda value="": function(data(value))  # noqa: E731
    return {"new": new, name: new}


def _abstract() -> dict[str, Any]:
    return {name: getattr(collections.abc, name) for name in collections.abc.__all__}


def _yaml_load(stream: Any, Loader: Any = None) -> Any:
    """Load YAML as versions before PyYAML 6 do, which need no Loader."""
    yaml = sys.modules["yaml"]  # the script has imported it
    return yaml.load(stream, Loader or yaml.FullLoader)


def _floor(value: Any) -> float:
    return float(math.floor(value))


def _ceil(value: Any) -> float:
    return float(math.ceil(value))


_OLD: dict[str, Callable[[], dict[str, Any]]] = {
    "ConfigParser": lambda: {
        "SafeConfigParser": importlib.import_module("configparser").ConfigParser,
    },
    "StringIO": lambda: {"StringIO": StringIO},
    "cStringIO": lambda: {"StringIO": StringIO},
    "cPickle": _pickle_names,
    "UserDict": lambda: {
        "DictMixin": _DictMixin,
        "IterableUserDict": collections.UserDict,
    },
    "collections": _abstract,
    "csv": lambda: {
        "reader": lambda lines, *a, **k: csv.reader(_text_lines(lines), *a, **k),
        "DictReader": lambda lines, *a, **k: csv.DictReader(_text_lines(lines), *a, **k),
    },
    "exceptions": lambda: {"StandardError": Exception},
    "itertools": lambda: {
        "ifilter": filter,
        "ifilterfalse": itertools.filterfalse,
        "imap": _imap,
        "izip": zip,
        "izip_longest": itertools.zip_longest,
    },
    "json": lambda: {"dump": _json(json.dump), "dumps": _json(json.dumps)},
    "math": lambda: {"ceil": _ceil, "floor": _floor},
    "md5": lambda: _md5("md5"),
    "os": lambda: {"fdopen": _fdopen, "getcwdu": os.getcwd},
    "pickle": _pickle_names,
    "random": _random_names,
    "sets": lambda: {"ImmutableSet": frozenset, "Set": set},
    "sha": lambda: _md5("sha"),
    "string": _string_names,
    "subprocess": lambda: {"Popen": _Popen, "check_output": _check_output},
    "sys": lambda: {
        "exc_clear": _nothing,
        "maxint": sys.maxsize,
        "py3kwarning": False,
        "setdefaultencoding": _nothing,
    },
    "time": lambda: {"clock": time.process_time},
    "types": _types_names,
    "urllib": dict,
    "yaml": lambda: {"load": _yaml_load},
}
_MADE: dict[str, ModuleType] = {"__builtin__": names.MODULE}


def renamed(name: str) -> ModuleType:
    """Return a module that only Python 2 has. name: one of RENAMED."""
    if name not in _MADE:
        behind = tuple(importlib.import_module(new) for new in RENAMED[name])
        _MADE[name] = Module(name, _OLD.get(name, dict)(), behind)
    return _MADE[name]


def with_old_names(module: ModuleType) -> ModuleType:
    """Return a module of Python 3 with the names that Python 2's has, or the module itself."""
    name = module.__name__
    if name not in _OLD or name in RENAMED:
        return module
    if name not in _MADE:
        behind = [importlib.import_module(other) for other in _SPREAD.get(name, ())]
        _MADE[name] = Module(name, _OLD[name](), (module, *behind))
    return _MADE[name]
