"""Gathers the objects of LMDBs, or of a data set in another form, as arrays."""

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
from data_prep.build.record import stated_size
from data_prep.checks.item_checks import Rules, inspect
from data_prep.images.image import read_image
from data_prep.sources import label_map
from data_prep.sources.source import Item, Source
from ssd_common.errors import CaffeError
from ssd_common.image_limits import declared_size
from ssd_common.pictures import decoded

Row = tuple[str, records.Corners]  # class; xmin, ymin, xmax, ymax, normalised


@dataclass
class ObjectTable:
    """All objects of a data set.

    names: of the classes.
    images: (m, 2) width and height of every image, in pixels.
    image, label: (n,) index of each object's image and class.
    corners: (n, 4) each object's box, normalised.
    unread: number of images left out because they or their annotations cannot be read.
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
class _TableBuilder:
    """Gathers an ObjectTable in arrays, which need only a few bytes for each object."""

    names: dict[str, int] = field(default_factory=dict)
    sizes: array = field(default_factory=lambda: array("f"))
    image: array = field(default_factory=lambda: array("l"))
    label: array = field(default_factory=lambda: array("l"))
    corners: array = field(default_factory=lambda: array("f"))
    unread: int = 0

    def add(self, width: int, height: int, rows: list[Row]) -> None:
        """Take in an image, with its size in pixels, and its objects."""
        number = len(self.sizes) // 2
        self.sizes.extend((width, height))
        for name, corners in rows:
            self.image.append(number)
            label = self.names.setdefault(name, len(self.names))
            self.label.append(label)
            self.corners.extend(corners)

    def table(self) -> ObjectTable:
        """Make the table of all objects whose boxes are finite."""
        corners = np.array(self.corners, np.float64).reshape(-1, 4)
        finite = np.isfinite(corners).all(1)
        return ObjectTable(
            names=list(self.names),
            images=np.array(self.sizes, float).reshape(-1, 2),
            image=np.array(self.image, int)[finite],
            label=np.array(self.label, int)[finite],
            corners=corners[finite],
            unread=self.unread,
        )


def of_lmdbs(paths: list[Path], labels: str | None = None) -> ObjectTable:
    """Gather the objects of LMDBs, with the names of their label maps.

    labels: a label map for all; None for the one beside each LMDB.
    Raises CaffeError naming LMDB and record.
    """
    found = _TableBuilder()
    for path in paths:
        file = label_map.beside(path, labels)
        names = label_maps.class_names(file)
        for width, height, rows in _records(path, names):
            found.add(width, height, rows)
    return found.table()


def _records(path: Path, names: dict[int, str]) -> Iterator[tuple[int, int, list[Row]]]:
    """Read width, height and objects of every record of an LMDB."""
    reader = LmdbReader(path)
    numbers = range(len(reader))
    for number in tqdm(numbers, desc=path.name, unit=" records", disable=None, leave=False):
        key = key_text(reader.keys[number])
        record = records.parse_named(reader.value(number), path, key)
        rows: list[Row] = []
        for group in record.annotation_group:
            name = names.get(group.group_label, str(group.group_label))
            for annotation in group.annotation:
                rows.append((name, records.corners(annotation.bbox)))
        width = record.datum.width
        height = record.datum.height
        if min(width, height) <= 0:
            width, height = _decoded_size(record.datum)
        yield width, height, rows


def _decoded_size(datum: pb.Datum) -> tuple[int, int]:
    """Return (width, height) of an image whose datum does not state it; 0 where decoding fails."""
    try:
        image = decoded(datum.data, cv2.IMREAD_UNCHANGED)
    except CaffeError:  # too large
        return declared_size(datum.data)
    if image is None:
        return 0, 0
    return image.shape[1], image.shape[0]


def of_source(source: Source, items: list[Item]) -> ObjectTable:
    """Gather the objects of a data set that is not built, and count images that cannot be read."""
    found = _TableBuilder()
    for item in tqdm(items, unit=" images", disable=None, leave=False):
        inspected = inspect(source, item, Rules({}, ""), read_image)
        if not inspected.image or not inspected.annotation:
            found.unread += 1
            continue
        width, height = stated_size(inspected.image, inspected.annotation)
        rows: list[Row] = []
        for o in inspected.annotation.objects:
            corners = (o.xmin / width, o.ymin / height, o.xmax / width, o.ymax / height)
            rows.append((o.name, corners))
        found.add(width, height, rows)
    return found.table()
