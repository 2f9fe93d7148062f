"""Finds the batch that fits into memory, by trying."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from google.protobuf.message import Message

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.phase import filter_net
from caffe_ir.solver_nets import NetSource, source_of_train, sources_of_tests
from netrun.runtime import log, memory
from netrun.training import trials
from ssd_common.errors import CaffeError
from ssd_common.words import memory_size

T = TypeVar("T")
# Fields of a solver that a trial replaces, or does not need.
_REPLACED = (
    "net",
    "net_param",
    "train_net",
    "test_net",
    "test_net_param",
    "test_state",
    "snapshot_prefix",
)


def advised(run: Callable[[], T], advise: Callable[[], str]) -> T:
    """Return what run() returns.

    Raises CaffeError with advise()'s line where run() runs out of memory. It calls advise() only
    after run() has released all its memory.
    """
    try:
        return run()
    except Exception as error:
        if not memory.exhausted(error):
            raise
    raise CaffeError(advise())


def advise_training(
    param: pb.SolverParameter,
    device: torch.device,
    path: str | None,
    precision: str,
) -> str:
    """Advise a training run that ran out of memory.

    It tries whole iterations, and a batch of each test net, as in the run.

    param: the solver.
    path: the solver's file.
    device, precision: the run's device and precision.
    Returns one line: how many images per batch fit, and how to keep the effective batch.
    """
    folder = None
    if path:
        folder = Path(path).parent
    train = source_of_train(param, folder)
    net = filter_net(train.net, pb.TRAIN, train.state.level, train.state.stage)
    trial = _trial_solver(param, train.state, sources_of_tests(param, folder))

    def of_size(size: int) -> trials.Trial:
        trial.train_net_param.CopyFrom(with_batch(net, size))
        solver = trial.SerializeToString()
        return trials.train, (solver, str(device), torch.get_num_threads(), precision)

    batch = largest_batch(net)
    fits = _largest(of_size, batch, device)
    place = f"out of memory on {_place(device)}"
    if not fits:
        return f"{place}, whatever the train net's batch_size"
    passes = 1
    while batch % passes or batch // passes > fits:
        passes += 1
    same = f"batch_size: {batch // passes} with iter_size: {param.iter_size * passes}"
    images = batch * param.iter_size
    effect = f"updates the weights by as many images as before, {images}"
    return f"{place} with batches of {batch}: up to {fits} fit; {same} {effect}"


def _trial_solver(
    param: pb.SolverParameter, state: pb.NetState, tests: Sequence[NetSource]
) -> pb.SolverParameter:
    """A solver that trains three iterations and runs a batch of each test net.

    All iterations except the first hold gradients. The caller adds the train net.

    param: the run's solver.
    state: its train net's state.
    tests: its test nets.
    """
    trial = pb.SolverParameter()
    trial.CopyFrom(param)
    for name in _REPLACED:
        trial.ClearField(name)
    trial.train_state.CopyFrom(state)
    trial.test_net_param.extend(test.net for test in tests)
    trial.test_state.extend(test.state for test in tests)
    trial.test_iter[:] = [1] * len(tests)
    trial.test_interval = int(bool(tests))
    trial.test_initialization = bool(tests)
    trial.iter_size = 1
    trial.base_lr = 0
    trial.snapshot = 0
    trial.display = 1
    trial.max_iter = 3
    trial.snapshot_after_train = False
    return trial


def advise_running(
    path: str,
    phase: int,
    *,
    level: int,
    stages: Sequence[str],
    device: torch.device,
    precision: str,
) -> str:
    """Advise a run of a net that ran out of memory; TRAIN means backward too.

    path: the net's prototxt.
    level, stages: select layers by include and exclude rules.
    device, precision: the run's device and precision.
    Returns one line: how many images per batch fit.
    """
    net = filter_net(text.read_net(path), phase, level, stages)

    def of_size(size: int) -> trials.Trial:
        filtered = with_batch(net, size)
        filtered.state.level = level
        filtered.state.stage[:] = stages
        serialized = filtered.SerializeToString()
        return trials.run, (serialized, phase, str(device), torch.get_num_threads(), precision)

    batch = largest_batch(net)
    fits = _largest(of_size, batch, device)
    place = f"out of memory on {_place(device)}"
    if not fits:
        return place
    return f"{place} with batches of {batch}: up to {fits} fit; lower the net's batch size"


def _place(device: torch.device) -> str:
    if device.type != "cuda":
        return "the CPU"
    size = torch.cuda.get_device_properties(device).total_memory
    return f"GPU {device.index} ({memory_size(size)})"


# ---- Batch sizes of nets


def _batches(net: pb.NetParameter) -> Iterator[tuple[Any, str, int]]:
    """Find the batch sizes in a net's layers without bottoms.

    Yields the message, its field, and the number.
    """
    for layer in net.layer:
        if layer.bottom:
            continue
        for _, value in layer.ListFields():
            if isinstance(value, Message):
                size = getattr(value, "batch_size", None)
                if size:
                    yield value, "batch_size", size
            for shape in getattr(value, "shape", ()):
                if shape.dim:
                    yield shape, "dim", shape.dim[0]


def largest_batch(net: pb.NetParameter) -> int:
    """The images per batch of a net filtered for its phase; 0 if no field gives them."""
    return max((size for _, _, size in _batches(net)), default=0)


def with_batch(net: pb.NetParameter, size: int) -> pb.NetParameter:
    """Copy the net, with batches of another size.

    Layers with fewer images than the net's largest batch keep their number.
    """
    changed = pb.NetParameter()
    changed.CopyFrom(net)
    batch = largest_batch(net)
    for message, field, found in list(_batches(changed)):
        if found == batch and field == "dim":
            message.dim[0] = size
        elif found == batch:
            message.batch_size = size
    return changed


def _largest(
    of_size: Callable[[int], trials.Trial],
    batch: int,
    device: torch.device,
) -> int:
    """Find the largest batch below `batch` that runs.

    Returns 0 where not even 1 runs, or where a trial fails for another reason.
    """
    low = 0
    high = batch
    while high - low > 1:
        middle = (low + high) // 2
        log.warning(f"out of memory; trying batches of {middle}")
        fits = trials.fits(of_size(middle), device)
        if fits is None:
            return 0
        if fits:
            low = middle
        else:
            high = middle
    return low
