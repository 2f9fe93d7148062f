"""netrun: Caffe's nets on PyTorch.

Every command is a function here: `train`, `test`, `detect`, `coco`, `time`, `show`, `plot`,
`status`, `list_weights`, `fit_weights`, `convert_weights` and `compare_weights`. `Net`, the
solvers and the other names are pycaffe's: `import netrun as caffe`. `__init__.pyi` lists all.
"""

from __future__ import annotations

import importlib
from typing import Any

from netrun.runtime import extensions as _extensions
from ssd_common.face import Face

_FACE = Face(__name__, __file__)
__all__ = list(_FACE.modules)
__dir__ = _FACE.directory


def __getattr__(name: str) -> Any:
    """Load a name of __init__.pyi, or the room `layers`, which pycaffe has as a name, too."""
    if name == "layers":
        return importlib.import_module("netrun.layers")
    return _FACE.load(name)


def _python_layer_host(layer: Any, phase: int) -> Any:
    python_host = importlib.import_module("netrun.pycaffe.python_host")
    return python_host.Host(layer, phase)


def _layer_function(name: str) -> Any:
    net_spec = importlib.import_module("netrun.pycaffe.net_spec")
    return getattr(net_spec.layers, name)


_extensions.provide(python_layer_host=_python_layer_host, layer_function=_layer_function)
