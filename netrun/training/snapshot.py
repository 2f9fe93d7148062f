"""Stores a run: `.caffemodel` and `.solverstate` in Caffe's own form, binary or HDF5.

Both files are written beside their final name, flushed to the disk and then renamed, weights first.
So even if the process is killed, an existing `.solverstate` is complete, and so is the
`.caffemodel` that it names.
"""

from __future__ import annotations

import math
import os
import re
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from caffe_ir import binary
from caffe_ir import caffe_ir_pb2 as pb
from netrun.engine.engine import Engine
from netrun.runtime import log, memory
from netrun.training.losses import LossWindow
from netrun.training.lr_policy import Schedule
from netrun.weights import hdf5
from netrun.weights.files import blob_array, blob_message, stored
from ssd_common import locks
from ssd_common.durable import make_folder, sync_folder
from ssd_common.errors import CaffeError
from ssd_common.files import clear_leftovers, temporary_name
from ssd_common.locks import Lock


@dataclass
class State:
    """The contents of a `.solverstate`.

    iteration: how often the weights have been updated.
    model: the path of the weights; None if the state names none.
    history: the updater's blobs.
    current_step, minimum_loss, last_event: as in lr_policy.Schedule.
    losses: LossWindow.state(), or [].
    """

    iteration: int
    model: str | None
    history: list[Tensor]
    current_step: int
    minimum_loss: float
    last_event: int
    losses: list[float]


@dataclass(frozen=True)
class _Form:
    """A form of snapshots.

    weights_at, state_at: Caffe's lines that log the two files.
    """

    name: str
    suffix: str
    weights_at: str
    state_at: str


_BINARY = _Form("binary proto", "", "solver.cpp:596", "sgd_solver.cpp:308")
_HDF5 = _Form("HDF5", ".h5", "solver.cpp:605", "sgd_solver.cpp:317")


def _form(param: pb.SolverParameter) -> _Form:
    if param.snapshot_format == pb.SolverParameter.HDF5:
        return _HDF5
    return _BINARY


def check(param: pb.SolverParameter) -> None:
    """Raise CaffeError where the solver asks for snapshots but does not say where to put them."""
    if param.snapshot and not param.snapshot_prefix:
        raise CaffeError("solver: snapshot is set but snapshot_prefix is not")


def prepare(param: pb.SolverParameter, net: Engine) -> None:
    """Make the snapshots' folder.

    Raises CaffeError, before training takes any time, where the folder cannot be written or HDF5
    cannot hold the net's names.
    """
    if _form(param) is _HDF5:
        hdf5.check_names([layer.name for layer in net.layer_list])
    if not param.snapshot_prefix:
        return
    folder, _ = _place(param.snapshot_prefix)
    try:
        make_folder(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        cannot = f"cannot write to snapshot_prefix '{param.snapshot_prefix}': {error.strerror}"
        raise CaffeError(f"solver: {cannot}") from None


def claim(param: pb.SolverParameter) -> Lock | None:
    """Keep other processes off the snapshots, and remove what killed ones left half written.

    Returns the lock; None where the solver names no snapshots, or their folder is not there yet.
    Raises CaffeError where another process trains to the same snapshot_prefix.
    """
    prefix = param.snapshot_prefix
    folder, name = _place(prefix)
    if not prefix or not folder.is_dir():
        return None
    lock = locks.hold(folder, name, f"solver: snapshot_prefix '{prefix}'", log.warning)
    clear_leftovers(folder, lambda file: file.startswith(f"{name}_iter_"), alone=lock.works)
    return lock


def _place(prefix: str) -> tuple[Path, str]:
    """Split a snapshot_prefix into the snapshots' folder and the beginning of their names."""
    folder, name = os.path.split(prefix)
    return Path(folder), name


# netrun keeps LossWindow.state() as a repeated double in the `.solverstate`, field 1000, which
# Caffe's reader skips. Caffe starts a new window when it resumes. With lr_policy "plateau" and
# average_loss above 1, the rate would then differ from an uninterrupted run's.
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
    """Write `PREFIX_iter_N.caffemodel` and `.solverstate`, with `.h5` appended for HDF5.

    losses: given if the schedule needs them.
    Returns the path of the state. Raises CaffeError where the disk refuses.
    """
    form = _form(param)
    stem = f"{param.snapshot_prefix}_iter_{iteration}"
    model = f"{stem}.caffemodel{form.suffix}"
    path = f"{stem}.solverstate{form.suffix}"
    log.info(f"Snapshotting to {form.name} file {model}", at=form.weights_at)
    with _without_state(Path(path), Path(model)):
        net.save(model, diffs=param.snapshot_diff)
    log.info(f"Snapshotting solver state to {form.name} file {path}", at=form.state_at)
    fields: dict[str, Any] = {
        "iter": iteration,
        "learned_net": model,
        "current_step": schedule.current_step,
        "minimum_loss": schedule.minimum_loss,
        "iter_last_event": schedule.last_event,
    }
    blobs = [blob.detach().cpu().numpy() for blob in history]
    window: list[float] = []
    if losses is not None:
        window = losses.state()
    if form is _HDF5:
        hdf5.write_state(path, {**fields, "history": blobs, "losses": window})
    else:
        state = pb.SolverState(**fields, history=[blob_message(blob) for blob in blobs])
        state.MergeFromString(b"".join(_LOSS.pack(_LOSS_TAG, loss) for loss in window))
        binary.write(state, path)
    return path


@contextmanager
def _without_state(path: Path, model: Path) -> Iterator[None]:
    """Write weights inside the block; another run's state is never beside them.

    The state gets its name back where the weights stay as they were.
    Raises CaffeError where the disk refuses.
    """
    if not path.exists():
        yield
        return
    aside = temporary_name(path)
    before = _number(model)
    try:
        path.replace(aside)
        try:
            sync_folder(path.parent)
            yield
        except BaseException:
            if _number(model) == before:
                aside.replace(path)
            raise
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise CaffeError(f"{path}: cannot replace: {error.strerror}") from None


def _number(path: Path) -> int | None:
    """Return the number that the file system has given a file; another file has another."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


@contextmanager
def errors_named(iteration: int, kept: str) -> Iterator[None]:
    """While a snapshot is written, make errors name the earlier one that exists.

    iteration: how often the weights have been updated.
    kept: the last good snapshot, as the end of the message.
    Raises CaffeError where the disk refuses or memory runs out.
    """
    try:
        yield
    except CaffeError as error:
        raise CaffeError(f"{error}{kept}") from None
    except Exception as error:
        if not memory.exhausted(error):
            raise
        what = "out of memory while writing a snapshot, which is not there"
        raise CaffeError(f"iteration {iteration}: {what}{kept}") from None


def read(path: str | Path) -> State:
    """Read a `.solverstate` or `.solverstate.h5` file.

    Raises CaffeError for a file of another kind, and for a corrupt one.
    """
    fields = _read_fields(path)
    _check_fields(path, fields)
    model = fields["learned_net"]
    if model is not None:
        model = _find_weights(model, Path(path))
    minimum_loss = fields["minimum_loss"]
    if math.isnan(minimum_loss):
        minimum_loss = Schedule.NO_LOSS_YET
    return State(
        iteration=fields["iter"],
        model=model,
        history=[torch.from_numpy(blob) for blob in fields["history"]],
        current_step=fields["current_step"],
        minimum_loss=minimum_loss,
        last_event=fields["iter_last_event"],
        losses=fields["losses"],
    )


def _read_fields(path: str | Path) -> dict[str, Any]:
    """The fields of a state by Caffe's names, and `losses`; history as arrays."""
    if hdf5.is_hdf5(path):
        return hdf5.read_state(path)
    state = binary.read_state(path)
    fields: dict[str, Any] = {
        "iter": state.iter,
        "learned_net": None,
        "current_step": state.current_step,
        "minimum_loss": state.minimum_loss,
        "iter_last_event": state.iter_last_event,
        "history": [blob_array(blob) for blob in state.history],
    }
    if state.HasField("learned_net"):
        fields["learned_net"] = state.learned_net
    fields["losses"] = _losses(state)
    return fields


def _check_fields(path: str | Path, fields: Mapping[str, Any]) -> None:
    """Raises CaffeError for numbers that no solver writes."""
    for name in ("iter", "current_step"):
        if fields[name] < 0:
            raise CaffeError(f"{path}: is corrupt: its {name} is {fields[name]}")
    losses = fields["losses"]
    if losses and not LossWindow.is_state(losses):
        raise CaffeError(f"{path}: is corrupt: its losses are no window of losses")


def _losses(state: pb.SolverState) -> list[float]:
    """Read netrun's own field 1000: what remains of a state without Caffe's fields.

    Empties the state. Returns [] if there are other unknown fields.
    """
    for known, _ in state.ListFields():
        state.ClearField(known.name)
    rest = state.SerializeToString()
    if len(rest) % _LOSS.size:
        return []
    losses = []
    for tag, loss in _LOSS.iter_unpack(rest):
        if tag != _LOSS_TAG:
            return []
        losses.append(loss)
    return losses


def _find_weights(model: str | bytes, state: Path) -> str:
    """Find the weights that a state names.

    If a run's folder has been moved, they are beside the state.
    """
    # protobuf gives bytes for a string that is not UTF-8.
    if isinstance(model, bytes) or not model.isprintable():
        raise CaffeError(f"{state}: is corrupt: its learned_net is no path")
    beside = state.parent / Path(model).name
    if not Path(model).exists() and beside.exists():
        return str(beside)
    return model


def latest(prefix: str) -> str | None:
    """Find the newest readable state of a snapshot_prefix, binary or HDF5, with readable weights.

    It skips an unreadable state with a warning.
    Returns the state's path; None where no state is readable.
    """
    for path in _states(prefix):
        try:
            model = read(path).model
            if model is not None:
                stored(model)
        except (CaffeError, OSError) as error:
            log.warning(f"passing over {path}: {error}")
        else:
            return str(path)
    return None


def _states(prefix: str) -> list[Path]:
    """The states of a snapshot_prefix, highest iteration first."""
    folder, name = _place(prefix)
    pattern = re.compile(re.escape(name) + r"_iter_(\d+)\.solverstate(\.h5)?")
    found = []
    for path in folder.glob("*.solverstate*"):
        match = pattern.fullmatch(path.name)
        if match:
            found.append((int(match.group(1)), path))
    found.sort(reverse=True)
    return [path for _, path in found]
