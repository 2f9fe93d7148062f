"""Which batch fits into memory, found by trying."""

from __future__ import annotations

import gc
import logging
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from google.protobuf.message import Message

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.phase import filter_net
from netrun.engine.engine import Engine
from netrun.runtime import log, memory
from netrun.runtime.options import RunOptions
from netrun.training.solver import Solver
from netrun.training.sources import source_of_train, sources_of_tests
from ssd_common.errors import CaffeError
from ssd_common.words import memory_size

Trial = Callable[[int], tuple[Any, ...]]  # of a batch size: a function of this module and its arguments
T = TypeVar("T")
_TOO_LARGE = 3  # exit status of a trial for want of memory


def advised(run: Callable[[], T], advise: Callable[[], str]) -> T:
    """What run() returns. Raises CaffeError with advise()'s line where run() ran out of memory, of all that it had let go by then."""
    try:
        return run()
    except Exception as error:
        if not memory.exhausted(error):
            raise
    raise CaffeError(advise())


def advise_training(param: pb.SolverParameter, where: torch.device, path: str | None, precision: str) -> str:
    """One line: how many images per batch a run that ran out of memory can have, and how to keep its effective batch.

    Tries whole iterations, and a batch of each test net, as the run would do them. path: of the solver file.
    """
    folder = Path(path).parent if path else None
    train = source_of_train(param, folder)
    net = filter_net(train.net, pb.TRAIN, train.state.level, train.state.stage)
    tests = sources_of_tests(param, folder)
    trial = pb.SolverParameter()
    trial.CopyFrom(param)
    for field in ("net", "net_param", "train_net", "test_net", "test_net_param", "test_state", "snapshot_prefix"):
        trial.ClearField(field)
    trial.train_state.CopyFrom(train.state)
    trial.test_net_param.extend(test.net for test in tests)
    trial.test_state.extend(test.state for test in tests)
    trial.test_iter[:] = [1] * len(tests)
    trial.test_interval, trial.test_initialization = (1, True) if tests else (0, False)
    trial.iter_size, trial.base_lr, trial.snapshot, trial.display, trial.max_iter = 1, 0, 0, 1, 3  # all but the first with gradients
    trial.snapshot_after_train = False

    def of_size(size: int) -> tuple[Any, ...]:
        trial.train_net_param.CopyFrom(with_batch(net, size))
        return train_for_trial, trial.SerializeToString(), str(where), torch.get_num_threads(), precision

    batch, fits = largest_batch(net), _largest(of_size, largest_batch(net), where)
    if not fits:
        return f"out of memory on {_place(where)}, whatever the train net's batch_size"
    passes = next(n for n in range(1, batch + 1) if batch % n == 0 and batch // n <= fits)
    return (
        f"out of memory on {_place(where)} with batches of {batch}: up to {fits} fit; batch_size: {batch // passes} with "
        f"iter_size: {param.iter_size * passes} updates the weights by as many images as before, {batch * param.iter_size}"
    )


def advise_running(path: str, phase: int, *, level: int, stages: Sequence[str], where: torch.device, precision: str) -> str:
    """The same for a net that is only run, backward too where the phase is TRAIN. path: of its prototxt."""
    net = filter_net(text.read_net(path), phase, level, stages)

    def of_size(size: int) -> tuple[Any, ...]:
        filtered = with_batch(net, size)
        filtered.state.level, filtered.state.stage[:] = level, stages
        return run_for_trial, filtered.SerializeToString(), phase, str(where), torch.get_num_threads(), precision

    batch, fits = largest_batch(net), _largest(of_size, largest_batch(net), where)
    found = f" with batches of {batch}: up to {fits} fit; lower the net's batch size" if fits else ""
    return f"out of memory on {_place(where)}{found}"


def _place(where: torch.device) -> str:
    if where.type == "cuda":
        return f"GPU {where.index} ({memory_size(torch.cuda.get_device_properties(where).total_memory)})"
    return "the CPU"


# ---- Batch sizes of nets


def _batches(net: pb.NetParameter) -> Iterator[tuple[Any, str, int]]:
    """Where a net's sources say how many images they give: a message, its field, and the number."""
    for layer in net.layer:
        for _, value in [] if layer.bottom else layer.ListFields():
            if isinstance(value, Message) and (size := getattr(value, "batch_size", None)):
                yield value, "batch_size", size
            for shape in getattr(value, "shape", ()):
                if shape.dim:
                    yield shape, "dim", shape.dim[0]


def largest_batch(net: pb.NetParameter) -> int:
    """Images per batch of a net that is filtered for its phase; 0 where nothing says so."""
    return max((size for _, _, size in _batches(net)), default=0)


def with_batch(net: pb.NetParameter, size: int) -> pb.NetParameter:
    """The net with batches of another size; sources of fewer images than its largest batch keep theirs."""
    changed = pb.NetParameter()
    changed.CopyFrom(net)
    batch = largest_batch(net)
    for message, field, found in list(_batches(changed)):
        if found == batch and field == "dim":
            message.dim[0] = size
        elif found == batch:
            message.batch_size = size
    return changed


# ---- Trials


def _largest(of_size: Trial, batch: int, where: torch.device) -> int:
    """The largest number below `batch` that runs; 0 where not even 1 does, or something else is wrong."""
    low, high = 0, batch
    while high - low > 1:
        middle = (low + high) // 2
        log.warning(f"out of memory; trying batches of {middle}")
        fits = _in_place(*of_size(middle)) if where.type == "cuda" else _in_a_process(*of_size(middle))
        if fits is None:
            return 0
        low, high = (middle, high) if fits else (low, middle)
    return low


def _in_place(function: Callable[..., None], *arguments: Any) -> bool | None:
    """Whether a trial fits; None where something else is wrong. On a GPU another process would need a context of its own."""
    gc.collect()
    torch.cuda.empty_cache()
    before = log.logger.level
    log.logger.setLevel(logging.ERROR)
    try:
        function(*arguments)
    except Exception as error:
        return False if memory.exhausted(error) else None
    finally:
        log.logger.setLevel(before)
    return True


def _in_a_process(function: Callable[..., None], *arguments: Any) -> bool | None:
    """The same in a process of its own, with the limits of this one. What a process once had is never quite free again in it."""
    gc.collect()
    command = [sys.executable, "-c", "from netrun.training.batch_size import child; child()"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for name in ("RANK", "WORLD_SIZE"):
        environment.pop(name, None)
    done = subprocess.run(command, input=pickle.dumps((function.__name__, arguments)), env=environment, capture_output=True, check=False)
    return {0: True, _TOO_LARGE: False, -signal.SIGKILL: False}.get(done.returncode)


def child() -> None:
    """A trial that stdin names; the exit status says how it went."""
    name, arguments = pickle.load(sys.stdin.buffer)
    sys.exit({True: 0, False: _TOO_LARGE, None: 1}[_in_place(globals()[name], *arguments)])


def train_for_trial(param: bytes, where: str, threads: int, precision: str) -> None:
    """A run of a serialized SolverParameter."""
    torch.set_num_threads(threads)
    options = RunOptions(precision=precision)
    solver = Solver(pb.SolverParameter.FromString(param), torch.device(where), options=options)
    try:
        solver.solve()
    finally:
        solver.close()


def run_for_trial(net: bytes, phase: int, where: str, threads: int, precision: str) -> None:
    """Two passes of a serialized NetParameter; backward as well where it trains."""
    torch.set_num_threads(threads)
    param = pb.NetParameter.FromString(net)
    state, options = param.state, RunOptions(precision=precision)
    trial = Engine(
        param, phase, level=state.level, stages=list(state.stage), device=torch.device(where), options=options
    )
    try:
        for _ in range(2):
            trial.run()
            if trial.loss.requires_grad:
                trial.loss.backward()
    finally:
        trial.close()
