"""Computes the learning rate of an iteration, by Caffe's eight lr policies.

Source: weiliu89/caffe, src/caffe/solvers/sgd_solver.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from netrun.runtime import log
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest


class Schedule:
    """The learning rates of one run, and the state that a policy keeps between iterations.

    A `.solverstate` stores that state too.

    current_step: how often the policy has lowered the rate (step, multistep, plateau).
    minimum_loss: plateau's lowest smoothed loss.
    last_event: the iteration of that loss, or when plateau last lowered the rate.

    Raises CaffeError for an unknown policy, and for one without a field that it needs.
    """

    NO_LOSS_YET = float(np.finfo(np.float32).max)

    def __init__(self, param: pb.SolverParameter) -> None:
        _check(param)
        self.param = param
        self.current_step = 0
        self.minimum_loss = self.NO_LOSS_YET
        self.last_event = 0

    def restore(self, current_step: int, minimum_loss: float, last_event: int) -> None:
        """Continue from a snapshot; the arguments are the fields of the same names."""
        self.current_step = current_step
        self.minimum_loss = minimum_loss
        self.last_event = last_event

    def rate(self, iteration: int, loss: float) -> float:
        """The rate for this iteration, rounded to float32.

        loss: the smoothed loss, which only plateau uses.
        """
        policy = _POLICIES[self.param.lr_policy]
        return float(np.float32(policy(self, iteration, loss)))

    def _lowered(self) -> float:
        return self.param.base_lr * self.param.gamma**self.current_step

    def _step(self, iteration: int, _: float) -> float:
        self.current_step = iteration // self.param.stepsize
        return self._lowered()

    def _multistep(self, iteration: int, _: float) -> float:
        steps = self.param.stepvalue
        # One step per iteration, as in Caffe.
        if self.current_step < len(steps) and iteration >= steps[self.current_step]:
            self.current_step += 1
            status = f"Iteration {iteration}, step = {self.current_step}"
            log.info(f"MultiStep Status: {status}", at="sgd_solver.cpp:47")
        return self._lowered()

    def _plateau(self, iteration: int, loss: float) -> float:
        if loss < self.minimum_loss:
            self.minimum_loss = loss
            self.last_event = iteration
        if self._waited_enough(iteration):
            self.current_step += 1
            self.last_event = iteration
            status = f"Iteration {iteration}, step = {self.current_step}"
            log.info(f"Plateau Status: {status}", at="sgd_solver.cpp:76")
        display = self.param.display
        if display and iteration % display == 0 and self.last_event > iteration - display:
            status = f"Iteration {iteration}, current minimum_loss = {self.minimum_loss:g}"
            log.info(f"Plateau Status: {status}", at="sgd_solver.cpp:83")
        return self._lowered()

    def _waited_enough(self, iteration: int) -> bool:
        """Tell whether plateau's loss has not fallen for a whole window of iterations."""
        windows = self.param.plateau_winsize
        if self.current_step >= len(windows):
            return False
        return iteration >= self.last_event + windows[self.current_step]


def _check(param: pb.SolverParameter) -> None:
    policy = param.lr_policy
    if policy not in _POLICIES:
        known = ""
        if not policy:
            known = f": set it to one of {', '.join(_POLICIES)}"
        near = suggest(policy, _POLICIES)
        raise CaffeError(f"solver: unknown lr_policy '{policy}'{known}{near}")
    if policy == "step" and param.stepsize < 1:
        needs = f"a stepsize of at least 1, not {param.stepsize}"
        raise CaffeError(f"solver: lr_policy 'step' needs {needs}")
    if policy == "poly" and param.max_iter < 1:
        raise CaffeError("solver: lr_policy 'poly' needs max_iter")


def _fixed(schedule: Schedule, _: int, __: float) -> float:
    return schedule.param.base_lr


def _exp(schedule: Schedule, iteration: int, _: float) -> float:
    p = schedule.param
    return p.base_lr * p.gamma**iteration


def _inv(schedule: Schedule, iteration: int, _: float) -> float:
    p = schedule.param
    return p.base_lr * (1 + p.gamma * iteration) ** -p.power


def _poly(schedule: Schedule, iteration: int, _: float) -> float:
    p = schedule.param
    return p.base_lr * max(0.0, 1 - iteration / p.max_iter) ** p.power


def _sigmoid(schedule: Schedule, iteration: int, _: float) -> float:
    p = schedule.param
    exponent = -p.gamma * (iteration - p.stepsize)
    if exponent < 700:
        return p.base_lr / (1 + math.exp(exponent))
    return 0.0  # exp overflows; in float32 the rate is 0 long before


_POLICIES: dict[str, Callable[[Schedule, int, float], float]] = {
    "fixed": _fixed,
    "step": Schedule._step,
    "exp": _exp,
    "inv": _inv,
    "multistep": Schedule._multistep,
    "poly": _poly,
    "sigmoid": _sigmoid,
    "plateau": Schedule._plateau,
}
