"""HDF5 files as Caffe lays them out: `.caffemodel.h5` (Net::ToHDF5) and `.solverstate.h5` (SGDSolver::SnapshotSolverStateToHDF5).

Weights: group `data`, in it a group per layer, in that a float32 dataset per parameter blob, named by its number; `diff` likewise.
A blob that a layer shares with an earlier one is left out. State: datasets `iter`, `learned_net`, `current_step`, `iter_last_event`
and `minimum_loss`, and group `history` with one dataset per history blob.
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
from ssd_common.files import PathLike, read_bytes, write_atomic

Blobs = Mapping[str, Mapping[int, np.ndarray]]  # by layer name and number
# What h5py raises over damaged files: offsets and sizes of any value go through all of its conversions.
_DAMAGE = (OSError, RuntimeError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, MemoryError, SystemError)
SIGNATURE = b"\x89HDF"
_LOSSES = "netrun_losses"  # netrun's own: LossWindow.state(); Caffe asks for its datasets by name and never sees it


def is_hdf5(path: PathLike) -> bool:
    """Whether a file is to be read as HDF5: by its first bytes; by its name, as Caffe goes, where it cannot be opened."""
    try:
        with open(path, "rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except OSError:
        return str(path).endswith(".h5")


def check_names(names: Sequence[str]) -> None:
    """Raises CaffeError for layers whose blobs no HDF5 file of Caffe's can hold: two of one name, or a name with a '/'."""
    seen = set()
    for name in names:
        if "/" in name or name in seen or name in ("", "."):
            why = "contains '/'" if "/" in name else "is the name of two layers" if name in seen else "names no group"
            raise CaffeError(f"layer '{name}': its name {why}, which Caffe's HDF5 files cannot hold; write the binary form (BINARYPROTO)")
        seen.add(name)


def read_weights(path: PathLike) -> dict[str, dict[int, np.ndarray]]:
    """Every layer's blobs by number. Raises ParseError for what is no such file."""
    with _opened(path, "weights (.caffemodel.h5)") as file:
        return {name: {_number(key): _floats(blob) for key, blob in layer.items()} for name, layer in file["data"].items()}


def write_weights(path: PathLike, data: Blobs, diffs: Blobs | None = None) -> None:
    """Write parameters, and their diffs where given, whole or not at all. Raises CaffeError where the disk refuses."""
    with _new(path) as file:
        for group, layers in {"data": data, "diff": diffs}.items():
            for name, blobs in (layers or {}).items():
                place = file.require_group(group).create_group(name)
                for number, blob in blobs.items():
                    place.create_dataset(str(number), data=np.asarray(blob, "<f4"))


def read_state(path: PathLike) -> dict[str, Any]:
    """A solver state: the numbers, `learned_net` (None where it names none), `history` and `losses`. Raises ParseError."""
    with _opened(path, "a solver state (.solverstate.h5)") as file:
        history = file["history"]
        return {
            **{name: int(_single(file[name])) for name in ("iter", "current_step", "iter_last_event")},
            "minimum_loss": float(_single(file["minimum_loss"])),
            "learned_net": bytes(file["learned_net"][()]).rstrip(b"\0").decode() if "learned_net" in file else None,
            "history": [_floats(history[str(i)]) for i in range(len(history))],
            "losses": [float(x) for x in file[_LOSSES][()]] if _LOSSES in file else [],
        }


def write_state(path: PathLike, state: Mapping[str, Any]) -> None:
    """Write what read_state reads, whole or not at all. Raises CaffeError where the disk refuses."""
    h5py = importlib.import_module("h5py")
    with _new(path) as file:
        file["iter"] = np.array([state["iter"]], "<i4")
        # A C string with its end mark inside: h5py's own would lack that, and Caffe reads on until it finds one.
        words = state["learned_net"].encode() + b"\0"
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(len(words))
        dataset = h5py.h5d.create(file.id, b"learned_net", kind, h5py.h5s.create(h5py.h5s.SCALAR))
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(words, f"S{len(words)}"), kind)
        for name in ("current_step", "iter_last_event"):
            file[name] = np.array([state[name]], "<i4")
        file["minimum_loss"] = np.array([state["minimum_loss"]], "<f4")
        if state["losses"]:
            file[_LOSSES] = np.array(state["losses"], "<f8")
        history = file.create_group("history")
        for i, blob in enumerate(state["history"]):
            history.create_dataset(str(i), data=np.asarray(blob, "<f4"))


@contextmanager
def _new(path: PathLike) -> Iterator[Any]:
    """A file that is made in memory and, once complete, written in one go."""
    h5py = importlib.import_module("h5py")
    with h5py.File("new", "w", driver="core", backing_store=False, libver="earliest") as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    write_atomic(path, image)


@contextmanager
def _opened(path: PathLike, what: str) -> Iterator[Any]:
    """A file to read; whatever HDF5 says of a damaged or foreign one becomes one ParseError."""
    h5py = importlib.import_module("h5py")
    data = read_bytes(path)
    if not data.startswith(SIGNATURE):
        raise ParseError(str(path), "is not an HDF5 file, in spite of its name")
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            yield file
    except _DAMAGE as error:
        if missing := re.search(r"object '([^']+)' doesn't exist", str(error)):
            raise ParseError(str(path), f"is HDF5, but not {what}: it has no '{missing[1]}'") from None
        # h5py gives None for what is there but does not decode
        said = (
            "a group or dataset does not decode"
            if isinstance(error, (AttributeError, KeyError))
            else (str(error) or type(error).__name__).splitlines()[0]
        )
        raise ParseError(str(path), f"is truncated, damaged or not {what}: {said}") from None


def _number(key: str) -> int:
    if not key.isdecimal():
        raise ValueError(f"'{key}' is no number of a blob")
    return int(key)


def _floats(dataset: Any) -> np.ndarray:
    """A dataset's numbers, float32 in its shape; one that claims to hold more than the file does is refused before memory is taken."""
    if dataset.chunks is None and math.prod(dataset.shape) * dataset.dtype.itemsize > dataset.id.get_storage_size():
        raise ValueError(f"dataset '{dataset.name}' has shape {dataset.shape}, but not as many numbers")
    if dataset.dtype.kind not in "fiu":
        raise TypeError(f"dataset '{dataset.name}' holds no numbers")
    return np.asarray(dataset[()], np.float32)


def _single(dataset: Any) -> Any:
    values = np.ravel(dataset[()])
    if values.size != 1 or values.dtype.kind not in "fiu":
        raise ValueError(f"dataset '{dataset.name}' is not a single number")
    return values[0]
