"""Reads and writes HDF5 files in Caffe's layout: `.caffemodel.h5` and `.solverstate.h5`.

Weights: group `data` holds a group per layer; each of these holds a float32 dataset per parameter
blob, named by the blob's number. Group `diff` has the same form. Caffe leaves out a blob that a
layer shares with an earlier one.
State: datasets `iter`, `learned_net`, `current_step`, `iter_last_event` and `minimum_loss`, and
group `history` with one dataset per history blob.
Source: weiliu89/caffe (ssd), Net::ToHDF5 and SGDSolver::SnapshotSolverStateToHDF5.
"""

from __future__ import annotations

import importlib
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ssd_common.errors import CaffeError, ParseError
from ssd_common.files import PathLike, read_bytes, reading, write_atomic

Blobs = Mapping[str, Mapping[int, np.ndarray]]  # by layer name and number
# The errors that h5py raises for damaged files: their offsets and sizes may have any value, and go
# through all of h5py's conversions.
DAMAGE = (
    OSError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    MemoryError,
    SystemError,
)
SIGNATURE = b"\x89HDF"
# netrun's own dataset, LossWindow.state(). Caffe asks for datasets by name and never sees it.
_LOSSES = "netrun_losses"
_COUNTS = ("iter", "current_step", "iter_last_event")


def is_hdf5(path: PathLike) -> bool:
    """Tell whether to read a file as HDF5.

    Its first bytes decide, or its name, as in Caffe, if it cannot be opened.
    """
    try:
        with reading(path), open(path, "rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except ParseError:
        return str(path).endswith(".h5")


def check_names(names: Sequence[str]) -> None:
    """Refuse names of layers that Caffe's HDF5 files cannot hold.

    Those are the same twice, and names with a '/' or a zero byte.

    Raises CaffeError.
    """
    seen: set[str] = set()
    for name in names:
        fault = _fault(name, seen)
        if fault:
            what = f"its name {fault}, which Caffe's HDF5 files cannot hold"
            remedy = "write the binary form (BINARYPROTO)"
            raise CaffeError(f"layer '{name}': {what}; {remedy}")
        seen.add(name)


def _fault(name: str, seen: set[str]) -> str:
    """Why a layer with this name cannot be a group beside those seen; empty where it can."""
    if "/" in name:
        return "contains '/'"
    if "\0" in name:
        return "contains a zero byte"
    if name in seen:
        return "is the name of two layers"
    if name in ("", "."):
        return "names no group"
    return ""


def read_weights(path: PathLike) -> dict[str, dict[int, np.ndarray]]:
    """Read every layer's blobs by number, as float32.

    Raises ParseError for any other file.
    """
    with _opened(path, "weights (.caffemodel.h5)") as file:
        layers = file["data"].items()
        return {_text(name): _blobs(layer) for name, layer in layers}


def _text(name: str | bytes) -> str:
    """Return a group's name, which h5py gives as bytes where it is not UTF-8."""
    if isinstance(name, bytes):
        raise ValueError("a layer's name is not UTF-8")
    return name


def _blobs(group: Any) -> dict[int, np.ndarray]:
    return {_number(key): _floats(blob) for key, blob in group.items()}


def write_weights(path: PathLike, data: Blobs, diffs: Blobs | None = None) -> None:
    """Write parameters, and their diffs if given, atomically.

    Raises CaffeError where the file cannot be written.
    """
    with _new(path) as file:
        for group, layers in {"data": data, "diff": diffs}.items():
            for name, blobs in (layers or {}).items():
                place = file.require_group(group).create_group(name)
                for number, blob in blobs.items():
                    values = np.asarray(blob, "<f4")
                    place.create_dataset(str(number), data=values)


def read_state(path: PathLike) -> dict[str, Any]:
    """Read a solver state.

    Returns the numbers `iter`, `current_step`, `iter_last_event` and `minimum_loss`, the name
    `learned_net` (None if the file has none), the arrays `history` and the numbers `losses`.
    Raises ParseError for any other file.
    """
    with _opened(path, "a solver state (.solverstate.h5)") as file:
        history = file["history"]
        state: dict[str, Any] = {name: int(_single(file[name])) for name in _COUNTS}
        state["minimum_loss"] = float(_single(file["minimum_loss"]))
        state["learned_net"] = None
        if "learned_net" in file:
            _refuse_elsewhere(file["learned_net"])
            name = bytes(file["learned_net"][()])
            state["learned_net"] = name.rstrip(b"\0").decode()
        numbers = map(str, range(len(history)))
        state["history"] = [_floats(history[number]) for number in numbers]
        state["losses"] = []
        if _LOSSES in file:
            _refuse_elsewhere(file[_LOSSES])
            state["losses"] = list(map(float, file[_LOSSES][()]))
        return state


def write_state(path: PathLike, state: Mapping[str, Any]) -> None:
    """Write what read_state reads, atomically.

    Raises CaffeError where the file cannot be written.
    """
    with _new(path) as file:
        file["iter"] = np.array([state["iter"]], "<i4")
        _write_c_string(file, "learned_net", state["learned_net"])
        for name in ("current_step", "iter_last_event"):
            file[name] = np.array([state[name]], "<i4")
        file["minimum_loss"] = np.array([state["minimum_loss"]], "<f4")
        if state["losses"]:
            file[_LOSSES] = np.array(state["losses"], "<f8")
        history = file.create_group("history")
        for i, blob in enumerate(state["history"]):
            history.create_dataset(str(i), data=np.asarray(blob, "<f4"))


def _write_c_string(file: Any, name: str, value: str) -> None:
    """Write a text as C does, with a terminating zero inside.

    h5py's own strings lack the zero, and Caffe reads on until it finds one.
    """
    h5py = importlib.import_module("h5py")
    encoded = value.encode() + b"\0"
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(encoded))
    space = h5py.h5s.create(h5py.h5s.SCALAR)
    timeless = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    timeless.set_obj_track_times(False)  # the same run writes the same bytes
    dataset = h5py.h5d.create(file.id, name.encode(), kind, space, timeless)
    every = h5py.h5s.ALL
    dataset.write(every, every, np.array(encoded, f"S{len(encoded)}"), kind)


@contextmanager
def _new(path: PathLike) -> Iterator[Any]:
    """Make a file in memory, and write it in one step once it is complete."""
    h5py = importlib.import_module("h5py")
    in_memory = h5py.File(
        "new",
        "w",
        driver="core",
        backing_store=False,
        libver="earliest",
    )
    with in_memory as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    write_atomic(path, image)


@contextmanager
def _opened(path: PathLike, what: str) -> Iterator[Any]:
    """Open a file to read.

    what: what the file should hold, for an error's text.
    Raises ParseError in place of h5py's errors for a damaged or foreign file.
    """
    h5py = importlib.import_module("h5py")
    data = read_bytes(path)
    if not data.startswith(SIGNATURE):
        raise ParseError(str(path), "is not an HDF5 file, in spite of its name")
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            yield file
    except DAMAGE as error:
        missing = re.search(r"object '([^']+)' doesn't exist", str(error))
        if missing:
            fault = f"is HDF5, but not {what}: it has no '{missing[1]}'"
            raise ParseError(str(path), fault) from None
        fault = f"is truncated, damaged or not {what}: {reason(error)}"
        raise ParseError(str(path), fault) from None


def reason(error: Exception) -> str:
    """What h5py says of a damaged file, in one line."""
    # h5py returns None for an object that exists but does not decode.
    if isinstance(error, (AttributeError, KeyError)):
        return "a group or dataset does not decode"
    message = str(error) or type(error).__name__
    return message.splitlines()[0]


def _number(key: str) -> int:
    if not key.isdecimal():
        raise ValueError(f"'{key}' is no number of a blob")
    return int(key)


def _refuse_elsewhere(dataset: Any) -> None:
    """Raise ValueError for a dataset that keeps its values in other files.

    Those are HDF5's external storage and virtual datasets: a file from elsewhere could name any
    file of the reader's.
    """
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"dataset '{dataset.name}' keeps its values in other files")


def _floats(dataset: Any) -> np.ndarray:
    """Read a dataset's numbers, as float32 in its shape.

    Raises ValueError, before it allocates memory, where the file holds fewer numbers than the
    dataset claims or the dataset keeps them in other files, and TypeError where it does not hold
    numbers.
    """
    _refuse_elsewhere(dataset)
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    if dataset.chunks is None and size > dataset.id.get_storage_size():
        what = f"has shape {dataset.shape}, but not as many numbers"
        raise ValueError(f"dataset '{dataset.name}' {what}")
    if dataset.dtype.kind not in "fiu":
        raise TypeError(f"dataset '{dataset.name}' holds no numbers")
    return np.asarray(dataset[()], np.float32)


def _single(dataset: Any) -> Any:
    _refuse_elsewhere(dataset)
    values = np.ravel(dataset[()])
    if values.size != 1 or values.dtype.kind not in "fiu":
        raise ValueError(f"dataset '{dataset.name}' is not a single number")
    return values[0]
