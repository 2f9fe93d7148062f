"""The learning rate at an iteration: Caffe's eight lr policies (weiliu89/caffe, src/caffe/solvers/sgd_solver.cpp)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from netrun.runtime import log
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest


class Schedule:
    """Learning rates of one run, with what a policy remembers between iterations (and a `.solverstate` keeps).

    current_step: how often the rate has been lowered (step, multistep, plateau).
    minimum_loss, last_event: plateau's lowest smoothed loss, and the iteration of that or of the last lowering.
    Raises CaffeError for an unknown policy, and for one that lacks a field without which it is no policy.
    """

    NO_LOSS_YET = float(np.finfo(np.float32).max)

    def __init__(self, param: pb.SolverParameter) -> None:
        if param.lr_policy not in _POLICIES:
            known = "" if param.lr_policy else f": set it to one of {', '.join(_POLICIES)}"
            raise CaffeError(f"solver: unknown lr_policy '{param.lr_policy}'{known}{suggest(param.lr_policy, _POLICIES)}")
        if param.lr_policy == "step" and param.stepsize < 1:
            raise CaffeError(f"solver: lr_policy 'step' needs a stepsize of at least 1, not {param.stepsize}")
        if param.lr_policy == "poly" and param.max_iter < 1:
            raise CaffeError("solver: lr_policy 'poly' needs max_iter")
        self.param = param
        self.current_step = 0
        self.minimum_loss = self.NO_LOSS_YET
        self.last_event = 0

    def rate(self, iteration: int, loss: float) -> float:
        """The rate for this iteration, rounded to float32. loss: the smoothed loss, which only plateau looks at."""
        return float(np.float32(_POLICIES[self.param.lr_policy](self, iteration, loss)))

    def _lowered(self) -> float:
        return self.param.base_lr * self.param.gamma**self.current_step

    def _step(self, iteration: int, _: float) -> float:
        self.current_step = iteration // self.param.stepsize
        return self._lowered()

    def _multistep(self, iteration: int, _: float) -> float:
        steps = self.param.stepvalue
        if self.current_step < len(steps) and iteration >= steps[self.current_step]:  # one step an iteration, as Caffe
            self.current_step += 1
            log.info(f"MultiStep Status: Iteration {iteration}, step = {self.current_step}", at="sgd_solver.cpp:47")
        return self._lowered()

    def _plateau(self, iteration: int, loss: float) -> float:
        if loss < self.minimum_loss:
            self.minimum_loss, self.last_event = loss, iteration
        windows = self.param.plateau_winsize
        if self.current_step < len(windows) and iteration >= self.last_event + windows[self.current_step]:
            self.current_step += 1
            self.last_event = iteration
            log.info(f"Plateau Status: Iteration {iteration}, step = {self.current_step}", at="sgd_solver.cpp:76")
        display = self.param.display
        if display and iteration % display == 0 and self.last_event > iteration - display:
            log.info(f"Plateau Status: Iteration {iteration}, current minimum_loss = {self.minimum_loss:g}", at="sgd_solver.cpp:83")
        return self._lowered()


def _inv(schedule: Schedule, iteration: int, _: float) -> float:
    p = schedule.param
    return p.base_lr * (1 + p.gamma * iteration) ** -p.power


def _poly(schedule: Schedule, iteration: int, _: float) -> float:
    p = schedule.param
    return p.base_lr * max(0.0, 1 - iteration / p.max_iter) ** p.power


def _sigmoid(schedule: Schedule, iteration: int, _: float) -> float:
    p = schedule.param
    exponent = -p.gamma * (iteration - p.stepsize)
    return p.base_lr / (1 + math.exp(exponent)) if exponent < 700 else 0.0  # exp overflows beyond; the rate is 0 to float32


_POLICIES: dict[str, Callable[[Schedule, int, float], float]] = {
    "fixed": lambda schedule, *_: schedule.param.base_lr,
    "step": Schedule._step,
    "exp": lambda schedule, iteration, _: schedule.param.base_lr * schedule.param.gamma**iteration,
    "inv": _inv,
    "multistep": Schedule._multistep,
    "poly": _poly,
    "sigmoid": _sigmoid,
    "plateau": Schedule._plateau,
}
