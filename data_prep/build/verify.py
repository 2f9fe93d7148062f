"""Reads an LMDB to its end and reports what is wrong with it, before a training run finds out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
from tqdm import tqdm

from caffe_ir import dataset_file, name_size
from caffe_ir import label_map as label_maps
from caffe_ir.lmdb_reader import LmdbReader, key_text
from data_prep.build.part import Part
from data_prep.build.record_checks import CheckedRecord, check_record, shape_text
from data_prep.checks.faults import Fault
from data_prep.checks.report import Report
from data_prep.sources import label_map
from ssd_common.files import PathLike
from ssd_common.machine import cores

CHUNK = 64  # records that a thread checks at a time


class Verified(NamedTuple):
    """What an LMDB holds.

    lmdb: its path.
    records: number of records.
    objects: number of objects by label.
    names: of the label map's labels; None without a label map, where any label may occur.
    report: everything that is wrong.
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
        summary = f"{self.lmdb}: {self.records} records, {count} objects: {classes or 'none'}"
        if self.names is None:
            return f"{summary} (no label map: any label)"
        return summary


def verify(
    lmdb: PathLike,
    *,
    labelmap: str | None = None,
    report: Report | None = None,
) -> Verified:
    """Read an LMDB to its end: decode every image, check every label and every box.

    Sizes and counts are compared with the name_size file, the list and dataset.json, where these
    lie beside it.

    lmdb: an annotated LMDB.
    labelmap: the labels that may occur: a file or a built-in name; None for labelmap.prototxt
      beside the LMDB, or any label where it is missing.
    report: gets everything that is wrong.
    Raises CaffeError where the file as a whole is damaged; no damage crashes the process.
    """
    path = Path(lmdb)
    report = report or Report()
    file = label_map.beside(path, labelmap)
    names: dict[int, str] | None = None
    labels: frozenset[int] | None = None
    if file:
        names = label_maps.class_names(file)
        labels = frozenset(names)
    count, objects = _check_records(path, report, labels)
    return Verified(path, count, objects, names, report)


def _check_records(
    path: Path,
    report: Report,
    labels: frozenset[int] | None,
) -> tuple[int, Counter[int]]:
    """Check every record, and add what is wrong to the report.

    labels: those that may occur; None for any.
    Returns the number of records, and the number of objects by label.
    """
    reader = LmdbReader(path)
    count = len(reader)
    objects: Counter[int] = Counter()
    sizes = _check_files_beside(path, count, report)
    progress = tqdm(total=count, desc=path.name, unit=" records", disable=None, leave=False)
    with progress:
        for number, checked in enumerate(_checked_records(reader, labels)):
            progress.update()
            report.add(checked.faults)
            objects.update(checked.labels)
            if sizes and all(checked.size) and sizes[number] != checked.size:
                stated = shape_text(sizes[number])
                size = shape_text(checked.size)
                message = f"the name_size file says {stated}, but the image is {size}"
                report.add([Fault("name-size", _key(reader, number), message)])
    return count, objects


def _checked_records(reader: LmdbReader, labels: frozenset[int] | None) -> Iterator[CheckedRecord]:
    """Check every record, in order, on all cores; only a few chunks wait at a time."""

    def check_chunk(numbers: range) -> list[CheckedRecord]:
        return [check_record(_key(reader, n), reader.value(n), labels) for n in numbers]

    count = len(reader)
    workers = cores()
    chunks = (range(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK))
    cv2.setNumThreads(1)  # images are decoded in parallel, not the rows of one
    with ThreadPoolExecutor(workers) as pool:
        while batch := list(islice(chunks, 4 * workers)):
            for checked in pool.map(check_chunk, batch):
                yield from checked


def _check_files_beside(path: Path, count: int, report: Report) -> list[tuple[int, int]]:
    """Check the files beside an LMDB.

    count: of its records.
    Returns (height, width) of every record by the name_size file; none where it is missing or
      wrong.
    """
    part = Part(path, [])
    _check_description(path, count, report)
    if part.list_file.is_file():
        _lines(part.list_file, count, path, report)
    if not part.name_size_file.is_file():
        return []
    lines = _lines(part.name_size_file, count, path, report)
    images = [name_size.parse_line(line) for line in lines]
    sizes = [(image.height, image.width) for image in images if image]
    if len(sizes) < len(images):
        message = "not a name_size file, of lines `name height width`"
        report.add([Fault("count", str(part.name_size_file), message)])
        return []
    if len(sizes) != count:
        return []
    return sizes


def _check_description(path: Path, count: int, report: Report) -> None:
    """Check that dataset.json, where it lies beside an LMDB, states the number of its records."""
    description = path.with_name(dataset_file.FILE_NAME)
    if not description.is_file():
        return
    dataset = dataset_file.read(description)
    counts = {dataset.train_lmdb: dataset.train_images, dataset.test_lmdb: dataset.test_images}
    stated = counts.get(path.name, count)
    if stated != count:
        message = f"says {stated} images, but {path.name} has {count} records"
        report.add([Fault("count", str(description), message)])


def _lines(file: Path, count: int, path: Path, report: Report) -> list[str]:
    """Return the lines of a file, and check that it has one for each record of an LMDB.

    count: of the records.
    """
    text = file.read_text(encoding="utf-8", errors="replace")
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) != count:
        message = f"has {len(lines)} lines, but {path.name} has {count} records"
        report.add([Fault("count", str(file), message)])
    return lines


def _key(reader: LmdbReader, number: int) -> str:
    return key_text(reader.keys[number])
