"""Attributes that Python 3 lacks, or that give something else there."""

from __future__ import annotations

import binascii
import codecs
import functools
import hashlib
import io
import socket
import struct
import zlib
from collections.abc import Callable, ItemsView, KeysView, ValuesView
from types import ModuleType
from typing import Any

import lmdb
import numpy as np

from netrun.pycaffe.python2 import arrays
from netrun.pycaffe.python2.operations import compare, formatted
from netrun.pycaffe.python2.text import data, text

# Modules and types whose functions take bytes.
_TAKE_BYTES = (binascii, hashlib, struct, zlib)
_OF_BYTES = ("hex", "base64", "zlib", "zip", "bz2", "uu", "hex_codec", "base64_codec")
_TYPES_TAKE_BYTES = (lmdb.Transaction, lmdb.Cursor, socket.socket, struct.Struct)
_HASHES = ("_hashlib", "_md5", "_sha1", "_sha2")
_RENAMED = {
    "func_closure": "__closure__",
    "func_code": "__code__",
    "func_defaults": "__defaults__",
    "func_dict": "__dict__",
    "func_doc": "__doc__",
    "func_globals": "__globals__",
    "func_name": "__name__",
    "im_func": "__func__",
    "im_self": "__self__",
    "itervalues": "values",
    "iterkeys": "keys",
    "iteritems": "items",
    "viewitems": "items",
    "viewkeys": "keys",
    "viewvalues": "values",
    "getcwdu": "getcwd",
    "getiterator": "iter",
    "has_key": "__contains__",
    "next": "__next__",
    "tostring": "tobytes",
}


def get(owner: Any, name: str) -> Any:
    """Return what Python 2 finds as `owner.name`. name: one of METHODS."""
    return METHODS[name](owner, name)


def _listed(owner: Any, name: str) -> Any:
    """Get keys, values or items: a call gives a list."""
    method = getattr(owner, name)
    if not callable(method) or isinstance(method, type):
        return method

    @functools.wraps(method, updated=())
    def call(*args: Any, **named: Any) -> Any:
        found = method(*args, **named)
        if isinstance(found, (KeysView, ValuesView, ItemsView)):
            return list(found)
        return found

    return call


def _renamed(owner: Any, name: str) -> Any:
    """Get an attribute by its name in Python 2 or, where it has none, in Python 3."""
    if hasattr(owner, name):
        return getattr(owner, name)
    found = getattr(owner, _RENAMED[name], None)
    if found is None:
        return getattr(owner, name)  # the error names what the user wrote
    if name.startswith("iter"):
        return lambda *owners: iter(found(*owners))
    return found


def _sort(owner: Any, name: str) -> Any:
    """Get list.sort, which takes a function cmp and orders values of any two types."""
    if not isinstance(owner, list):
        return getattr(owner, name)

    def sort(cmp: Any = None, key: Any = None, reverse: bool = False) -> None:
        owner[:] = in_order(owner, cmp, key, reverse)

    return sort


def in_order(values: Any, cmp: Any = None, key: Any = None, reverse: bool = False) -> list[Any]:
    """Sort as Python 2's sorted does."""
    values = list(values)
    if cmp is None:
        try:
            return sorted(values, key=key, reverse=reverse)
        except TypeError:
            cmp = compare
    by_cmp = functools.cmp_to_key(cmp)
    if key is None:
        return sorted(values, key=by_cmp, reverse=reverse)
    return sorted(values, key=lambda value: by_cmp(key(value)), reverse=reverse)


def _decode(owner: Any, name: str) -> Any:
    if isinstance(owner, str):
        return functools.partial(_decoded, owner)
    return getattr(owner, name)


def _decoded(value: str, encoding: str = "ascii", errors: str = "strict") -> str | bytes:
    if _is_of_bytes(encoding):
        return text(codecs.decode(data(value), encoding))
    if encoding.replace("-", "_").lower() in ("unicode_escape", "string_escape"):
        return data(value).decode("unicode_escape", errors)
    return value


def _encode(owner: Any, name: str) -> Any:
    if isinstance(owner, bytes):
        owner = text(owner)
    if isinstance(owner, str):
        return functools.partial(_encoded, owner)
    return getattr(owner, name)


def _encoded(value: str, encoding: str = "ascii", errors: str = "strict") -> str:
    """Encode text to what is text, too; what the encoding lacks goes the way of `errors`."""
    if encoding == "string_escape":
        return repr(value)[1:-1]
    if _is_of_bytes(encoding):
        return text(codecs.encode(data(value), encoding))  # type: ignore[call-overload]
    if (not value.isascii() and errors != "strict") or encoding == "ascii":
        return value.encode(encoding, errors).decode(encoding)
    return value


def _is_of_bytes(encoding: str) -> bool:
    """Tell whether an encoding, such as hex, goes from bytes to bytes."""
    return encoding.lower() in _OF_BYTES


def _of_text(owner: Any, name: str) -> Any:
    """Get a method of text, which bytes have as well."""
    if isinstance(owner, bytes):
        owner = text(owner)
    return getattr(owner, name)


def _format(owner: Any, name: str) -> Any:
    if not isinstance(owner, str):
        return getattr(owner, name)

    def call(*args: Any, **named: Any) -> str:
        values = [formatted(value) for value in args]
        return owner.format(*values, **{key: formatted(value) for key, value in named.items()})

    return call


def _translate(owner: Any, name: str) -> Any:
    if not isinstance(owner, str):
        return getattr(owner, name)

    def call(table: Any, deleted: str = "") -> str:
        left = "".join(letter for letter in owner if letter not in deleted)
        if table is None:
            return left
        return left.translate(table)

    return call


def _write(owner: Any, name: str) -> Any:
    """Get a file's write, after which print puts no space; text and bytes go into each."""
    method = getattr(owner, name)
    if getattr(owner, "softspace", 0):
        owner.softspace = 0
    file = getattr(owner, "file", owner)
    if isinstance(file, io.TextIOBase):
        return lambda value: method(text(value))
    if isinstance(file, (io.BufferedIOBase, io.RawIOBase)):
        return lambda value: method(data(value))
    return method


def _of_bytes(owner: Any, name: str) -> Any:
    """Get a function that takes bytes, and make it take text."""
    method = getattr(owner, name)
    if isinstance(owner, ModuleType):
        takes = real(owner) in _TAKE_BYTES
    else:
        takes = isinstance(owner, _TYPES_TAKE_BYTES) or type(owner).__module__ in _HASHES
    if takes:
        return _encoding(method, first=real(owner) is struct)
    return method


def _encoding(method: Any, first: int) -> Any:
    """Make a function take text for bytes. first: the place of the first argument of bytes."""

    def call(*args: Any, **named: Any) -> Any:
        return method(*args[:first], *map(_maybe_data, args[first:]), **named)

    return call


def _maybe_data(value: Any) -> Any:
    if isinstance(value, str):
        return data(value)
    return value


def _of_message(owner: Any, name: str) -> Any:
    """Get a parser of protobuf's, which takes the text that a file of bytes was read to."""
    method = getattr(owner, name)
    if hasattr(owner, "SerializeToString"):
        return _encoding(method, first=0)
    return method


def real(value: Any) -> Any:
    """Return the module behind one that has Python 2's names as well; else the value itself."""
    if isinstance(value, ModuleType):
        return vars(value).get("__python3__", value)
    return value


def _fromstring(owner: Any, name: str) -> Any:
    if owner is not np:
        return getattr(owner, name)

    def call(string: Any, dtype: Any = float, count: int = -1, sep: str = "") -> np.ndarray:
        if sep:
            return np.fromstring(text(string), dtype, count, sep=sep)
        return np.frombuffer(data(string), dtype, count).copy()

    return call


def _message(owner: Any, name: str) -> Any:
    if not isinstance(owner, BaseException) or hasattr(owner, name):
        return getattr(owner, name)
    if len(owner.args) == 1:
        return owner.args[0]
    return ""


def _getchildren(owner: Any, name: str) -> Any:
    if hasattr(owner, name) or not hasattr(owner, "iter"):
        return getattr(owner, name)
    return lambda: list(owner)


def _xreadlines(owner: Any, name: str) -> Any:
    if hasattr(owner, name) or not hasattr(owner, "readline"):
        return getattr(owner, name)
    return lambda: iter(owner)


_TEXT = (
    "count",
    "endswith",
    "find",
    "index",
    "isdigit",
    "join",
    "lower",
    "lstrip",
    "partition",
    "rfind",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "upper",
    "zfill",
)
METHODS: dict[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(_RENAMED, _renamed),
    **dict.fromkeys(("keys", "values", "items"), _listed),
    **dict.fromkeys(_TEXT, _of_text),
    **dict.fromkeys(("get", "put", "delete", "pop", "replace", "set_key", "set_range"), _of_bytes),
    **dict.fromkeys(("md5", "sha1", "sha224", "sha256", "sha512", "update"), _of_bytes),
    **dict.fromkeys(("unpack", "unpack_from", "compress", "decompress", "crc32"), _of_bytes),
    **dict.fromkeys(("ParseFromString", "MergeFromString", "FromString"), _of_message),
    **dict.fromkeys(("send", "sendall"), _of_bytes),
    **dict.fromkeys(arrays.NAMES, arrays.get),
    "sort": _sort,
    "decode": _decode,
    "encode": _encode,
    "format": _format,
    "translate": _translate,
    "write": _write,
    "fromstring": _fromstring,
    "message": _message,
    "getchildren": _getchildren,
    "xreadlines": _xreadlines,
}
