"""The objects of LMDBs, or of a data set in any other form, as arrays."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map as label_maps
from caffe_ir import records
from caffe_ir.lmdb_reader import LmdbReader, key_text
from data_prep.checks.item_checks import Rules, inspect
from data_prep.images.image import read_image
from data_prep.sources import label_map
from data_prep.sources.source import Item, Source
from ssd_common.errors import CaffeError

Row = tuple[str, records.Corners]  # class, and xmin, ymin, xmax, ymax normalised


@dataclass
class ObjectTable:
    """All objects of a data set.

    names: of the classes
    images: (m, 2) width and height of every image, in pixels
    image, label: (n,) each object's image and class, as indices
    corners: (n, 4) each object's box, normalised
    unread: number of images left out, as they or their annotations cannot be read
    """

    names: list[str]
    images: np.ndarray
    image: np.ndarray
    label: np.ndarray
    corners: np.ndarray
    unread: int = 0

    def __len__(self) -> int:
        return len(self.label)

    @property
    def sides(self) -> np.ndarray:
        """(n, 2) width and height as shares of the image's; 0 for inverted boxes."""
        return np.maximum(self.corners[:, 2:] - self.corners[:, :2], 0)

    @property
    def pixels(self) -> np.ndarray:
        """(n, 2) width and height in pixels of the image."""
        return self.sides * self.images[self.image]


@dataclass
class _Gathering:
    """An ObjectTable in the making: a few bytes for each object."""

    names: dict[str, int] = field(default_factory=dict)
    sizes: array = field(default_factory=lambda: array("f"))
    image: array = field(default_factory=lambda: array("l"))
    label: array = field(default_factory=lambda: array("l"))
    corners: array = field(default_factory=lambda: array("f"))
    unread: int = 0

    def add(self, width: int, height: int, rows: list[Row]) -> None:
        """Take in an image of so many pixels, and its objects."""
        number = len(self.sizes) // 2
        self.sizes.extend((width, height))
        for name, corners in rows:
            self.image.append(number)
            self.label.append(self.names.setdefault(name, len(self.names)))
            self.corners.extend(corners)

    def done(self) -> ObjectTable:
        """The table of all objects whose boxes are finite."""
        corners = np.array(self.corners, np.float64).reshape(-1, 4)
        whole = np.isfinite(corners).all(1)
        image, label = np.array(self.image, int)[whole], np.array(self.label, int)[whole]
        return ObjectTable(list(self.names), np.array(self.sizes, float).reshape(-1, 2), image, label, corners[whole], self.unread)


def of_lmdbs(paths: list[Path], labels: str | None = None) -> ObjectTable:
    """The objects of some LMDBs with the names of their label maps.

    Raises CaffeError naming LMDB and record.
    """
    found = _Gathering()
    for path in paths:
        file = label_map.beside(path, labels)
        names = label_maps.class_names(file)
        for width, height, rows in _records(path, names):
            found.add(width, height, rows)
    return found.done()


def _records(path: Path, names: dict[int, str]) -> Iterator[tuple[int, int, list[Row]]]:
    reader = LmdbReader(path)
    for number in tqdm(range(len(reader)), desc=path.name, unit=" records", disable=None, leave=False):
        try:
            record = records.parse(reader.value(number))
        except records.CorruptRecord:
            key = key_text(reader.keys[number])
            raise CaffeError(f"{path}: record {key} is no AnnotatedDatum") from None
        rows = [
            (names.get(group.group_label, str(group.group_label)), records.corners(a.bbox))
            for group in record.annotation_group
            for a in group.annotation
        ]
        width, height = record.datum.width, record.datum.height
        if min(width, height) <= 0:
            width, height = _decoded_size(record.datum)
        yield width, height, rows


def _decoded_size(datum: pb.Datum) -> tuple[int, int]:
    """(width, height) of an image whose datum does not say; 0 where it cannot be decoded."""
    data = np.frombuffer(datum.data, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    return (image.shape[1], image.shape[0]) if image is not None else (0, 0)


def of_source(source: Source, items: list[Item]) -> ObjectTable:
    """The objects of a data set that is not built; images that cannot be read are only counted."""
    found = _Gathering()
    for item in tqdm(items, unit=" images", disable=None, leave=False):
        seen = inspect(source, item, Rules({}, ""), read_image)
        if seen.image and seen.annotation:
            width, height = seen.annotation.width, seen.annotation.height
            if min(width, height) <= 0:
                width, height = seen.image.width, seen.image.height
            rows = [(o.name, (o.xmin / width, o.ymin / height, o.xmax / width, o.ymax / height)) for o in seen.annotation.objects]
            found.add(width, height, rows)
        else:
            found.unread += 1
    return found.done()
