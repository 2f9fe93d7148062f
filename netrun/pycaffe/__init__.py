"""The module `caffe` for pycaffe's scripts: `netrun python SCRIPT` runs a script with it."""

from __future__ import annotations

from caffe_ir.caffe_ir_pb2 import TEST, TRAIN
from netrun.layers import layer_types
from netrun.pycaffe import io, proto
from netrun.pycaffe.classifier import Classifier
from netrun.pycaffe.detector import Detector
from netrun.pycaffe.mode import set_device, set_mode_cpu, set_mode_gpu, set_random_seed
from netrun.pycaffe.net import Net
from netrun.pycaffe.net_spec import NetSpec, layers, params, to_proto
from netrun.pycaffe.python_host import Layer
from netrun.pycaffe.solvers import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    get_solver,
)

__version__ = "1.0.0-rc3"  # of the Caffe that has this interface

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
    "get_solver",
    "io",
    "layer_type_list",
    "layers",
    "params",
    "proto",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_random_seed",
    "to_proto",
]


def layer_type_list() -> list[str]:
    """List the layer types that netrun runs, sorted."""
    return list(layer_types())
