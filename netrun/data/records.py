"""Where samples come from, as the loader sees it: records by number; lists of image files; random orders."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.records import CorruptRecord
from caffe_ir.rules.registry import Shape
from netrun.data.datum import NO_OBJECTS, Sample, decode_image
from ssd_common.errors import CaffeError
from ssd_common.files import read_bytes

_ORDERS = 1 << 63  # the second words of Philox keys from here on are no sample's


class Records(Protocol):
    """Records by number, under the keys that messages name them by."""

    source: str

    @property
    def keys(self) -> Sequence[bytes]: ...

    def __len__(self) -> int: ...

    def close(self) -> None: ...


class ImageList:
    """The images and labels of ImageData's list file, each line `path label`. `sample` raises CorruptRecord for one that is unreadable.

    root: what stands before each path, as it is written. size: (height, width) to scale to, None: its own.
    Raises CaffeError, naming file and line, for a list that is missing, empty or lacks a label.
    """

    def __init__(self, source: str, root: str = "", size: Shape | None = None, color: bool = True) -> None:
        self.source, self._root, self._size, self._color = source, root, size, color
        self.keys: list[bytes] = []
        self._labels: list[int] = []
        for number, line in enumerate(read_bytes(source).splitlines(), 1):
            if not line.strip():
                continue
            name, _, label = line.rpartition(b" ")
            try:
                self._labels.append(int(label))
            except ValueError:
                name = b""
            if not name:
                raise CaffeError(f"{source}:{number}: each line should be an image's path, a space and its label, a whole number")
            self.keys.append(name)
        if not self.keys:
            raise CaffeError(f"{source}: no image is listed")

    def __len__(self) -> int:
        return len(self.keys)

    def value(self, index: int) -> bytes:
        """The bytes of an image's file."""
        try:
            return Path(self._root + self.keys[index].decode("utf-8", "surrogateescape")).read_bytes()
        except OSError as error:
            raise CorruptRecord(error.strerror or str(error)) from None

    def sample(self, index: int) -> Sample:
        image = decode_image(pb.Datum(encoded=True, data=self.value(index)), self._color, not self._color)
        if self._size:
            image = cv2.resize(image, self._size[::-1]).reshape(*self._size, -1)
        return Sample(image, NO_OBJECTS, self._labels[index])

    def close(self) -> None:
        """Nothing is held open."""


@lru_cache(maxsize=8)
def permutation(count: int, seed: int, number: int) -> np.ndarray:
    """The random order of `count` things that has this number (0, 1, ...) in a run with this seed."""
    key = np.array([seed % (1 << 64), _ORDERS + number], np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(count)


class Order:
    """The record's number for a sample's: one after the other, or shuffled anew for each pass, the same in all processes of a run.

    skip: how many records at most to pass over at the beginning, a number drawn by the seed (Caffe's rand_skip).
    """

    def __init__(self, count: int, seed: int, shuffle: bool, skip: int = 0) -> None:
        self._count, self._seed, self._shuffle = count, seed, shuffle
        self._skip = int(permutation(skip, seed, _ORDERS - 1)[0]) if skip else 0

    def __call__(self, index: int) -> int:
        number, place = divmod(index + self._skip, self._count)
        return int(permutation(self._count, self._seed, number)[place]) if self._shuffle else place
