"""Data parallelism as in Caffe: a process per GPU, gradients averaged before every update.

Each process computes the prototxt's batch. launch() starts the processes for `--gpu 0,1`; torchrun
or Slurm's srun start them on one machine or several. All must see the same files.
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from netrun.training.actions import Action
from netrun.training.solver import Solver
from ssd_common.errors import CaffeError

_LAUNCHER = "NETRUN_LAUNCHER"  # environment variable: the process that started this one by launch()
_GRACE = 5.0  # seconds
_PATIENCE = timedelta(days=1)  # the others wait while rank 0 tests and writes snapshots
# Where processes get different requests, all take the one that comes last here.
_ACTIONS = (Action.NONE, Action.SNAPSHOT, Action.STOP)
# Environment variables for rank, world and local.
_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
_SRUN = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")


@dataclass(frozen=True)
class Place:
    """The place of this process among a run's processes.

    rank: the process's number, from 0.
    world: how many processes there are.
    local: the process's number on this machine.
    """

    rank: int = 0
    world: int = 1
    local: int = 0


def place() -> Place | None:
    """The place that launch(), torchrun or srun gave this process; None in a run of one process.

    For srun, it also sets the meeting point: the step's first machine, at a port derived from the
    job's number, unless MASTER_ADDR and MASTER_PORT say otherwise. torchrun and launch() set these
    themselves.
    Raises CaffeError for an incomplete place.
    """
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        names = _TORCHRUN
        launcher = "torchrun"
    elif "SLURM_STEP_NUM_TASKS" in os.environ:
        # A batch script has SLURM_NTASKS too, but is not one of the tasks.
        names = _SRUN
        launcher = "srun"
    else:
        return None
    try:
        rank, world, local = (int(os.environ.get(name, "0")) for name in names)
        if names is _SRUN:
            _meet_on_first_machine()
    except (ValueError, KeyError):
        wrong = f"{', '.join(names)} in the environment must be numbers"
        raise CaffeError(f"{wrong}; {launcher} sets them") from None
    if world <= 1:
        return None
    return Place(rank, world, local)


def _meet_on_first_machine() -> None:
    address = first_machine(os.environ["SLURM_STEP_NODELIST"])
    os.environ.setdefault("MASTER_ADDR", address)
    port = 20000 + int(os.environ["SLURM_JOB_ID"]) % 20000
    os.environ.setdefault("MASTER_PORT", str(port))


def first_machine(nodes: str) -> str:
    """The first host in Slurm's short form of a list.

    nodes: `gpu[03-05,9],login` stands for gpu03, gpu04, gpu05, gpu9 and login.
    Raises ValueError where the list does not begin with a host.
    """
    match = re.match(r"([^,\[]+)(?:\[(\d+)[^\]]*\])?([^,\[]*)", nodes)
    if not match:
        raise ValueError(nodes)
    return "".join(match.groups(default=""))


def meeting_point(count: int) -> tuple[dist.TCPStore, dict[str, str]]:
    """Open a place where `count` processes on this machine meet.

    This process holds the place itself, as torchrun does. If it only chose a free port for rank 0,
    another program could take the port before rank 0 opens it.
    Returns the place, open as long as the caller holds it, and the environment variables that tell
    processes where it is.
    """
    store = dist.TCPStore(
        "127.0.0.1",
        0,
        is_master=True,
        wait_for_workers=False,
    )
    environment = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        _LAUNCHER: str(os.getpid()),
    }
    return store, environment


def launch(argv: Sequence[str], count: int) -> int:
    """Run `netrun ARGV` in `count` processes on this machine, and pass signals on to them.

    When one process fails, the others have _GRACE seconds to notice; then launch() kills them.
    Returns the largest exit status: a process that only lost its peers exits with 1.
    """
    _store, environment = meeting_point(count)
    received: list[int] = []
    before = _note_signals(received)
    # The processes inherit this. Without it, Ctrl-C while Python starts would show a traceback.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    workers: list[subprocess.Popen[bytes]] = []
    try:
        for rank in range(count):
            workers.append(_start(argv, rank, environment))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        codes = _wait_for(workers, received)
        return max(_exit_status(code) for code in codes if code is not None)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        for worker in workers:
            worker.kill()
            worker.wait()
        for number, handler in before.items():
            signal.signal(number, handler)


def _note_signals(received: list[int]) -> dict[signal.Signals, Any]:
    """Make signals append their number to `received`. Returns the previous handlers."""

    def note(number: int, _: object) -> None:
        received.append(number)

    before = {}
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        before[number] = signal.signal(number, note)
    return before


def _start(
    argv: Sequence[str], rank: int, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a process. It has a session of its own: Ctrl-C reaches it once, from launch()."""
    return subprocess.Popen(
        [sys.executable, "-m", "netrun", *argv],
        env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        start_new_session=True,
    )


def _wait_for(workers: Sequence[subprocess.Popen[bytes]], received: list[int]) -> list[int | None]:
    """Wait until all processes or _GRACE end, and pass signals on.

    Returns the exit codes; None for a process that is still running.
    """
    until = float("inf")
    codes = [worker.poll() for worker in workers]
    while None in codes and time.monotonic() < until:
        if any(codes):
            until = min(until, time.monotonic() + _GRACE)
        while received:
            number = received.pop(0)
            for worker in workers:
                worker.send_signal(number)
        time.sleep(0.1)
        codes = [worker.poll() for worker in workers]
    return codes


def _exit_status(code: int) -> int:
    """A process's exit status as in a shell: for a killed one, 128 plus the signal's number."""
    if code < 0:
        return 128 - code
    return code


@contextmanager
def _contact() -> Iterator[None]:
    """Raise CaffeError where the other processes cannot be reached.

    A process that failed has already said why.
    """
    try:
        yield
    except RuntimeError as error:
        why = str(error).splitlines()[0]
        raise CaffeError(f"lost the other processes of this run: {why}") from None


class Averaging:
    """The solver's callback that joins several processes into one run.

    All start from the same weights and update them by the mean of all gradients. agree() makes all
    processes stop in the same iteration. The process groups exist until the context manager exits.

    solver: this process's solver.
    here: this process's place.
    Raises CaffeError where the other processes cannot be reached.
    """

    def __init__(self, solver: Solver, here: Place) -> None:
        self._parent = int(os.environ.get(_LAUNCHER, os.getppid()))
        self._learnable = solver.net.learnable
        self.on_start()
        self._control: dist.ProcessGroup | None = None  # for messages that need no GPU
        self._world = here.world
        backend = "gloo"
        if solver.net.device.type == "cuda":
            backend = "nccl"
        with _contact():
            dist.init_process_group(
                backend,
                rank=here.rank,
                world_size=here.world,
                timeout=_PATIENCE,
            )
            atexit.register(self._leave)
            self._control = dist.new_group(backend="gloo", timeout=_PATIENCE)
        solver.join(self)

    def share(self, solver: Solver) -> None:
        """Give all processes rank 0's weights and histories.

        Call it after loading weights. Raises CaffeError, as agree() does.
        """
        weights = [blob.tensor.data for blob in solver.net.learnable]
        with _contact():
            for tensor in [*weights, *solver.updater.history]:
                dist.broadcast(tensor, 0)

    def on_start(self) -> None:
        """Raise CaffeError where the process that started this one has ended."""
        if os.getppid() != self._parent:
            raise CaffeError("the process that started this one is gone")

    def on_gradients_ready(self) -> None:
        """Put the mean over all processes in the place of each gradient.

        One message holds all gradients: many small messages would take longer than the sums.
        """
        tensors = [p.tensor for p in self._learnable if p.tensor.requires_grad]
        for tensor in tensors:
            if tensor.grad is None:
                tensor.grad = torch.zeros_like(tensor)
        gradients = [t.grad.reshape(-1) for t in tensors if t.grad is not None]
        together = torch.cat(gradients)
        with _contact():
            dist.all_reduce(together)
        together /= self._world
        parts = together.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.grad = part.view_as(tensor)

    def agree(self, action: Action) -> Action:
        """The action that all processes take now: of those requested, the last in the order above.

        action: the action requested of this process.
        Raises CaffeError where the other processes cannot be reached.
        """
        wish = torch.tensor(_ACTIONS.index(action))
        with _contact():
            dist.all_reduce(wish, dist.ReduceOp.MAX, self._control)
        return _ACTIONS[int(wish)]

    def __enter__(self) -> Averaging:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """After a good run, wait for the other processes, then leave the groups.

        Rank 0 may still be writing a snapshot, and the first process to end would end them all.
        After an error, this process first reports it, and leaves when it ends: the others notice
        that at once, and report it.
        """
        if kind is None:
            with _contact():
                dist.barrier(self._control)
            atexit.unregister(self._leave)
            self._leave(all_here=True)

    def _leave(self, all_here: bool = False) -> None:
        """End the process groups.

        Gloo's threads must end before Python does: a thread that releases a tensor later aborts the
        process. NCCL has no such threads, and to end, it waits for other processes, which may be
        gone.
        """
        if all_here or dist.get_backend() == "gloo":
            dist.destroy_process_group()
        elif self._control:
            dist.destroy_process_group(self._control)
        self._control = None
