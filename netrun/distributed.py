"""Data parallelism as Caffe means it: a process per GPU, the prototxt's batch on each, gradients averaged before every update.

Processes are started by launch(), for `--gpu 0,1`, or by torchrun or Slurm's srun, on one machine or several; all must see the same files.
NCCL moves the gradients between GPUs, Gloo between CPUs.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    """The place that launch(), torchrun or srun gave this process; None in a run of one. Raises CaffeError for half a place.

    srun's processes are also told where to meet, as the others are: on the step's first machine, at a port made of the job's number,
    unless MASTER_ADDR and MASTER_PORT say otherwise.
    """
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        names, who = ("RANK", "WORLD_SIZE", "LOCAL_RANK"), "torchrun"
    elif "SLURM_STEP_NUM_TASKS" in os.environ:  # a batch script has SLURM_NTASKS as well, without being one of the tasks
        names, who = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"), "srun"
    else:
        return None
    try:
        found = Place(*(int(os.environ.get(name, "0")) for name in names))
        if who == "srun":
            os.environ.setdefault("MASTER_ADDR", first_machine(os.environ["SLURM_STEP_NODELIST"]))
            os.environ.setdefault("MASTER_PORT", str(20000 + int(os.environ["SLURM_JOB_ID"]) % 20000))
    except (ValueError, KeyError):
        raise CaffeError(f"{', '.join(names)} in the environment must be numbers; {who} sets them") from None
    return found if found.world > 1 else None


def first_machine(nodes: str) -> str:
    """The first host of Slurm's short form of a list: `gpu[03-05,9],login` is gpu03, gpu04, gpu05, gpu9, login."""
    match = re.match(r"([^,\[]+)(?:\[(\d+)[^\]]*\])?([^,\[]*)", nodes)
    if not match:
        raise ValueError(nodes)
    return "".join(part or "" for part in match.groups())


def launch(argv: Sequence[str], count: int) -> int:
    """Run `netrun ARGV` in `count` processes on this machine; the first exit status that is not 0, or 0.

    Signals are passed on. When one process fails, the others are ended.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
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


@contextmanager
def _others() -> Iterator[None]:
    """Talk to the other processes. Raises CaffeError where they cannot be reached: one that failed has said why."""
    try:
        yield
    except RuntimeError as error:
        raise CaffeError(f"lost the other processes of this run: {str(error).splitlines()[0]}") from None


class Averaging:
    """The solver's callback that makes several processes one run: same weights at first, the mean of all gradients ever after.

    Makes the process groups, which last while it is entered. Its agree() has all processes stop in the same iteration. sync_batch_norm:
    normalise by the statistics of all processes' batches, not of each one's own, as Caffe does; what DSOD and others that train from
    scratch gain from.
    """

    def __init__(self, solver: Solver, here: Place, sync_batch_norm: bool = False) -> None:
        where = solver.net.device
        with _others():
            backend = "nccl" if where.type == "cuda" else "gloo"
            dist.init_process_group(backend, rank=here.rank, world_size=here.world, timeout=_PATIENCE)
            self.talk = dist.new_group(backend="gloo", timeout=_PATIENCE)  # asks nothing of a GPU
        self.world = here.world
        solver.net.context.sync_batch_norm = sync_batch_norm
        self.parent = os.getppid()
        solver.callbacks.append(self)
        solver.agree = self.agree

    def share(self, solver: Solver) -> None:
        """Give all processes rank 0's weights and histories. To be called after weights have been loaded."""
        with _others():
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
        with _others():
            dist.all_reduce(together)
        together /= self.world
        for tensor, part in zip(tensors, together.split([t.numel() for t in tensors]), strict=True):
            tensor.grad = part.view_as(tensor)

    def agree(self, action: Action) -> Action:
        """What all processes do now: the weightiest of what they were asked for."""
        wish = torch.tensor(_ACTIONS.index(action))
        with _others():
            dist.all_reduce(wish, dist.ReduceOp.MAX, self.talk)
        return _ACTIONS[int(wish)]

    def __enter__(self) -> Averaging:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Part from the others; after a good run once all are here: rank 0 may still write a snapshot, and the first to end has all ended.

        Gloo's threads have to end before Python does: one that then lets go of a tensor aborts the process. NCCL has none, and ending it
        waits for the others, who may be gone.
        """
        try:
            if kind is None:
                with _others():
                    dist.barrier(self.talk)
        finally:
            failed_on_gpu = kind is not None and dist.get_backend() == "nccl"
            dist.destroy_process_group(self.talk if failed_on_gpu else None)
            del self.talk
