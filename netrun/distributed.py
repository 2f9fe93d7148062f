"""Data parallelism as Caffe means it: a process per GPU, the prototxt's batch on each, gradients averaged before every update.

Processes are started by launch(), for `--gpu 0,1`, or by torchrun, on one machine or several; all must see the same files.
NCCL moves the gradients between GPUs, Gloo between CPUs.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType

import torch
import torch.distributed as dist

from caffe_ir.errors import CaffeError
from netrun.solver import Action, Solver

_PATIENCE = timedelta(days=1)  # the others wait while rank 0 tests and writes snapshots
_ACTIONS = (Action.NONE, Action.SNAPSHOT, Action.STOP)  # where processes were asked for different things, the last wins


@dataclass(frozen=True)
class Place:
    """This process among those of a run. local: its number on this machine."""

    rank: int = 0
    world: int = 1
    local: int = 0


def place() -> Place | None:
    """The place that launch() or torchrun gave this process; None in a run of one. Raises CaffeError for half a place."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return None
    try:
        found = Place(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), int(os.environ.get("LOCAL_RANK", "0")))
    except ValueError:
        raise CaffeError("RANK, WORLD_SIZE and LOCAL_RANK in the environment must be numbers; torchrun sets them") from None
    return found if found.world > 1 else None


def launch(argv: Sequence[str], count: int) -> int:
    """Run `netrun ARGV` in `count` processes on this machine; the first exit status that is not 0, or 0.

    Signals are passed on. When one process fails, the others are ended.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    workers = [
        # a session of their own: Ctrl-C reaches them once, from here
        subprocess.Popen(
            [sys.executable, "-m", "netrun", *argv], env={**common, "RANK": str(i), "LOCAL_RANK": str(i)}, start_new_session=True
        )
        for i in range(count)
    ]

    def forward(number: int, _: FrameType | None) -> None:
        for worker in workers:
            if worker.poll() is None:
                worker.send_signal(number)

    before = {n: signal.signal(n, forward) for n in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)}
    try:
        while any(worker.poll() is None for worker in workers) and not any(worker.poll() for worker in workers):
            time.sleep(0.1)
        return next((128 - code if code < 0 else code for worker in workers if (code := worker.poll())), 0)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        for n, handler in before.items():
            signal.signal(n, handler)


class Averaging:
    """The solver's callback that makes several processes one run: same weights at first, the mean of all gradients ever after.

    Makes the process group. Its agree() has all processes stop in the same iteration.
    """

    def __init__(self, solver: Solver, here: Place) -> None:
        where = solver.net.device
        dist.init_process_group("nccl" if where.type == "cuda" else "gloo", rank=here.rank, world_size=here.world, timeout=_PATIENCE)
        self.world = here.world
        self.parent = os.getppid()
        self.talk = dist.new_group(backend="gloo", timeout=_PATIENCE)  # asks nothing of a GPU
        solver.callbacks.append(self)
        solver.agree = self.agree

    def share(self, solver: Solver) -> None:
        """Give all processes rank 0's weights and histories. To be called after weights have been loaded."""
        for tensor in [*(p.tensor.data for p in solver.net.learnable), *solver.updater.history]:
            dist.broadcast(tensor, 0)

    def on_start(self, solver: Solver) -> None:
        if os.getppid() != self.parent:
            raise CaffeError("the process that started this one is gone")

    def on_gradients_ready(self, solver: Solver) -> None:
        """One message holds all gradients: many small ones would take longer than the sums themselves."""
        tensors = [p.tensor for p in solver.net.learnable if p.tensor.requires_grad]
        for tensor in tensors:
            if tensor.grad is None:
                tensor.grad = torch.zeros_like(tensor)
        together = torch.cat([t.grad.reshape(-1) for t in tensors if t.grad is not None])
        dist.all_reduce(together)
        together /= self.world
        for tensor, part in zip(tensors, together.split([t.numel() for t in tensors]), strict=True):
            tensor.grad = part.view_as(tensor)

    def agree(self, action: Action) -> Action:
        """What all processes do now: the weightiest of what they were asked for."""
        wish = torch.tensor(_ACTIONS.index(action))
        dist.all_reduce(wish, dist.ReduceOp.MAX, self.talk)
        return _ACTIONS[int(wish)]

    def close(self) -> None:
        dist.destroy_process_group()
