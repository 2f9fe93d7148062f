"""netrun: the embedded engine, Caffe's nets on PyTorch. `netrun.Net` and the solvers in the manner of pycaffe."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from caffe_ir.caffe_ir_pb2 import TEST, TRAIN

if TYPE_CHECKING:
    from netrun.net import Net
    from netrun.solver import Solver, get_solver
    from netrun.solvers import AdaDeltaSolver, AdaGradSolver, AdamSolver, NesterovSolver, RMSPropSolver, SGDSolver

_SOLVERS = ("SGDSolver", "NesterovSolver", "AdaGradSolver", "RMSPropSolver", "AdaDeltaSolver", "AdamSolver")
_HOMES = {"Net": "net", "Solver": "solver", "get_solver": "solver", **dict.fromkeys(_SOLVERS, "solvers")}

__all__ = [
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "NesterovSolver",
    "Net",
    "RMSPropSolver",
    "SGDSolver",
    "Solver",
    "get_solver",
]


def __getattr__(name: str) -> Any:
    """What pycaffe's users know, imported when it is first asked for: `netrun --help` need not wait for torch."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"netrun.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'netrun' has no attribute '{name}'")
