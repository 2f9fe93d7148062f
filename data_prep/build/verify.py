"""Reads an LMDB from end to end and says what is wrong with it, before a training run finds out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import dataset_file, name_size, records
from caffe_ir import label_map as label_maps
from caffe_ir.lmdb_reader import LmdbReader, key_text
from data_prep.build.part import Part
from data_prep.checks.faults import Fault
from data_prep.checks.report import Report
from data_prep.sources import label_map
from ssd_common.files import PathLike
from ssd_common.machine import cores

CHUNK = 64  # records that a thread checks at a time


class Checked(NamedTuple):
    """One record. size: (height, width) of the decoded image, (0, 0) where it cannot be decoded."""

    faults: list[Fault]
    labels: list[int]
    size: tuple[int, int]


class Verified(NamedTuple):
    """What an LMDB turned out to hold.

    lmdb: its path
    records: their number
    objects: number of objects by label
    names: of the label map's labels; None without a label map, where any label may occur
    report: everything that is wrong
    """

    lmdb: Path
    records: int
    objects: Counter[int]
    names: dict[int, str] | None
    report: Report

    def __str__(self) -> str:
        names = self.names or {}
        found = sorted(self.objects.items())
        classes = ", ".join(f"{names.get(label, label)} {count}" for label, count in found)
        count = self.objects.total()
        said = f"{self.lmdb}: {self.records} records, {count} objects: {classes or 'none'}"
        return said if self.names is not None else f"{said} (no label map: any label)"


def verify(
    lmdb: PathLike, *, labelmap: str | None = None, report: Report | None = None
) -> Verified:
    """Read an LMDB to its end: decode every image, check every label and every box.

    Sizes and counts are compared with the name_size file, the list and dataset.json where they lie
    beside it.

    lmdb: an annotated LMDB
    labelmap: the labels that may occur: a file or a built-in name; None for labelmap.prototxt
      beside the LMDB, or any label where it is missing
    report: gets everything that is wrong
    Raises CaffeError where the file as a whole is damaged; no damage crashes the process.
    """
    path = Path(lmdb)
    report = report or Report()
    file = label_map.beside(path, labelmap)
    names = label_maps.class_names(file) if file else None
    count, objects = _check_records(path, report, names)
    return Verified(path, count, objects, names, report)


def _check_records(
    path: Path, report: Report, names: dict[int, str] | None
) -> tuple[int, Counter[int]]:
    """Check every record, and add what is wrong to the report.

    Returns the number of records, and that of objects by label.
    """
    labels = frozenset(names) if names is not None else None
    reader = LmdbReader(path)
    boxes: Counter[int] = Counter()
    sizes = _beside(path, len(reader), report)
    with tqdm(
        total=len(reader), desc=path.name, unit=" records", disable=None, leave=False
    ) as progress:
        for number, checked in enumerate(_all(reader, labels)):
            progress.update()
            report.add(checked.faults)
            boxes.update(checked.labels)
            if sizes and all(checked.size) and sizes[number] != checked.size:
                stated, real = _shape(sizes[number]), _shape(checked.size)
                wrong = f"the name_size file says {stated}, but the image is {real}"
                report.add([Fault("name-size", _key(reader, number), wrong)])
    return len(reader), boxes


def _all(reader: LmdbReader, labels: frozenset[int] | None) -> Iterator[Checked]:
    """Every record checked, in order, on all cores; a few chunks wait at a time."""

    def check_chunk(numbers: range) -> list[Checked]:
        return [check(_key(reader, n), reader.value(n), labels) for n in numbers]

    workers = cores()
    chunks = (range(i, min(i + CHUNK, len(reader))) for i in range(0, len(reader), CHUNK))
    cv2.setNumThreads(1)  # images in parallel, not the rows of one
    with ThreadPoolExecutor(workers) as pool:
        while batch := list(islice(chunks, 4 * workers)):
            for checked in pool.map(check_chunk, batch):
                yield from checked


def _beside(path: Path, count: int, report: Report) -> list[tuple[int, int]]:
    """Check the files beside an LMDB of so many records.

    Returns (height, width) of every record by the name_size file; none where it is missing or
      wrong.
    """
    part = Part(path, [])
    description = path.with_name(dataset_file.FILE_NAME)
    if description.is_file():
        about = dataset_file.read(description)
        counts = {about.train_lmdb: about.train_images, about.test_lmdb: about.test_images}
        stated = counts.get(path.name, count)
        if stated != count:
            said = f"says {stated} images, but {path.name} has {count} records"
            report.add([Fault("count", str(description), said)])
    if part.list_file.is_file():
        _count(part.list_file, count, path, report)
    if not part.name_size_file.is_file():
        return []
    images = [
        name_size.parse_line(line) for line in _count(part.name_size_file, count, path, report)
    ]
    sizes = [(image.height, image.width) for image in images if image]
    if len(sizes) < len(images):
        wrong = "not a name_size file, of lines `name height width`"
        report.add([Fault("count", str(part.name_size_file), wrong)])
        return []
    return sizes if len(sizes) == count else []


def _count(file: Path, count: int, path: Path, report: Report) -> list[str]:
    """The lines of a file that should have one for each record."""
    lines = [
        line
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip()
    ]
    if len(lines) != count:
        said = f"has {len(lines)} lines, but {path.name} has {count} records"
        report.add([Fault("count", str(file), said)])
    return lines


def _key(reader: LmdbReader, number: int) -> str:
    return key_text(reader.keys[number])


def check(key: str, value: bytes, labels: frozenset[int] | None) -> Checked:
    """Check one record: its image, its size, its labels and its boxes.

    key: of the record, for messages
    value: its bytes
    labels: those that may occur; None for any
    """
    faults: list[Fault] = []
    try:
        record = records.parse(value)
    except records.CorruptRecord:
        return Checked([Fault("bad-record", key, "not an AnnotatedDatum")], [], (0, 0))
    size = _check_image(record.datum, key, faults)
    found = []
    for group in record.annotation_group:
        found += [group.group_label] * len(group.annotation)
        if group.group_label == 0:
            faults.append(Fault("bad-label", key, "an object of label 0, the background"))
        elif labels is not None and group.group_label not in labels:
            faults.append(
                Fault("bad-label", key, f"label {group.group_label} is not in the label map")
            )
        for annotation in group.annotation:
            if wrong := _box_fault(annotation.bbox):
                box = " ".join(f"{x:.6g}" for x in records.corners(annotation.bbox))
                faults.append(
                    Fault(wrong[0], key, f"box {box} of label {group.group_label} {wrong[1]}")
                )
    return Checked(faults, found, size)


def _check_image(datum: pb.Datum, key: str, faults: list[Fault]) -> tuple[int, int]:
    """(height, width) of the image as nets see it; (0, 0) where there is none."""
    said = (datum.height, datum.width)
    if not datum.encoded:
        try:
            records.raw_pixels(datum)
        except records.CorruptRecord:
            pass
        else:
            return said
        declared = f"{datum.channels}x{_shape(said)} are declared"
        wrong = f"{len(datum.data)} bytes of raw pixels where {declared}"
        faults.append(Fault("bad-image", key, wrong))
        return 0, 0
    if records.is_truncated_jpeg(datum.data):
        faults.append(Fault("bad-image", key, "a JPEG that is cut short"))
        return 0, 0
    image = _decoded(datum.data)
    if image is None:
        faults.append(Fault("bad-image", key, "an image that cannot be decoded"))
        return 0, 0
    size = (image.shape[0], image.shape[1])
    if image.dtype != np.uint8:
        faults.append(Fault("bad-image", key, f"an image of {image.dtype} where Caffe reads bytes"))
    elif not all(said):  # Caffe does not look at them
        return size
    elif size != said and size == said[::-1]:
        wrong = (
            f"the datum says {_shape(said)}, but Caffe decodes {_shape(size)}:"
            " it does not heed the EXIF orientation that boxes go by"
        )
        faults.append(Fault("turned", key, wrong))
    elif size != said:
        faults.append(
            Fault(
                "bad-size", key, f"the datum says {_shape(said)}, but the image is {_shape(size)}"
            )
        )
    return size


def _decoded(data: bytes) -> np.ndarray | None:
    """An image as Caffe decodes it, without its EXIF orientation; None if that fails."""
    if not data:
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None


def _box_fault(box: pb.NormalizedBBox) -> tuple[str, str] | None:
    xmin, ymin, xmax, ymax = corners = records.corners(box)
    if not np.isfinite(corners).all():
        return "bad-box", "is not finite"
    if min(corners) < 0 or max(corners) > 1:
        return "outside", "is outside the image"
    if xmin > xmax or ymin > ymax:
        return "inverted", "is inverted"
    if xmin == xmax or ymin == ymax:
        return "empty", "is without area"
    return None


def _shape(size: tuple[int, int]) -> str:
    """Width first, as everywhere in messages."""
    return f"{size[1]}x{size[0]}"
