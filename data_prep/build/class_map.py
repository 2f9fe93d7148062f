"""Decides which label every class of a data set gets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map as label_maps
from caffe_ir import text
from data_prep.build import known
from data_prep.build.workers import Workers
from data_prep.sources import label_map
from data_prep.sources.source import Item, Source
from ssd_common.errors import CaffeError
from ssd_common.files import read_bytes


class ClassMap(NamedTuple):
    """A label map.

    file: the one that the user chose; None for a map made of the classes found.
    known: the packed annotations of the items that were read for it, in their order.
    """

    file: Path | None
    content: pb.LabelMap
    known: Sequence[bytes] = ()

    def text(self) -> bytes:
        """Return its text for a file beside LMDBs; a chosen file is copied byte for byte."""
        if self.file:
            return read_bytes(self.file)
        return text.dumps(self.content).encode()

    def labels(self, source: Source) -> dict[str, int]:
        """Return the label of every class.

        Raises CaffeError where a name or a label occurs twice.
        """
        path = self.file or source.root
        return label_map.labels_of(self.content, str(path))


def class_map(
    source: Source,
    items: list[Item],
    labelmap: str | None,
    workers: Workers | None = None,
) -> ClassMap:
    """Find the label map of a data set, or make one.

    labelmap: a file or a built-in name; None for one made of the source's classes, or of those in
      the items, by name, where the source does not list its classes.
    workers: read the items for their classes.
    Raises CaffeError for a label map that is missing or has no class.
    """
    if labelmap:
        given = label_map.find(labelmap)
        content = label_maps.read(given)
        if not any(item.label for item in content.item):
            raise CaffeError(f"{given}: a label map without a class")
        return ClassMap(given, content)
    if source.classes:
        return ClassMap(None, label_map.make(source.classes))
    found: set[str] = set()
    packed: list[bytes] = []
    room = known.MOST_BYTES
    for batch in (workers or Workers(1)).map(_read_all, source, items):
        for names, annotation in batch:
            found.update(names)
            room -= len(annotation)
            if room >= 0:
                packed.append(annotation)
    return ClassMap(None, label_map.make(sorted(found)), packed)


def _read_all(source: Source, _: int, items: list[Item]) -> list[tuple[set[str], bytes]]:
    """Read the annotations of items, in a worker process."""
    return [_read(source, item) for item in items]


def _read(source: Source, item: Item) -> tuple[set[str], bytes]:
    """Return the classes of an item, and its packed annotation.

    An annotation that cannot be read has none; the checks of its item report it later. One that
    the item itself carries needs no packing.
    """
    before = known.annotation_stamp(source, item)
    try:
        annotation = source.read(item)
    except (CaffeError, OSError):
        return set(), b""
    names = {o.name for o in annotation.objects}
    if item.content is not None:
        return names, b""
    return names, known.pack(annotation, before)
