"""An HDF5 file that grows by rows, and appears whole or not at all."""

from __future__ import annotations

import io
import os
from pathlib import Path

import h5py
import numpy as np

from ssd_common.durable import sync_folder


class HDF5Rows:
    """Writes datasets of rows to `path.part`, which becomes `path` with `keep`.

    error: why the disk refused, None as long as it did not.
    Raises OSError where the file cannot be made.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._part = Path(f"{path}.part")
        self._empty = True
        self._disk = _Disk(self._part, "w+")
        self._file = h5py.File(self._disk, "w")

    @property
    def error(self) -> OSError | None:
        """Return why the disk refused; None as long as it did not."""
        return self._disk.error

    def append(self, name: str, rows: np.ndarray) -> None:
        """Add rows to the dataset of this name; the first rows create it.

        Raises ValueError for rows of another shape than those before.
        """
        item = rows.shape[1:]
        dataset = self._file.get(name)
        if dataset is None:
            dataset = self._file.create_dataset(
                name,
                (0, *item),
                "<f4",
                maxshape=(None, *item),
                chunks=True,
            )
        if dataset.shape[1:] != item:
            raise ValueError(f"rows of {dataset.shape[1:]} before, of {item} now")
        done = len(dataset)
        dataset.resize(done + len(rows), 0)
        dataset[done:] = rows
        self._empty = False

    def flush(self) -> None:
        """Hand all rows to the system. Raises OSError where the disk refuses."""
        self._file.flush()
        if self.error:
            raise self.error

    def keep(self) -> None:
        """Give the file its name, once it is on the disk; without rows, remove it.

        Raises OSError where the disk refuses, and removes the file as well.
        """
        try:
            self._file.close()
            if self._empty:
                return
            if self.error:
                raise self.error
            os.fsync(self._disk.fileno())
            self._part.replace(self._path)
            sync_folder(self._path.parent)
        finally:
            self._disk.close()
            self._part.unlink(missing_ok=True)


class _Disk(io.FileIO):
    """A file that lets nobody see that the disk refuses: HDF5 could not close it.

    error: the first refusal. What is written after it is lost.
    """

    error: OSError | None = None

    def write(self, data: object) -> int:
        rest = memoryview(data).cast("B")  # type: ignore[arg-type]
        size = len(rest)
        while len(rest) and not self.error:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            if not self.error:
                return super().truncate(size)
        except OSError as error:
            self.error = error
        return size or 0
