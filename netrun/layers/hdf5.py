"""HDF5Data and HDF5Output: read and write HDF5 files, a dataset per blob and an item per row."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from caffe_ir.rules.checks import legacy
from caffe_ir.rules.registry import Shape
from netrun.data.hdf5_values import check_values
from netrun.data.records import permutation
from netrun.layers.hdf5_rows import HDF5Rows
from netrun.layers.registry import Layer, Tensors, layer
from netrun.runtime import log
from netrun.weights.hdf5 import DAMAGE, reason
from ssd_common import locks
from ssd_common.errors import CaffeError, LayerError
from ssd_common.files import read_bytes
from ssd_common.suggest import suggest

_EVERY_ROW = slice(None)
_FIRST_ROW = slice(1)


def _load(
    path: str,
    tops: Sequence[str],
    folder: str,
    rows: slice = _EVERY_ROW,
) -> list[np.ndarray]:
    """Read these rows of the datasets with the tops' names, as float32.

    folder: the list's; datasets may take values from other HDF5 files in it.
    Raises CaffeError, naming file and dataset.
    """
    with _opened(path) as file:
        found = []
        for top in tops:
            dataset = _dataset(file, path, top)
            check_values(dataset, path, [folder])
            found.append(np.asarray(dataset[rows], np.float32))
        counts = {len(file[top]) for top in tops}
    if len(counts) != 1 or 0 in counts:
        names = ", ".join(tops)
        wanted = "should have the same number of rows, and some"
        raise CaffeError(f"{path}: datasets {names} {wanted}, found {sorted(counts)}")
    return found


@contextmanager
def _opened(path: str) -> Iterator[h5py.File]:
    """Open a file to read. Raises CaffeError in place of h5py's errors for a damaged one."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DAMAGE as error:
        why = "no such file"
        if os.path.exists(path):
            why = reason(error)
        raise CaffeError(f"{path}: cannot be read as HDF5: {why}") from None


def _dataset(file: h5py.File, path: str, name: str) -> h5py.Dataset:
    """The dataset of this name. Raises CaffeError unless it exists and holds numbers."""
    dataset = file.get(name)
    if not isinstance(dataset, h5py.Dataset):
        names = [key for key in file if isinstance(key, str)]  # bytes where it is not UTF-8
        raise CaffeError(f"{path}: no dataset '{name}'{suggest(name, names)}")
    if dataset.dtype.kind not in "fiu" or not dataset.ndim:
        wanted = "should hold numbers, one row an item"
        found = f"{dataset.dtype} {dataset.shape}"
        raise CaffeError(f"{path}: dataset '{name}' {wanted}, not {found}")
    return dataset


@layer("HDF5Data")
class HDF5Data(Layer):
    """Rows of HDF5 files: each top has batch_size rows of the dataset of its name.

    The layer reads the list's files one after the other, and starts again after the last row.
    With `shuffle`, the files are in random order, and so are the rows in each file; the run's seed
    gives a new order for every pass over the data. Processes of one run take batches in turn.
    Virtual datasets and external links may join HDF5 files in the list's folder or the file's own.

    Raises CaffeError for any other kind of list or file, LayerError for parameters that the fork
    refuses.
    Source: weiliu89/caffe (ssd), hdf5_data_layer.cpp.
    """

    has_backward = False

    def set_up(self) -> None:
        """Read the list and the shapes in its files."""
        p = self.param.hdf5_data_param
        if self.param.HasField("transform_param"):
            what = "HDF5Data does not transform data; drop the field"
            raise self.refuse(what, "transform_param")
        if not p.source:
            what = "must name the list of HDF5 files"
            raise self.refuse(what, "hdf5_data_param.source")
        if not p.batch_size:
            raise self.refuse("must be positive", "hdf5_data_param.batch_size")
        self._tops = list(self.param.top)
        self._folder = os.path.dirname(p.source) or "."
        names = read_bytes(p.source).split()
        self._files = [name.decode("utf-8", "surrogateescape") for name in names]
        self._items = self._item_shapes(self._files[0])
        self._rows = [self._count(path) for path in self._files]
        self._total = sum(self._rows)
        self._batch = 0
        self._loaded: tuple[int, list[np.ndarray]] = (-1, [])

    def _item_shapes(self, path: str) -> list[Shape]:
        """The shape of one row of each dataset."""
        arrays = _load(path, self._tops, self._folder, _FIRST_ROW)
        return [array.shape[1:] for array in arrays]

    def _count(self, path: str) -> int:
        """Count a file's rows.

        Raises CaffeError where they differ in shape from the first file's.
        """
        items = self._item_shapes(path)
        for top, item, first in zip(self._tops, items, self._items, strict=True):
            if item != first:
                there = f"in {self._files[0]} it is {first}"
                raise CaffeError(f"{path}: an item of '{top}' is {item}, {there}")
        with _opened(path) as file:
            return len(file[self._tops[0]])

    def shapes(self) -> list[Shape]:
        """The tops' shapes, by the first file."""
        size = self.param.hdf5_data_param.batch_size
        return [(size, *item) for item in self._items]

    def seek(self, batch: int) -> None:
        """Make the next forward read batch `batch` of the run."""
        self._batch = batch

    def forward(self, bottoms: Tensors) -> Tensors:
        """Read the next batch_size rows of each dataset."""
        size = self.param.hdf5_data_param.batch_size
        options = self.context.options
        begin = (self._batch * options.world + options.rank) * size
        tops = [np.empty((size, *item), np.float32) for item in self._items]
        done = 0
        while done < size:
            file, rows = self._stretch(begin + done, size - done)
            for top, array in zip(tops, self._arrays(file), strict=True):
                top[done : done + len(rows)] = array[rows]
            done += len(rows)
        self._batch += 1
        device = self.context.device
        return [torch.from_numpy(top).to(device) for top in tops]

    def _stretch(self, sample: int, most: int) -> tuple[int, np.ndarray]:
        """Find the file that holds this sample of the run, and rows in it.

        Returns the file's number, and the rows of this sample and the next ones, `most` at most.
        """
        number, place = divmod(sample, self._total)
        files = len(self._files)
        stream = number * (files + 1)
        order = self._order(files, stream).tolist()
        for position, file in enumerate(order, 1):
            count = self._rows[file]
            if place < count:
                rows = self._order(count, stream + position)
                return file, rows[place : place + most]
            place -= count
        raise AssertionError("place lies below the sum of all rows")

    def _order(self, count: int, stream: int) -> np.ndarray:
        """The order of `count` files or rows. stream: the number of this shuffle."""
        if self.param.hdf5_data_param.shuffle:
            return permutation(count, self.context.options.seed, stream)
        return np.arange(count)

    def _arrays(self, file: int) -> list[np.ndarray]:
        """A file's datasets; the latest file's stay in memory, as in Caffe."""
        if self._loaded[0] != file:
            arrays = _load(self._files[file], self._tops, self._folder)
            if len(arrays[0]) != self._rows[file]:
                what = "has been changed since the net was built"
                raise CaffeError(f"{self._files[file]}: {what}")
            self._loaded = file, arrays
        return self._loaded[1]


@layer("HDF5Output")
class HDF5Output(Layer):
    """Writes its bottoms as datasets `data` and `label`, of 4 axes as Caffe's.

    Each pass adds its rows, where Caffe stops at a second pass. Until the net is closed or deleted,
    the file's name ends in `.part`.

    Raises LayerError where the file cannot be written, and in a run of several processes.
    Source: weiliu89/caffe (ssd), hdf5_output_layer.cpp.
    """

    has_backward = False
    _file: HDF5Rows | None = None
    _lock: locks.Lock | None = None

    def set_up(self) -> None:
        """Create the file."""
        field = "hdf5_output_param.file_name"
        self._path = self.param.hdf5_output_param.file_name
        if not self._path:
            raise self.refuse("must name the file to write", field)
        if self.context.options.world > 1:
            what = "all processes would write one file"
            raise self.refuse(f"{what}; run the net in a single one", field)
        self._claim(field)
        try:
            self._file = HDF5Rows(self._path)
        except OSError as error:
            raise self._unwritable(error, field) from None

    def _claim(self, field: str) -> None:
        """Keep other processes off the file: HDF5's own locks are switched off on many clusters."""
        folder, name = os.path.split(self._path)
        try:
            self._lock = locks.hold(Path(folder), name, self._path, log.warning)
        except locks.Busy as error:
            raise self.refuse(str(error), field) from None
        except CaffeError as error:
            raise self._unwritable(error, field) from None

    def _unwritable(
        self,
        error: Exception,
        field: str | None = None,
    ) -> LayerError:
        what = f"{self._path} cannot be written: {reason(error)}"
        return self.refuse(what, field)

    def forward(self, bottoms: Tensors) -> Tensors:
        """Append the rows of both bottoms to the file."""
        if self._file is None:
            raise self.refuse(f"{self._path} is closed")
        if len(bottoms[0]) != len(bottoms[1]):
            raise self.refuse("data and labels differ in N", "bottom")
        try:
            self._file.append("data", self._rows(bottoms[0]))
            self._file.append("label", self._rows(bottoms[1]))
            self._file.flush()
        except ValueError as error:
            raise self.refuse(str(error), "bottom") from None
        except (OSError, RuntimeError) as error:
            raise self._unwritable(self._file.error or error) from None
        return []

    def _rows(self, blob: Tensor) -> np.ndarray:
        shape = legacy(self.param, tuple(blob.shape))
        return blob.detach().cpu().float().reshape(shape).numpy()

    def close(self) -> None:
        """Finish the file, and give it its name; without a pass, an older one stays."""
        if self._file is None:
            return
        file = self._file
        self._file = None
        try:
            file.keep()
        except (OSError, RuntimeError) as error:
            raise self._unwritable(file.error or error) from None
        finally:
            self._lock = None

    def __del__(self) -> None:
        self.close()
