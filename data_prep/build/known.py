"""What was read of items while their classes were sought, so that no file is parsed twice."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable
from itertools import chain, repeat

from data_prep.sources.source import Annotation, Item, Object, Remark, Source

# Bytes of the packed annotations of one data set, some 30 for each object; others are read again.
MOST_BYTES = 64 << 20

# An item, and its packed annotation; b"" where it has to be read.
Entry = tuple[Item, bytes]


def pack(annotation: Annotation, stamp: list[int]) -> bytes:
    """Pack an annotation.

    stamp: of its file, before it was read.
    """
    width, height, objects, remarks = annotation
    plain = [width, height, list(map(tuple, objects)), list(map(tuple, remarks)), stamp]
    return pickle.dumps(plain)


def unpack(packed: bytes) -> tuple[Annotation, list[int]]:
    """Return the annotation and the stamp that were packed."""
    width, height, objects, remarks, stamp = pickle.loads(packed)
    annotation = Annotation(
        width,
        height,
        [Object(*values) for values in objects],
        tuple(Remark(*values) for values in remarks),
    )
    return annotation, stamp


def entries(items: Iterable[Item], known: Iterable[bytes] = ()) -> list[Entry]:
    """Return items with their packed annotations, as far as these go.

    known: packed annotations, in the order of the items; those of later items may follow.
    """
    return list(zip(items, chain(known, repeat(b"")), strict=False))


def annotation_stamp(source: Source, item: Item) -> list[int]:
    """Return the stamp of the file of an item's annotation."""
    return _stamp(source.file(item))


def image_stamp(source: Source, item: Item) -> list[int]:
    """Return the stamp of an item's image."""
    return _stamp(os.path.join(source.root, item.image))


def _stamp(path: str) -> list[int]:
    """Return a file's size and change time, by which a change shows; nothing where it is none."""
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]
