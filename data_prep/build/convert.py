"""Turns items into records, in worker processes."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from data_prep.build import known
from data_prep.build.known import Entry
from data_prep.build.record import annotated_datum, labelled_datum
from data_prep.checks.faults import Fault
from data_prep.checks.item_checks import Inspected, Rules, inspect
from data_prep.sources.source import Annotation, Item, Object, Source


class Job(NamedTuple):
    """What is the same for every item of an LMDB."""

    source: Source
    rules: Rules


class Outcome(NamedTuple):
    """What a build keeps of an item after its conversion.

    height, width: of its image, in pixels.
    shape: of the record: channels, height, width.
    key: of the image file's content, in hexadecimal.
    classes: number of objects by class.
    difficult: number of difficult objects.
    faults: everything that is wrong.
    stamps: sizes and change times of its files, which tell later whether a file has changed.
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
        """Make an outcome from a list that came from another process or a journal."""
        height, width, (channels, rows, columns), key, classes, difficult, faults, stamps = values
        return cls(
            height,
            width,
            (channels, rows, columns),
            key,
            classes,
            difficult,
            [Fault(*f) for f in faults],
            stamps,
        )


# Key, record (empty where there is an error), and the values of its Outcome. These go from process
# to process as plain lists, which take a quarter of the time of named tuples.
Converted = tuple[bytes, bytes, list[Any]]


def convert(job: Job, first: int, entries: list[Entry]) -> list[Converted]:
    """Turn items into records.

    first: number of the first item in its LMDB.
    """
    return [_convert(job, number, *entry) for number, entry in enumerate(entries, first)]


def _convert(job: Job, number: int, item: Item, packed: bytes) -> Converted:
    before = known.image_stamp(job.source, item)
    annotation: Annotation | None = None
    if packed:
        annotation, stamp = known.unpack(packed)
    else:
        stamp = known.annotation_stamp(job.source, item)
    before += stamp
    found = inspect(job.source, item, job.rules, known=annotation)
    objects: list[Object] = []
    if found.annotation:
        objects = found.annotation.objects
    height = 0
    width = 0
    shape = (0, 0, 0)
    if found.image:
        height = found.image.height
        width = found.image.width
        shape = found.image.shape
    classes = dict(Counter([o.name for o in objects]))
    difficult = sum([o.difficult for o in objects])
    faults = [list(fault) for fault in found.faults]
    outcome = [height, width, shape, found.key.hex(), classes, difficult, faults, before]
    # A name that is not UTF-8 is an error, and its record is never written.
    key = f"{number:08d}_{item.image}".encode("utf-8", "surrogateescape")
    return key, _record(job, item, found), outcome


def _record(job: Job, item: Item, found: Inspected) -> bytes:
    """Serialise the record of an item; b"" where there is an error."""
    if not found.image or not found.annotation:
        return b""
    if any(fault.severity == "error" for fault in found.faults):
        return b""
    if job.rules.classification:
        record = labelled_datum(found.image, int(item.annotation))
    else:
        record = annotated_datum(found.image, found.annotation, job.rules.labels)
    return record.SerializeToString()


def stamps(source: Source, item: Item) -> list[int]:
    """Return sizes and change times of an item's image and annotation, where they are files."""
    return known.image_stamp(source, item) + known.annotation_stamp(source, item)
