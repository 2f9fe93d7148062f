"""netrun: the embedded engine, Caffe's nets on PyTorch. `netrun.Net` and the solvers in the manner of pycaffe."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caffe_ir.caffe_ir_pb2 import TEST, TRAIN
    from netrun import io
    from netrun.mode import set_device, set_mode_cpu, set_mode_gpu, set_random_seed
    from netrun.net import Net
    from netrun.pycaffe import Classifier, Detector, NetSpec, __version__, layer_type_list, params, proto, to_proto
    from netrun.python_layers import Layer
    from netrun.solver import Solver, get_solver
    from netrun.solvers import AdaDeltaSolver, AdaGradSolver, AdamSolver, NesterovSolver, RMSPropSolver, SGDSolver

_HOMES = {
    "net": ["Net"],
    "solver": ["Solver", "get_solver"],
    "solvers": ["SGDSolver", "NesterovSolver", "AdaGradSolver", "RMSPropSolver", "AdaDeltaSolver", "AdamSolver"],
    "mode": ["set_mode_cpu", "set_mode_gpu", "set_device", "set_random_seed"],
    "python_layers": ["Layer"],
    "pycaffe": ["Classifier", "Detector", "NetSpec", "__version__", "layer_type_list", "params", "proto", "to_proto"],
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


def __getattr__(name: str) -> Any:
    """What pycaffe's users know, imported when it is first asked for: `netrun --help` need not wait for torch."""
    if name in _MODULES:
        return getattr(importlib.import_module(f"netrun.{_MODULES[name]}"), name)
    if name in ("TRAIN", "TEST"):
        return getattr(importlib.import_module("caffe_ir.caffe_ir_pb2"), name)
    if name in ("io", "layers"):
        return importlib.import_module(f"netrun.{name}")
    raise AttributeError(f"module 'netrun' has no attribute '{name}'")
