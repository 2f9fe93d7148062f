"""Which label every class of a data set gets."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map as label_maps
from caffe_ir import text
from data_prep.build.workers import Workers
from data_prep.sources import label_map
from data_prep.sources.source import Item, Source
from ssd_common.errors import CaffeError


class ClassMap(NamedTuple):
    """A label map. file: the one that was given, None for one made of the classes found."""

    file: Path | None
    content: pb.LabelMap

    def text(self) -> str:
        """As a file beside LMDBs: the very text of the one that was given."""
        return self.file.read_text(encoding="utf-8") if self.file else text.dumps(self.content)

    def labels(self, source: Source) -> dict[str, int]:
        """Every class's label. Raises CaffeError where a name or a label is there twice."""
        return label_map.labels_of(self.content, str(self.file or source.root))


def class_map(
    source: Source, items: list[Item], labelmap: str | None, workers: Workers | None = None
) -> ClassMap:
    """The label map of a data set.

    labelmap: a file or a built-in name; None for one of the source's classes, or else of those in
      the items, by name
    workers: look for classes
    Raises CaffeError for a label map that is not there, or is without a class.
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
    for batch in (workers or Workers(1)).map(_classes_of, source, items):
        found.update(*batch)
    return ClassMap(None, label_map.make(sorted(found)))


def _classes_of(source: Source, _: int, items: list[Item]) -> list[set[str]]:
    """Classes in the annotations of items.

    An annotation that cannot be read has none; it is reported when its turn comes.
    """
    found: list[set[str]] = []
    for item in items:
        try:
            found.append({o.name for o in source.read(item).objects})
        except (CaffeError, OSError):
            found.append(set())
    return found
