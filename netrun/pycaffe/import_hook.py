"""Makes `import caffe` and `from caffe.proto import caffe_pb2` import netrun's modules.

Modules of a repository's own python/caffe/, such as its model_libs, come from there.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import InspectLoader, Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType

from netrun.pycaffe.own_modules import OwnModules
from netrun.pycaffe.python2 import importing

PACKAGE = "netrun.pycaffe"
ELSEWHERE = {"caffe.proto.caffe_pb2": "caffe_ir.caffe_ir_pb2"}


# These are one with the engine, so a repository's own never stand in for them.
_ENGINES = (
    "_caffe",
    "classifier",
    "detector",
    "draw",
    "io",
    "net_spec",
    "proto",
    "pycaffe",
)
# A repository's own win over these.
_LIBRARIES = ("coord_map", "model_libs")


class _Finder(MetaPathFinder, Loader):
    """Finds `caffe` and its modules as the very modules of netrun, or a repository's own.

    So a class stays the same class under every name by which a script imports it.
    """

    def __init__(self) -> None:
        self.specs: dict[str, ModuleSpec | None] = {}
        self.own = OwnModules()

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        caffe, _, module = name.partition(".")
        if caffe != "caffe":
            return None
        first = module.split(".", maxsplit=1)[0]
        if first in ("", *_ENGINES):
            return self._netruns(name)
        if "." in module:  # its package is the repository's own
            return None
        own = self.own.find(name)
        if own is not None:
            return own
        if first in _LIBRARIES:
            return self._netruns(name)
        message = f"netrun has no {name}; {self.own.advice(module)}"
        raise ModuleNotFoundError(message, name=name)

    def _netruns(self, name: str) -> ModuleSpec | None:
        real = ELSEWHERE.get(name, PACKAGE + name.removeprefix("caffe"))
        found = importlib.util.find_spec(real)
        if found is None:
            raise ModuleNotFoundError(f"netrun has no {name}", name=name)
        return ModuleSpec(
            name,
            self,
            is_package=found.submodule_search_locations is not None,
            loader_state=real,
        )

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(spec.loader_state)
        if spec.name == "caffe":
            return _face(module)
        self.specs[spec.name] = module.__spec__
        return module

    def get_code(self, name: str) -> CodeType | None:
        """Give the code of a module that runs as the main one."""
        real = ELSEWHERE.get(name, PACKAGE + name.removeprefix("caffe"))
        found = importlib.util.find_spec(real)
        if found is None or not isinstance(found.loader, InspectLoader):
            return None
        return found.loader.get_code(real)

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__  # the import system has put the alias's spec there
        if spec is not None and spec.name in self.specs:
            module.__spec__ = self.specs.pop(spec.name)


def _face(package: ModuleType) -> ModuleType:
    """The module `caffe`: pycaffe's names alone, so that a repository can add modules.

    netrun's package has more modules, which would hide a repository's own of the same names.
    """
    face = ModuleType("caffe", package.__doc__)
    for name in (*package.__all__, *_ENGINES, "__all__", "__file__", "__version__"):
        if hasattr(package, name):
            setattr(face, name, getattr(package, name))
    return face


_FINDER = _Finder()


def install(script: str = "") -> None:
    """Make `import caffe` in this process import netrun's, and read Python 2 modules as such.

    A real pycaffe stays if the process has already imported it.
    script: the file whose repository may have modules of its own; "": of the working directory.
    """
    importing.install()
    if script:
        _FINDER.own.script = script
    if "caffe" not in sys.modules and _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def advice(error: Exception) -> str:
    """Say where `caffe.model_libs` is looked for, if a script missed a name in netrun's.

    Returns "" for another error, and where the script has a repository's own.
    """
    module = sys.modules.get("caffe.model_libs")
    if module is None or module is not sys.modules.get(f"{PACKAGE}.model_libs"):
        return ""
    missed = isinstance(error, NameError)
    missed |= isinstance(error, AttributeError) and error.obj is module
    missed |= isinstance(error, ImportError) and error.name == module.__name__
    if not missed:
        return ""
    return f"caffe.model_libs is netrun's here; {_FINDER.own.advice('model_libs')}"
