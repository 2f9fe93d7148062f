"""Makes `import caffe` and `from caffe.proto import caffe_pb2` import netrun's modules."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

PACKAGE = "netrun.pycaffe"
ELSEWHERE = {
    "caffe.io": "netrun.pycaffe.io",
    "caffe.proto.caffe_pb2": "caffe_ir.caffe_ir_pb2",
}


class _Finder(MetaPathFinder, Loader):
    """Finds `caffe` and its modules as the very modules of netrun.

    So a class stays the same class under every name by which a script imports it.
    """

    def __init__(self) -> None:
        self.specs: dict[str, ModuleSpec | None] = {}

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if name.split(".", maxsplit=1)[0] != "caffe":
            return None
        real = ELSEWHERE.get(name, PACKAGE + name.removeprefix("caffe"))
        found = importlib.util.find_spec(real)
        if found is None:
            beside = _beside_a_fork(name)
            if beside is not None:
                return beside
            message = f"netrun has no {name}; a fork's own is taken where CAFFE_ROOT is set"
            raise ModuleNotFoundError(message, name=name)
        return ModuleSpec(
            name,
            self,
            is_package=found.submodule_search_locations is not None,
            loader_state=real,
        )

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(spec.loader_state)
        self.specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:  # the import system has put the alias's spec there
            module.__spec__ = self.specs.pop(spec.name)


def _beside_a_fork(name: str) -> ModuleSpec | None:
    """Find a module `caffe.x` that netrun lacks, such as the user's own.

    Its folder is python/caffe of a fork, on sys.path or in CAFFE_ROOT.
    """
    if name.count(".") != 1:
        return None
    folders = list(sys.path)
    root = os.environ.get("CAFFE_ROOT")
    if root:
        folders.append(os.path.join(root, "python"))
    return PathFinder.find_spec(name, [os.path.join(folder, "caffe") for folder in folders])


_FINDER = _Finder()


def install() -> None:
    """Make `import caffe` in this process import netrun's.

    A real pycaffe stays if the process has already imported it.
    """
    if "caffe" not in sys.modules and _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
