"""pycaffe's solvers: training runs with pycaffe's nets.

Solver trains by the prototxt's own rule; each of the others trains by the rule of its name,
whatever the prototxt's `type` is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.pycaffe.net import Net, run_options
from netrun.training import solver
from netrun.training.callback import Processes
from ssd_common.errors import CaffeError


@dataclass(frozen=True)
class _Functions:
    """A solver's Callback of two functions."""

    on_start: Callable[[], object]
    on_gradients_ready: Callable[[], object]


class Solver(solver.Solver):
    """A training run; `net` and `test_nets` are pycaffe's Nets.

    param, device, path: as in netrun.training.solver.Solver.
    rank, world: this process among those that train together.
    more: `options`, as in netrun.training's Solver, and fields of RunOptions by name, such as
        precision.
    Raises CaffeError where the solver, its nets or their data are wrong.
    """

    net: Net
    test_nets: Sequence[Net]

    def __init__(
        self,
        param: pb.SolverParameter | str | Path,
        device: torch.device | str | None = None,
        rank: int | None = None,
        world: int | None = None,
        path: str | Path | None = None,
        **more: Any,
    ) -> None:
        given = {"rank": rank, "world": world}
        more |= {name: value for name, value in given.items() if value is not None}
        options = run_options(more)
        super().__init__(param, device, path, options=options, net_class=Net, **more)

    def add_callback(
        self,
        on_start: Callable[[], object] | Processes,
        on_gradients_ready: Callable[[], object] | None = None,
    ) -> None:
        """Call two functions in every iteration, or join other processes.

        on_start: called before the first pass; or, alone, a `caffe.NCCL` to join.
        on_gradients_ready: called before the update.
        Raises CaffeError where only one function is given.
        """
        if on_gradients_ready is None:
            if callable(on_start):
                raise CaffeError("add_callback takes two functions, or one caffe.NCCL")
            self.join(on_start)
            return
        assert callable(on_start)
        self.call(_Functions(on_start, on_gradients_ready))


def get_solver(path: str | Path, device: torch.device | str | None = None) -> Solver:
    """Make the solver of a prototxt.

    Raises CaffeError where the solver, its nets or their data are wrong.
    """
    return Solver(path, device)


class _Typed(Solver):
    """A Solver of one type; its arguments are Solver's."""

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
    """Stochastic gradient descent with momentum."""

    kind = "SGD"


class NesterovSolver(_Typed):
    """Nesterov's accelerated gradient."""

    kind = "Nesterov"


class AdaGradSolver(_Typed):
    """AdaGrad (Duchi et al. 2011)."""

    kind = "AdaGrad"


class RMSPropSolver(_Typed):
    """RMSProp (Tieleman and Hinton 2012)."""

    kind = "RMSProp"


class AdaDeltaSolver(_Typed):
    """AdaDelta (Zeiler 2012)."""

    kind = "AdaDelta"


class AdamSolver(_Typed):
    """Adam (Kingma and Ba 2015)."""

    kind = "Adam"
