"""Turns items into records: what worker processes do."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any, NamedTuple

from data_prep.build.record import annotated_datum, labelled_datum
from data_prep.checks.faults import Fault
from data_prep.checks.item_checks import Inspected, Rules, inspect
from data_prep.sources.source import Item, Object, Source


class Job(NamedTuple):
    """What is the same for every item of an LMDB."""

    source: Source
    rules: Rules


class Outcome(NamedTuple):
    """What is known of an item once it is converted.

    height, width: of its image, in pixels
    shape: of the record: channels, height, width
    key: of the image file's content, in hexadecimal
    classes: number of objects by class
    difficult: number of difficult objects
    faults: everything that is wrong
    stamps: size and time of change of its files, by which a changed one is known
    """

    height: int
    width: int
    shape: tuple[int, int, int]
    key: str
    classes: dict[str, int]
    difficult: int
    faults: list[Fault]
    stamps: list[int]

    @classmethod
    def of(cls, values: list[Any]) -> Outcome:
        """An outcome that came as a list, from another process or a journal."""
        height, width, (channels, rows, columns), key, classes, difficult, faults, stamps = values
        return cls(height, width, (channels, rows, columns), key, classes, difficult, [Fault(*f) for f in faults], stamps)


Converted = tuple[bytes, bytes, list[Any]]  # key, record (empty where there is an error), and the values of its Outcome


def convert(job: Job, first: int, items: list[Item]) -> list[Converted]:
    """The records of items; first: number of the first item in its LMDB.

    They go from process to process as plain lists: those take a quarter of the time of tuples with
    names.
    """
    return [_convert(job, number, item) for number, item in enumerate(items, first)]


def _convert(job: Job, number: int, item: Item) -> Converted:
    before = stamps(job.source, item)
    found = inspect(job.source, item, job.rules)
    objects: list[Object] = []
    if found.annotation:
        objects = found.annotation.objects
    height, width, shape = 0, 0, (0, 0, 0)
    if found.image:
        height, width, shape = found.image[1:4]
    classes = dict(Counter([o.name for o in objects]))
    difficult = sum([o.difficult for o in objects])
    faults = [list(fault) for fault in found.faults]
    outcome = [height, width, shape, found.key.hex(), classes, difficult, faults, before]
    return f"{number:08d}_{item.image}".encode(), _record(job, item, found), outcome


def _record(job: Job, item: Item, found: Inspected) -> bytes:
    if not found.image or not found.annotation or any(f.severity == "error" for f in found.faults):
        return b""
    if job.rules.classification:
        return labelled_datum(found.image, int(item.annotation)).SerializeToString()
    return annotated_datum(found.image, found.annotation, job.rules.labels).SerializeToString()


def stamps(source: Source, item: Item) -> list[int]:
    """Size and time of change of an item's image and, where it is a file of its own, annotation."""
    found = []
    for path in (os.path.join(source.root, item.image), source.file(item)):
        try:
            about = os.stat(path)
        except OSError:
            continue
        found += [about.st_size, about.st_mtime_ns]
    return found
