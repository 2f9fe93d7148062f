"""Imports the user's modules that are Python 2, and does imports as Python 2 does."""

from __future__ import annotations

import builtins
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from netrun.pycaffe.python2 import names, reader
from netrun.pycaffe.python2.modules import RENAMED, renamed, with_old_names


def use(module_names: dict[str, Any]) -> None:
    """Make code that runs with these names find Python 2's builtins."""
    module_names["__builtins__"] = names.MODULE


class Loader(SourceFileLoader):
    """Runs a module of Python 2."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self.code = code

    def get_code(self, fullname: str) -> CodeType:
        """Return the module's code."""
        return self.code

    def exec_module(self, module: ModuleType) -> None:
        """Run the module."""
        use(vars(module))
        exec(self.code, vars(module))


class Finder(MetaPathFinder):
    """Finds the user's modules that are Python 2, and leaves all others to the next finder."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find a module of Python 2."""
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or not as_python2(spec):
            return None
        return spec


def as_python2(spec: ModuleSpec) -> bool:
    """Give a module that is Python 2 its loader. Returns whether it is."""
    path = spec.origin
    if type(spec.loader) is not SourceFileLoader or path is None or not is_users(path):
        return False
    try:
        source = reader.decode(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    code = reader.code(source, path)
    if code is None:
        if _IMPORTING:
            reader.warn_of_division(source, path)
        return False
    spec.loader = Loader(spec.name, path, code)
    spec.cached = None
    return True


def is_users(path: str) -> bool:
    """Tell whether a file is neither the standard library's, nor installed, nor netrun's."""
    if path.startswith("<"):  # such as "<frozen importlib._bootstrap>"
        return False
    full = os.path.realpath(path)
    installed = "site-packages" in full or "dist-packages" in full
    return not installed and not full.startswith(_NOT_THE_USERS)


def _not_the_users() -> tuple[str, ...]:
    """The folders of Python's library and of this project's packages."""
    own = Path(__file__).resolve().parents[3]
    packages = ("netrun", "netgen", "data_prep", "caffe_ir", "ssd_common")
    folders = [str(own / package) for package in packages]
    folders += [sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib")]
    return tuple(os.path.join(os.path.realpath(folder), "") for folder in folders)


_NOT_THE_USERS = _not_the_users()
_FINDER = Finder()
_IMPORTING: list[str] = []  # what files of Python 2 are importing now


def install() -> None:
    """Have this process read the user's modules of Python 2 as such."""
    if _FINDER not in sys.meta_path:
        at = len(sys.meta_path)
        if PathFinder in sys.meta_path:
            at = sys.meta_path.index(PathFinder)
        sys.meta_path.insert(at, _FINDER)


def _import(
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """Import for a file of Python 2: from its own package first, and by old names.

    Source: docs.python.org/2.7, 6.12 "The import statement", and PEP 328.
    """
    if level <= 0:
        level = int(_is_in_package(name, globals or {}))
    top = name.split(".", maxsplit=1)[0]
    if level == 0 and top in RENAMED and not _is_found(top):
        return renamed(top)
    _IMPORTING.append(name)
    try:
        module = builtins.__import__(name, globals, locals, fromlist or (), level)
    finally:
        _IMPORTING.pop()
    return with_old_names(module)


def _is_in_package(name: str, importer: Mapping[str, Any]) -> bool:
    """Tell whether the importing module's own package has such a module."""
    package = importer.get("__package__")
    if not package or "absolute_import" in importer:
        return False
    first = f"{package}.{name.partition('.')[0]}"
    return first in sys.modules or _is_found(first)


def _is_found(name: str) -> bool:
    if name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


vars(names.MODULE)["__import__"] = _import
