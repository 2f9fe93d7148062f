"""A run on disk: `.caffemodel` and `.solverstate` in Caffe's own form, and the way back.

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

import torch
from torch import Tensor

from caffe_ir import binary
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.errors import CaffeError
from netrun import log
from netrun.losses import LossWindow
from netrun.net import Net
from netrun.schedule import Schedule
from netrun.weights import blob_array, blob_message


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
    """Raises CaffeError where the solver asks for snapshots that netrun cannot write."""
    if param.snapshot_format == pb.SolverParameter.HDF5:
        raise CaffeError("solver: snapshot_format HDF5 is not supported by netrun; use BINARYPROTO (Caffe reads it as well)")
    if param.snapshot and not param.snapshot_prefix:
        raise CaffeError("solver: snapshot is set but snapshot_prefix is not")


def prepare(param: pb.SolverParameter) -> None:
    """Make the folder of the snapshots, and clear it of what a killed process left half written.

    Raises CaffeError where it cannot be written, before any time is spent on training.
    """
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
    param: pb.SolverParameter, iteration: int, net: Net, history: Sequence[Tensor], schedule: Schedule, *, losses: LossWindow | None = None
) -> str:
    """Write `PREFIX_iter_N.caffemodel` and `.solverstate`; the latter's path. losses: where the schedule goes by them.

    Raises CaffeError where the disk refuses.
    """
    stem = f"{param.snapshot_prefix}_iter_{iteration}"
    model, state_path = stem + ".caffemodel", stem + ".solverstate"
    state = pb.SolverState(
        iter=iteration,
        learned_net=model,
        current_step=schedule.current_step,
        minimum_loss=schedule.minimum_loss,
        iter_last_event=schedule.last_event,
        history=[blob_message(h.detach().cpu().numpy()) for h in history],
    )
    if losses is not None:
        state.MergeFromString(b"".join(_LOSS.pack(_LOSS_TAG, value) for value in losses.state()))
    log.info(f"Snapshotting to binary proto file {model}", at="solver.cpp:596")
    net.save(model)
    _sync(Path(model).parent)
    log.info(f"Snapshotting solver state to binary proto file {state_path}", at="sgd_solver.cpp:308")
    binary.write(state, state_path)
    _sync(Path(model).parent)
    return state_path


def _sync(folder: Path) -> None:
    """Have the disk know the renames in a folder, so that a power cut cannot keep the later one and lose the earlier."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: str | Path) -> State:
    """The state in a `.solverstate` file. Raises CaffeError for a file that is none, or that HDF5 wrote."""
    if str(path).endswith(".h5"):
        raise CaffeError(f"{path}: HDF5 snapshots are not supported by netrun; write them with snapshot_format BINARYPROTO")
    state = binary.read_state(path)
    return State(
        iteration=state.iter,
        model=_beside(state.learned_net, Path(path)) if state.HasField("learned_net") else None,
        history=[torch.from_numpy(blob_array(blob)) for blob in state.history],
        current_step=state.current_step,
        minimum_loss=state.minimum_loss if not math.isnan(state.minimum_loss) else Schedule.NO_LOSS_YET,
        last_event=state.iter_last_event,
        losses=_losses(state),
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
    if isinstance(model, bytes) or "\0" in model:  # protobuf gives bytes where they are no UTF-8
        raise CaffeError(f"{state}: is corrupt: its learned_net is no path")
    moved = state.parent / Path(model).name
    return str(moved) if not Path(model).exists() and moved.exists() else model


def latest(prefix: str) -> str | None:
    """The `.solverstate` of this snapshot_prefix with the highest iteration that reads, weights included; None where there is none."""
    folder, name = Path(prefix).parent, Path(prefix).name
    pattern = re.compile(re.escape(name) + r"_iter_(\d+)\.solverstate")
    found = [(int(m.group(1)), path) for path in folder.glob("*.solverstate") if (m := pattern.fullmatch(path.name))]
    for _, path in sorted(found, reverse=True):
        try:
            state = binary.read_state(path)
            if state.HasField("learned_net"):
                binary.read_weights(_beside(state.learned_net, path))
            return str(path)
        except (CaffeError, OSError) as error:
            log.warning(f"passing over {path}: {error}")
    return None
