"""HDF5Data and HDF5Output: blobs from and to HDF5 files, a dataset per blob and an item per row."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.checks import legacy
from caffe_ir.rules.registry import Facts, Shape
from netrun.data.records import permutation
from netrun.layers.registry import Context, Layer, layer
from ssd_common.errors import CaffeError, LayerError
from ssd_common.files import read_bytes
from ssd_common.suggest import suggest


def _load(path: str, tops: Sequence[str], rows: slice | None = None) -> list[np.ndarray]:
    """The datasets of these names, float32; rows: only those. Raises CaffeError, naming file and dataset."""
    try:
        with h5py.File(path, "r") as file:
            found = []
            for top in tops:
                dataset = file.get(top)
                if not isinstance(dataset, h5py.Dataset):
                    raise CaffeError(f"{path}: no dataset '{top}'{suggest(top, file)}")
                if dataset.dtype.kind not in "fiu" or not dataset.ndim:
                    raise CaffeError(f"{path}: dataset '{top}' should hold numbers, one row an item, not {dataset.dtype} {dataset.shape}")
                found.append(np.asarray(dataset[rows if rows is not None else slice(None)], np.float32))
            counts = {len(file[top]) for top in tops}
    except (OSError, RuntimeError, ValueError) as error:
        reason = "no such file" if not Path(path).exists() else str(error).splitlines()[0]
        raise CaffeError(f"{path}: cannot be read as HDF5: {reason}") from None
    if len(counts) != 1 or 0 in counts:
        raise CaffeError(f"{path}: datasets {', '.join(tops)} should have the same number of rows, and some, found {sorted(counts)}")
    return found


@layer("HDF5Data")
class HDF5Data(Layer):
    """A top for each dataset of its name, batch_size rows of it: file after file of the list, the last rows followed by the first.

    shuffle: files in random order, and the rows within each; anew in every pass, by the run's seed. Processes of one run take batches
    in turn. Source: weiliu89/caffe (ssd), hdf5_data_layer.cpp. Raises CaffeError for what is no such list or file, LayerError for
    parameters that the fork refuses.
    """

    has_backward = False

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        p = layer.hdf5_data_param
        if layer.HasField("transform_param"):
            raise self.refuse("HDF5Data does not transform data; drop the field", "transform_param")
        if not p.source:
            raise self.refuse("must name the list of HDF5 files", "hdf5_data_param.source")
        if not p.batch_size:
            raise self.refuse("must be positive", "hdf5_data_param.batch_size")
        self._tops = list(layer.top)
        self._files = [name.decode("utf-8", "surrogateescape") for name in read_bytes(p.source).split()]
        self._items = [array.shape[1:] for array in _load(self._files[0], self._tops, slice(1))]
        self._rows = [self._count(path) for path in self._files]
        self._total = sum(self._rows)
        self._batch = 0
        self._loaded: tuple[int, list[np.ndarray]] = (-1, [])

    def _count(self, path: str) -> int:
        """Rows of a file, whose items must be the first file's in shape."""
        items = [array.shape[1:] for array in _load(path, self._tops, slice(1))]
        for top, item, first in zip(self._tops, items, self._items, strict=True):
            if item != first:
                raise CaffeError(f"{path}: an item of '{top}' is {item}, in {self._files[0]} it is {first}")
        with h5py.File(path, "r") as file:
            return len(file[self._tops[0]])

    def shapes(self) -> list[Shape]:
        """The tops' shapes, by the first file."""
        return [(self.param.hdf5_data_param.batch_size, *item) for item in self._items]

    def seek(self, batch: int) -> None:
        self._batch = batch

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        size, options = self.param.hdf5_data_param.batch_size, self.context.options
        begin = (self._batch * options.world + options.rank) * size
        tops = [np.empty((size, *item), np.float32) for item in self._items]
        done = 0
        while done < size:
            file, rows = self._stretch(begin + done, size - done)
            for top, array in zip(tops, self._arrays(file), strict=True):
                top[done : done + len(rows)] = array[rows]
            done += len(rows)
        self._batch += 1
        return [torch.from_numpy(top).to(self.context.device) for top in tops]

    def _stretch(self, sample: int, most: int) -> tuple[int, np.ndarray]:
        """The file that holds this sample of the run, and the rows there of it and of those that follow, `most` at most."""
        number, place = divmod(sample, self._total)
        shuffle, seed, files = self.param.hdf5_data_param.shuffle, self.context.options.seed, len(self._files)
        order = permutation(files, seed, number * (files + 1)) if shuffle else np.arange(files)
        for position, file in enumerate(map(int, order), 1):
            count = self._rows[file]
            if place < count:
                rows = permutation(count, seed, number * (files + 1) + position) if shuffle else np.arange(count)
                return file, rows[place : place + most]
            place -= count
        raise AssertionError("place lies below the sum of all rows")

    def _arrays(self, file: int) -> list[np.ndarray]:
        """A file's datasets; the last one's stay in memory, as in Caffe."""
        if self._loaded[0] != file:
            arrays = _load(self._files[file], self._tops)
            if len(arrays[0]) != self._rows[file]:
                raise CaffeError(f"{self._files[file]}: has been changed since the net was built")
            self._loaded = file, arrays
        return self._loaded[1]


@layer("HDF5Output")
class HDF5Output(Layer):
    """Writes its bottoms as datasets `data` and `label`, of 4 axes as Caffe's. Each pass adds its rows; Caffe stops at a second one.

    The file has its name once the net is closed or gone; until then `.part` is added to it. Source: weiliu89/caffe (ssd),
    hdf5_output_layer.cpp. Raises LayerError where it cannot be written, and in a run of several processes.
    """

    has_backward = False
    _file: h5py.File | None = None

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        self._path = layer.hdf5_output_param.file_name
        if not self._path:
            raise self.refuse("must name the file to write", "hdf5_output_param.file_name")
        if context.options.world > 1:
            raise self.refuse("all processes would write one file; run the net in a single one", "hdf5_output_param.file_name")
        try:
            self._file = h5py.File(f"{self._path}.part", "w")
        except OSError as error:
            raise self.refuse(f"{self._path} cannot be written: {str(error).splitlines()[0]}", "hdf5_output_param.file_name") from None

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        if self._file is None:
            raise self.refuse(f"{self._path} is closed")
        if len(bottoms[0]) != len(bottoms[1]):
            raise self.refuse("data and labels differ in N", "bottom")
        try:
            for name, blob in zip(("data", "label"), bottoms, strict=True):
                rows = blob.detach().cpu().float().reshape(legacy(self.param, tuple(blob.shape))).numpy()
                dataset = self._file.require_group("/").get(name)
                if dataset is None:
                    dataset = self._file.create_dataset(name, (0, *rows.shape[1:]), "<f4", maxshape=(None, *rows.shape[1:]), chunks=True)
                if dataset.shape[1:] != rows.shape[1:]:
                    raise self.refuse(f"rows of {dataset.shape[1:]} before, of {rows.shape[1:]} now", "bottom")
                dataset.resize(len(dataset) + len(rows), 0)
                dataset[len(dataset) - len(rows) :] = rows
            self._file.flush()
        except (OSError, RuntimeError) as error:
            raise self.refuse(f"{self._path} cannot be written: {str(error).splitlines()[0]}") from None
        return []

    def close(self) -> None:
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            file.close()
            os.replace(f"{self._path}.part", self._path)
        except (OSError, RuntimeError) as error:
            raise LayerError(self.name, f"{self._path} cannot be written: {str(error).splitlines()[0]}") from None

    def __del__(self) -> None:
        self.close()
