"""Training in several processes as pycaffe's scripts do it, over torch.distributed.

`python/train.py` of Caffe starts a process for each GPU, and joins them with NCCL.
"""

from __future__ import annotations

import os
import time
from typing import Any

import torch
import torch.distributed as dist

from netrun.pycaffe import mode
from netrun.pycaffe.solvers import Solver
from netrun.runtime import log
from netrun.training.actions import Action
from netrun.training.callback import Processes
from netrun.training.distributed import Averaging, Place, meeting_point
from ssd_common.errors import CaffeError

# Meeting places that this process opened; they last as long as the process.
_STORES: list[dist.TCPStore] = []


class _Joining:
    """A solver as Averaging sees it, which does not join before `add_callback`."""

    def __init__(self, solver: Solver) -> None:
        self.net = solver.net

    def join(self, processes: Processes) -> None:
        """Do nothing: `add_callback` joins."""


class NCCL:
    """The processes that train together: pycaffe's `caffe.NCCL`.

    Between GPUs it uses NCCL, between CPUs Gloo. set_solver_count and set_solver_rank say how many
    processes there are and which is this one.
    solver: this process's solver.
    uid: new_uid() of the process that started the others.
    Raises CaffeError for another uid, and where the other processes cannot be reached.
    """

    def __init__(self, solver: Solver, uid: str) -> None:
        address, _, port = str(uid).rpartition(":")
        if not address or not port.isdigit():
            raise CaffeError(f"NCCL: uid should be what NCCL.new_uid() returned, not {uid!r}")
        os.environ["MASTER_ADDR"] = address
        os.environ["MASTER_PORT"] = port
        os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"
        self._solver = solver
        here = Place(mode.solver_rank(), mode.solver_count(), mode.solver_rank())
        joining: Any = _Joining(solver)
        self._averaging = Averaging(joining, here)

    @staticmethod
    def new_uid() -> str:
        """Open a place on this machine where the processes meet, and return its address."""
        store, environment = meeting_point(1)
        _STORES.append(store)
        return f"{environment['MASTER_ADDR']}:{environment['MASTER_PORT']}"

    def bcast(self) -> None:
        """Give all processes rank 0's weights and histories.

        Raises CaffeError where the other processes cannot be reached.
        """
        self._averaging.share(self._solver)

    def on_start(self) -> None:
        """Raise CaffeError where the process that started this one has ended."""
        self._averaging.on_start()

    def on_gradients_ready(self) -> None:
        """Put the mean over all processes in the place of each gradient."""
        self._averaging.on_gradients_ready()

    def agree(self, action: Action) -> Action:
        """The action that all processes take now. action: what this one was asked for."""
        return self._averaging.agree(action)


class Timer:
    """A stopwatch: pycaffe's `caffe.Timer`. On a GPU it waits for what is still computing."""

    def __init__(self) -> None:
        self._start = 0.0
        self._seconds = 0.0

    def start(self) -> None:
        """Start at 0."""
        self._start = _now()

    def stop(self) -> None:
        """Stop; the times below are those since `start`."""
        self._seconds = _now() - self._start

    @property
    def ms(self) -> float:
        """Milliseconds between start and stop."""
        return self._seconds * 1e3

    @property
    def us(self) -> float:
        """Microseconds between start and stop."""
        return self._seconds * 1e6


def _now() -> float:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


def has_nccl() -> bool:
    """Tell whether several processes can train together; without GPUs they can, over Gloo."""
    return dist.is_available()


def init_log(level: int = 0, stderr: bool = False) -> None:
    """Show log lines from one of glog's levels on: 0 for all, 1 for warnings, 2 for errors.

    stderr: taken as pycaffe takes it; the lines are on stderr in any case.
    """
    log.setup(on_stderr=log.severity(str(level)))


def log_text(text: str) -> None:
    """Log a line: pycaffe's `caffe.log`."""
    log.info(str(text))
