"""The names of pycaffe's compiled module, `caffe._caffe`."""

from __future__ import annotations

from caffe_ir.caffe_ir_pb2 import LayerParameter, NetParameter, SolverParameter
from netrun.layers import layer_types
from netrun.pycaffe.blob_arrays import Blob, BlobVec
from netrun.pycaffe.mode import (
    set_device,
    set_mode_cpu,
    set_mode_gpu,
    set_multiprocess,
    set_random_seed,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from netrun.pycaffe.net import Net
from netrun.pycaffe.parallel import NCCL, Timer, has_nccl, init_log
from netrun.pycaffe.parallel import log_text as log
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

__version__ = "1.0.0-rc3"  # of the Caffe whose interface this is

__all__ = [
    "NCCL",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Blob",
    "BlobVec",
    "Layer",
    "LayerParameter",
    "NesterovSolver",
    "Net",
    "NetParameter",
    "RMSPropSolver",
    "SGDSolver",
    "Solver",
    "SolverParameter",
    "Timer",
    "get_solver",
    "has_nccl",
    "init_log",
    "layer_type_list",
    "log",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
]


def layer_type_list() -> list[str]:
    """List the layer types that netrun runs, sorted."""
    return list(layer_types())
