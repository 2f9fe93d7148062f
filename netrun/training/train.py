"""Trains by a solver prototxt, from the beginning, from weights or from a snapshot."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.runtime import device as devices
from netrun.runtime import log
from netrun.runtime.options import DEFAULTS, RunOptions
from netrun.training import batch_size, distributed, snapshot
from netrun.training.signals import Signals
from netrun.training.solver import Solver
from ssd_common.errors import UsageError
from ssd_common.files import PathLike

LATEST = "latest"


@dataclass(frozen=True)
class TrainingResult:
    """How a training run ended.

    finished: whether it reached max_iter; False where a signal stopped it.
    iteration: how often the weights have been updated.
    snapshot: the .solverstate of the last snapshot; None if this process wrote none.
    """

    finished: bool
    iteration: int
    snapshot: str | None


def train(
    solver: PathLike,
    *,
    weights: str | None = None,
    resume: PathLike | None = None,
    level: int = 0,
    stages: Iterable[str] = (),
    device: torch.device | str | None = None,
    options: RunOptions = DEFAULTS,
    signals: Signals | None = None,
) -> TrainingResult:
    """Train by a solver prototxt, up to its max_iter.

    Processes that torchrun or srun starts together form one run.

    solver: the prototxt's path.
    weights: files to start from, separated by commas, matched by layer name.
    resume: a .solverstate to continue; "latest": the newest of snapshot_prefix. If there is none,
        training starts from the beginning, or from `weights`.
    level, stages: select layers by include and exclude rules.
    device: as PyTorch names it (default: what the solver says; the CPU where there is no CUDA).
    options: precision, strict, sync_batch_norm, jpeg_recoding and seed count here; a solver's
        random_seed goes before the seed.
    signals: what signals do to the run (default: what they do to every Python process).

    Raises UsageError for both weights and a snapshot; CaffeError for a solver, nets, data or files
    that cannot be used, where the loss is no longer finite, and where memory runs out; the error
    then names the batch size that fits.
    """
    refuse_two_starts(weights, resume)
    param = solver_param(solver, level, stages)
    here = distributed.place() or distributed.Place()
    if device is None:
        device = solver_device(param, here.local)
    place = torch.device(device)
    chosen = replace(
        options,
        keep_blobs=False,
        rank=here.rank,
        world=here.world,
    )

    def run() -> TrainingResult:
        early = None
        if here.rank == 0:  # before the nets take time and memory from another run
            early = snapshot.claim(param)
        built = Solver(param, place, str(solver), options=chosen)
        with signals or nullcontext(), _together(built, here) as together:
            try:
                if signals is not None:
                    built.listen(signals.action)
                built.claim()
                del early
                _start(built, weights, resume)
                if together:
                    together.share(built)
                return _optimize(built)
            finally:
                built.close()

    def advise() -> str:
        return batch_size.advise_training(param, place, str(solver), options.precision)

    return batch_size.advised(run, advise)


def refuse_two_starts(weights: str | None, resume: PathLike | None) -> None:
    """Raise UsageError for weights beside a snapshot, which has weights of its own.

    weights, resume: as `train` takes them; weights go with "latest", which may find no snapshot.
    """
    if resume and weights and resume != LATEST:
        either = "give a --snapshot to resume training or --weights to finetune"
        raise UsageError(f"{either}, but not both")


def solver_param(
    solver: PathLike, level: int = 0, stages: Iterable[str] = ()
) -> pb.SolverParameter:
    """Read a solver prototxt, and add level and stages to its train net's state.

    Raises ParseError where it cannot be read.
    """
    param = text.read_solver(solver)
    param.train_state.level = level
    param.train_state.stage.extend(stages)
    return param


def wanted_gpu(param: pb.SolverParameter) -> int | None:
    """The GPU that a solver asks for; None if it asks for the CPU."""
    if param.solver_mode != pb.SolverParameter.GPU:
        return None
    return param.device_id


def solver_device(param: pb.SolverParameter, local: int = 0) -> torch.device:
    """The device that a solver asks for; the CPU if there is no CUDA.

    local: this process's number on its machine.
    Raises CaffeError for a GPU that does not exist.
    """
    return devices.choose(None, default=wanted_gpu(param), local=local)


def _optimize(solver: Solver) -> TrainingResult:
    log.info("Starting Optimization", at="caffe.cpp:251")
    finished = solver.solve()
    log.info("Optimization Done.", at="caffe.cpp:254")
    return TrainingResult(finished, solver.iter, solver.last_snapshot)


def _together(
    solver: Solver, here: distributed.Place
) -> AbstractContextManager[distributed.Averaging | None]:
    """Join the processes of a run; do nothing for a single process."""
    if here.world == 1:
        return nullcontext()
    return distributed.Averaging(solver, here)


def _start(solver: Solver, weights: str | None, resume: PathLike | None) -> None:
    """Start the solver from `resume` or `weights`."""
    state: str | None = None
    if resume:
        state = str(resume)
    if state == LATEST:
        prefix = solver.param.snapshot_prefix
        state = snapshot.latest(prefix)
        if state is None:
            log.info(f"No snapshot of {prefix} yet: starting from the beginning")
    if state:
        log.info(f"Resuming from {state}", at="caffe.cpp:241")
        solver.restore(state)
    elif weights:
        solver.copy_from(weights)
