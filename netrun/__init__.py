"""netrun: Caffe's nets on PyTorch.

Every command is a function here: `train`, `test`, `detect`, `coco`, `time`, `show`, `plot`,
`status`, `list_weights`, `fit_weights`, `convert_weights` and `compare_weights`. `Net`, the
solvers and the other names are pycaffe's: `import netrun as caffe`. `__init__.pyi` lists all.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from netrun.runtime import extensions as _extensions

_LINE = re.compile(r"^from (\S+) import (\S+) as \2$", re.MULTILINE)


def _modules() -> dict[str, str]:
    """The module of every name in __init__.pyi."""
    stub = Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    return {name: module for module, name in _LINE.findall(stub)}


_MODULES = _modules()
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """Import a name's module on its first use, so that `netrun --help` need not wait for torch."""
    if name in _MODULES:
        module = importlib.import_module(_MODULES[name])
        return getattr(module, name)
    if name == "layers":
        return importlib.import_module("netrun.layers")
    raise AttributeError(f"module 'netrun' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})


def _python_layer_host(layer: Any, phase: int) -> Any:
    python_host = importlib.import_module("netrun.pycaffe.python_host")
    return python_host.Host(layer, phase)


def _layer_function(name: str) -> Any:
    net_spec = importlib.import_module("netrun.pycaffe.net_spec")
    return getattr(net_spec.layers, name)


_extensions.provide(python_layer_host=_python_layer_host, layer_function=_layer_function)
