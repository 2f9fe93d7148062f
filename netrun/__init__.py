"""netrun: the embedded engine, Caffe's nets on PyTorch. `netrun.Net` and the solvers in the manner of pycaffe."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from netrun.runtime import extensions as _extensions
from ssd_common.version import __version__

if TYPE_CHECKING:
    from caffe_ir.caffe_ir_pb2 import TEST, TRAIN
    from netrun.pycaffe import Classifier, Detector, NetSpec, io, layer_type_list, params, proto, to_proto
    from netrun.pycaffe.mode import set_device, set_mode_cpu, set_mode_gpu, set_random_seed
    from netrun.pycaffe.net import Net
    from netrun.pycaffe.python_host import Layer
    from netrun.pycaffe.solvers import (
        AdaDeltaSolver,
        AdaGradSolver,
        AdamSolver,
        NesterovSolver,
        RMSPropSolver,
        SGDSolver,
        Solver,
        get_solver,
    )

_HOMES = {
    "pycaffe.net": ["Net"],
    "pycaffe.solvers": [
        "Solver",
        "get_solver",
        "SGDSolver",
        "NesterovSolver",
        "AdaGradSolver",
        "RMSPropSolver",
        "AdaDeltaSolver",
        "AdamSolver",
    ],
    "pycaffe.mode": ["set_mode_cpu", "set_mode_gpu", "set_device", "set_random_seed"],
    "pycaffe.python_host": ["Layer"],
    "pycaffe": ["Classifier", "Detector", "NetSpec", "layer_type_list", "params", "proto", "to_proto"],
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Classifier",
    "Detector",
    "Layer",
    "NesterovSolver",
    "Net",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "Solver",
    "__version__",
    "get_solver",
    "io",
    "layer_type_list",
    "params",
    "proto",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_random_seed",
    "to_proto",
]


def _python_layer_host(layer: Any, phase: int) -> Any:
    return importlib.import_module("netrun.pycaffe.python_host").Host(layer, phase)


def _layer_function(name: str) -> Any:
    return getattr(importlib.import_module("netrun.pycaffe.net_spec").layers, name)


_extensions.provide(python_layer_host=_python_layer_host, layer_function=_layer_function)


def __getattr__(name: str) -> Any:
    """What pycaffe's users know, imported when it is first asked for: `netrun --help` need not wait for torch."""
    if name in _MODULES:
        return getattr(importlib.import_module(f"netrun.{_MODULES[name]}"), name)
    if name in ("TRAIN", "TEST"):
        return getattr(importlib.import_module("caffe_ir.caffe_ir_pb2"), name)
    if name == "io":
        return importlib.import_module("netrun.pycaffe.io")
    if name == "layers":
        return importlib.import_module("netrun.layers")
    raise AttributeError(f"module 'netrun' has no attribute '{name}'")
