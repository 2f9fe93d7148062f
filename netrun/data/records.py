"""Sources of samples: records by number, lists of image files, random orders."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.records import CorruptRecord
from caffe_ir.rules.registry import Shape
from netrun.data.datum import NO_OBJECTS, Sample, decode_image
from ssd_common.errors import CaffeError
from ssd_common.files import read_bytes, read_regular

# Philox keys with a second word of this or more belong to no sample.
_ORDERS = 1 << 63


class Records(Protocol):
    """Records by number; messages name each record by its key."""

    source: str

    @property
    def keys(self) -> Sequence[bytes]:
        """The records' keys, in order."""

    def __len__(self) -> int: ...

    def close(self) -> None:
        """Close open files."""


class ImageList:
    """The images and labels of ImageData's list file, each line `path label`.

    source: the list file.
    root: text to put before each path.
    size: (height, width) to scale to; None: keep the image's own.
    color: whether images are BGR; grey otherwise.
    Raises CaffeError, naming file and line, for a list that is missing, is empty or lacks a
    label.
    """

    def __init__(
        self,
        source: str,
        root: str = "",
        size: Shape | None = None,
        color: bool = True,
    ) -> None:
        self.source = source
        self._root = root
        self._size = size
        self._color = color
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
                raise CaffeError(
                    f"{source}:{number}: each line should be an image's path, a space "
                    "and its label, a whole number"
                )
            self.keys.append(name)
        if not self.keys:
            raise CaffeError(f"{source}: no image is listed")

    def __len__(self) -> int:
        return len(self.keys)

    def value(self, index: int) -> bytes:
        """Read the bytes of an image's file.

        Raises CorruptRecord where it cannot be read.
        """
        name = self.keys[index].decode("utf-8", "surrogateescape")
        try:
            return read_regular(self._root + name)
        except OSError as error:
            raise CorruptRecord(error.strerror or str(error)) from None
        except CaffeError as error:
            raise CorruptRecord(str(error)) from None

    def sample(self, index: int) -> Sample:
        """Read an image, scaled to `size`, and its label.

        Raises CorruptRecord for an image that cannot be read.
        """
        datum = pb.Datum(encoded=True, data=self.value(index))
        image = decode_image(datum, self._color, not self._color)
        if self._size:
            image = cv2.resize(image, self._size[::-1]).reshape(*self._size, -1)
        return Sample(image, NO_OBJECTS, self._labels[index])

    def close(self) -> None:
        """Do nothing: no file stays open."""


@lru_cache(maxsize=8)
def permutation(count: int, seed: int, number: int) -> np.ndarray:
    """Return random order `number` (0, 1, ...) of `count` things in a run with this seed."""
    key = np.array([seed % (1 << 64), _ORDERS + number], np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(count)


class Order:
    """Gives the record's number for a sample's number.

    All processes of a run have the same order.
    count: how many records there are.
    shuffle: whether each pass has a new random order; otherwise records keep their order.
    skip: the run first skips fewer records than this; the seed draws how many (rand_skip).
    """

    def __init__(
        self,
        count: int,
        seed: int,
        shuffle: bool,
        skip: int = 0,
    ) -> None:
        self._count = count
        self._seed = seed
        self._shuffle = shuffle
        self._skip = 0
        if skip:
            self._skip = int(permutation(skip, seed, _ORDERS - 1)[0])

    def __call__(self, index: int) -> int:
        """Return the record's number for sample `index` of the run."""
        number, place = divmod(index + self._skip, self._count)
        if self._shuffle:
            return int(permutation(self._count, self._seed, number)[place])
        return place
