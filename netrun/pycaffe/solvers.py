"""The solvers by pycaffe's names: each takes a solver prototxt and trains with its own rule, whatever `type` says there."""

from __future__ import annotations

from typing import Any

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.training.solver import Solver


class _Typed(Solver):
    """A Solver of one type. param, options: as Solver's."""

    kind = ""

    def __init__(self, param: Any, *args: Any, **options: Any) -> None:
        typed = pb.SolverParameter()
        if isinstance(param, pb.SolverParameter):
            typed.CopyFrom(param)
        else:
            typed.CopyFrom(text.read_solver(param))
            options.setdefault("path", param)
        typed.type = self.kind
        super().__init__(typed, *args, **options)


class SGDSolver(_Typed):
    kind = "SGD"


class NesterovSolver(_Typed):
    kind = "Nesterov"


class AdaGradSolver(_Typed):
    kind = "AdaGrad"


class RMSPropSolver(_Typed):
    kind = "RMSProp"


class AdaDeltaSolver(_Typed):
    kind = "AdaDelta"


class AdamSolver(_Typed):
    kind = "Adam"
