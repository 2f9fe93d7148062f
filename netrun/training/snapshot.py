"""A run on disk: `.caffemodel` and `.solverstate` in Caffe's own form, binary or HDF5, and the way back.

Both files are written beside their final name, flushed to the disk and then renamed, weights first: whatever stops the
process, a `.solverstate` that exists is whole, and so is the `.caffemodel` that it names.
"""

from __future__ import annotations

import glob
import math
import os
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from caffe_ir import binary
from caffe_ir import caffe_ir_pb2 as pb
from netrun.engine.engine import Engine
from netrun.runtime import log
from netrun.training.losses import LossWindow
from netrun.training.lr_policy import Schedule
from netrun.weights import hdf5
from netrun.weights.files import blob_array, blob_message, stored
from ssd_common.errors import CaffeError


@dataclass
class State:
    """What a `.solverstate` holds. model: path of the weights, or None where the state names none. losses: LossWindow.state(), or []."""

    iteration: int
    model: str | None
    history: list[Tensor]
    current_step: int
    minimum_loss: float
    last_event: int
    losses: list[float]


def check(param: pb.SolverParameter) -> None:
    """Raises CaffeError where the solver asks for snapshots but not where."""
    if param.snapshot and not param.snapshot_prefix:
        raise CaffeError("solver: snapshot is set but snapshot_prefix is not")


def prepare(param: pb.SolverParameter, net: Engine) -> None:
    """Make the folder of the snapshots, and clear it of what a killed process left half written.

    Raises CaffeError where it cannot be written, or HDF5 cannot hold the net's names, before any time is spent on training.
    """
    if _suffix(param):
        hdf5.check_names([layer.name for layer in net.layer_list])
    if param.snapshot_prefix:
        folder, name = Path(param.snapshot_prefix).parent, Path(param.snapshot_prefix).name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f".{name}_iter_probe.tmp").touch()
            for left in folder.glob(f".{glob.escape(name)}_iter_*.tmp"):
                left.unlink()
        except OSError as error:
            raise CaffeError(f"solver: cannot write to snapshot_prefix '{param.snapshot_prefix}': {error.strerror}") from None


# A repeated double of netrun's own in the `.solverstate`, number 1000, which Caffe's reader skips: LossWindow.state(). Caffe begins
# a new window when it resumes; under lr_policy "plateau" with average_loss above 1 the rate would then not be the uninterrupted run's.
_LOSS = struct.Struct("<2sd")
_LOSS_TAG = b"\xc1\x3e"  # 1000 << 3 | 1 as a varint


def write(
    param: pb.SolverParameter,
    iteration: int,
    net: Engine,
    history: Sequence[Tensor],
    schedule: Schedule,
    *,
    losses: LossWindow | None = None,
) -> str:
    """Write `PREFIX_iter_N.caffemodel` and `.solverstate`, with `.h5` behind for HDF5; the latter's path.

    losses: where the schedule goes by them. Raises CaffeError where the disk refuses.
    """
    stem, suffix = f"{param.snapshot_prefix}_iter_{iteration}", _suffix(param)
    kind = "HDF5" if suffix else "binary proto"
    model, path = f"{stem}.caffemodel{suffix}", f"{stem}.solverstate{suffix}"
    log.info(f"Snapshotting to {kind} file {model}", at="solver.cpp:605" if suffix else "solver.cpp:596")
    net.save(model, diffs=param.snapshot_diff)
    _sync(Path(model).parent)
    log.info(f"Snapshotting solver state to {kind} file {path}", at="sgd_solver.cpp:317" if suffix else "sgd_solver.cpp:308")
    fields: dict[str, Any] = {
        "iter": iteration,
        "learned_net": model,
        "current_step": schedule.current_step,
        "minimum_loss": schedule.minimum_loss,
        "iter_last_event": schedule.last_event,
    }
    blobs = [h.detach().cpu().numpy() for h in history]
    window = losses.state() if losses is not None else []
    if suffix:
        hdf5.write_state(path, {**fields, "history": blobs, "losses": window})
    else:
        state = pb.SolverState(**fields, history=[blob_message(blob) for blob in blobs])
        state.MergeFromString(b"".join(_LOSS.pack(_LOSS_TAG, value) for value in window))
        binary.write(state, path)
    _sync(Path(model).parent)
    return path


def _suffix(param: pb.SolverParameter) -> str:
    return ".h5" if param.snapshot_format == pb.SolverParameter.HDF5 else ""


def _sync(folder: Path) -> None:
    """Have the disk know the renames in a folder, so that a power cut cannot keep the later one and lose the earlier."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: str | Path) -> State:
    """The state in a `.solverstate` or `.solverstate.h5` file. Raises CaffeError for a file that is none."""
    if hdf5.is_hdf5(path):
        found = hdf5.read_state(path)
        model, history = found["learned_net"], found["history"]
    else:
        state = binary.read_state(path)
        found = {name: getattr(state, name) for name in ("iter", "current_step", "minimum_loss", "iter_last_event")}
        model = state.learned_net if state.HasField("learned_net") else None
        history = [blob_array(blob) for blob in state.history]
        found["losses"] = _losses(state)
    return State(
        iteration=found["iter"],
        model=_beside(model, Path(path)) if model is not None else None,
        history=[torch.from_numpy(blob) for blob in history],
        current_step=found["current_step"],
        minimum_loss=found["minimum_loss"] if not math.isnan(found["minimum_loss"]) else Schedule.NO_LOSS_YET,
        last_event=found["iter_last_event"],
        losses=found["losses"],
    )


def _losses(state: pb.SolverState) -> list[float]:
    """netrun's own field: what is left of a state without Caffe's fields. Spends the state."""
    for known, _ in state.ListFields():
        state.ClearField(known.name)
    rest = state.SerializeToString()
    whole = len(rest) % _LOSS.size == 0 and all(tag == _LOSS_TAG for tag, _ in _LOSS.iter_unpack(rest))
    return [value for _, value in _LOSS.iter_unpack(rest)] if whole else []


def _beside(model: str | bytes, state: Path) -> str:
    """The weights that a state names: there, or, where a run's folder has been moved, beside the state itself."""
    if isinstance(model, bytes) or not model.isprintable():  # protobuf gives bytes where they are no UTF-8
        raise CaffeError(f"{state}: is corrupt: its learned_net is no path")
    moved = state.parent / Path(model).name
    return str(moved) if not Path(model).exists() and moved.exists() else model


def latest(prefix: str) -> str | None:
    """The state of this snapshot_prefix, binary or HDF5, with the highest iteration that reads, weights included; None without one."""
    folder, name = Path(prefix).parent, Path(prefix).name
    pattern = re.compile(re.escape(name) + r"_iter_(\d+)\.solverstate(\.h5)?")
    found = [(int(m.group(1)), path) for path in folder.glob("*.solverstate*") if (m := pattern.fullmatch(path.name))]
    for _, path in sorted(found, reverse=True):
        try:
            model = read(path).model
            if model is not None:
                stored(model)
            return str(path)
        except (CaffeError, OSError) as error:
            log.warning(f"passing over {path}: {error}")
    return None
