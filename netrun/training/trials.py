"""Tries whether a run fits into memory: on a GPU in this process, on the CPU in a new process."""

from __future__ import annotations

import gc
import logging
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import torch

from caffe_ir import caffe_ir_pb2 as pb
from netrun.engine.engine import Engine
from netrun.runtime import log, memory
from netrun.runtime.options import RunOptions
from netrun.training.solver import Solver

# A function of this module, and its arguments.
Trial = tuple[Callable[..., None], tuple[Any, ...]]
_TOO_LARGE = 3  # exit status of a trial that ran out of memory
_FAILED = 1


def fits(trial: Trial, device: torch.device) -> bool | None:
    """Tell whether a trial fits into its device's memory; None if it fails for another reason."""
    function, arguments = trial
    if device.type == "cuda":
        return _in_place(function, *arguments)
    return _in_a_process(function, *arguments)


def _in_place(function: Callable[..., None], *arguments: Any) -> bool | None:
    """Do what fits() does in this process: on a GPU, another process would need its own context."""
    gc.collect()
    torch.cuda.empty_cache()
    before = log.logger.level
    log.logger.setLevel(logging.ERROR)
    try:
        function(*arguments)
    except Exception as error:
        if memory.exhausted(error):
            return False
        return None
    finally:
        log.logger.setLevel(before)
    return True


def _in_a_process(function: Callable[..., None], *arguments: Any) -> bool | None:
    """Do what fits() does in a new process, with the limits of this one.

    A process never gets all the memory back that it once used.
    """
    gc.collect()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for name in ("RANK", "WORLD_SIZE"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", "from netrun.training.trials import child; child()"],
        input=pickle.dumps((function.__name__, arguments)),
        env=environment,
        capture_output=True,
        check=False,
    )
    results = {0: True, _TOO_LARGE: False, -signal.SIGKILL: False}
    return results.get(done.returncode)


def child() -> None:
    """Run the trial that stdin names, and exit with a status that gives the result."""
    name, arguments = pickle.load(sys.stdin.buffer)
    statuses = {True: 0, False: _TOO_LARGE, None: _FAILED}
    sys.exit(statuses[_in_place(globals()[name], *arguments)])


def train(param: bytes, device: str, threads: int, precision: str) -> None:
    """Train by a serialized SolverParameter."""
    torch.set_num_threads(threads)
    options = RunOptions(precision=precision)
    solver = Solver(pb.SolverParameter.FromString(param), torch.device(device), options=options)
    try:
        solver.solve()
    finally:
        solver.close()


def run(net: bytes, phase: int, device: str, threads: int, precision: str) -> None:
    """Run two passes of a serialized NetParameter; in TRAIN, backward too."""
    torch.set_num_threads(threads)
    param = pb.NetParameter.FromString(net)
    engine = Engine(
        param,
        phase,
        level=param.state.level,
        stages=list(param.state.stage),
        device=torch.device(device),
        options=RunOptions(precision=precision),
    )
    try:
        for _ in range(2):
            engine.run()
            if engine.loss.requires_grad:
                engine.loss.backward()
    finally:
        engine.close()
