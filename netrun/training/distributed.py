"""Data parallelism as Caffe means it: a process per GPU, the prototxt's batch on each, gradients averaged before every update.

Processes are started by launch(), for `--gpu 0,1`, or by torchrun or Slurm's srun, on one machine or several; all must see the same files.
NCCL moves the gradients between GPUs, Gloo between CPUs.
"""

from __future__ import annotations

import atexit
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from netrun.training.actions import Action
from netrun.training.solver import Solver
from ssd_common.errors import CaffeError

_LAUNCHER = "NETRUN_LAUNCHER"  # in the environment: the process that started this one by launch()
_GRACE = 5.0  # seconds
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


def meeting_point(count: int) -> tuple[dist.TCPStore, dict[str, str]]:
    """Where `count` processes on this machine meet, for as long as it is held, and the environment that leads them there.

    This process keeps the place itself, as torchrun does: a port that is only looked up for rank 0 may be somebody else's by then.
    """
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    there = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    return store, {**os.environ, **there, "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), _LAUNCHER: str(os.getpid())}


def launch(argv: Sequence[str], count: int) -> int:
    """Run `netrun ARGV` in `count` processes on this machine; their largest exit status: 1 is also that of who only lost the others.

    Signals are passed on. When one process fails, the others have _GRACE seconds to notice, and are ended.
    """
    _store, common = meeting_point(count)
    got: list[int] = []
    before = {n: signal.signal(n, lambda number, _: got.append(number)) for n in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)}
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited: while Python starts, Ctrl-C would be a traceback
    workers: list[subprocess.Popen[bytes]] = []
    until = float("inf")
    try:
        for i in range(count):
            environment = {**common, "RANK": str(i), "LOCAL_RANK": str(i)}
            # a session of their own: Ctrl-C reaches them once, from here
            workers.append(subprocess.Popen([sys.executable, "-m", "netrun", *argv], env=environment, start_new_session=True))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        while None in (codes := [worker.poll() for worker in workers]) and time.monotonic() < until:
            if any(codes):
                until = min(until, time.monotonic() + _GRACE)
            while got:
                number = got.pop(0)
                for worker in workers:
                    worker.send_signal(number)
            time.sleep(0.1)
        return max(128 - code if code < 0 else code for code in codes if code is not None)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
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

    Makes the process groups, which last until it is left. Its agree() has all processes stop in the same iteration.
    """

    def __init__(self, solver: Solver, here: Place) -> None:
        self.parent = int(os.environ.get(_LAUNCHER, os.getppid()))
        self.on_start(solver)
        self.talk: dist.ProcessGroup | None = None
        with _others():
            backend = "nccl" if solver.net.device.type == "cuda" else "gloo"
            dist.init_process_group(backend, rank=here.rank, world_size=here.world, timeout=_PATIENCE)
            atexit.register(self._part)
            self.talk = dist.new_group(backend="gloo", timeout=_PATIENCE)  # asks nothing of a GPU
        self.world = here.world
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
        """After a good run, part from the others once all are here: rank 0 may still write a snapshot, and the first to end has all ended.

        After any other, this process first says what is wrong, and parts at its end: the others notice that at once, and say so.
        """
        if kind is None:
            with _others():
                dist.barrier(self.talk)
            atexit.unregister(self._part)
            self._part(all_here=True)

    def _part(self, all_here: bool = False) -> None:
        """Gloo's threads have to end before Python does: one that then lets go of a tensor aborts the process.

        NCCL has none, and ending it waits for the others, who may be gone.
        """
        if all_here or dist.get_backend() == "gloo":
            dist.destroy_process_group()
        elif self.talk:
            dist.destroy_process_group(self.talk)
        self.talk = None
