"""The classes of LMDBs that are written out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from data_prep.sources import fields
from ssd_common.errors import CaffeError

if TYPE_CHECKING:
    from caffe_ir import caffe_ir_pb2 as pb


class Classes:
    """Names of labels: a label map's, and for any other label its number.

    names: label to name, without the background; grows with the labels that occur.
    known: the labels of the label map; None without one.
    """

    def __init__(self, names: Mapping[int, str] | None) -> None:
        self.known = None
        if names is not None:
            self.known = frozenset(names)
        self.names = {label: name for label, name in (names or {}).items() if label}
        self._background = (names or {}).get(0, "background")
        self._indices = {label: index for index, label in enumerate(self.names)}

    def name(self, label: int) -> str:
        """Return the name of a label's class."""
        if label not in self.names:
            self._indices[label] = len(self.names)
            self.names[label] = str(label)
            if label == 0:
                self.names[0] = self._background
        return self.names[label]

    def index(self, label: int) -> int:
        """Return a class's place among all, from 0."""
        self.name(label)
        return self._indices[label]


def names_of(label_map: pb.LabelMap, file: str) -> dict[int, str]:
    """Return the name of each label, by rising labels: the one that is shown, where it is its own.

    file: the label map's, for errors.
    Raises CaffeError for a name that is no text of one line, and for a name of two labels.
    """
    often = Counter(item.display_name for item in label_map.item)
    found = {}
    for item in sorted(label_map.item, key=lambda item: item.label):
        name = item.name
        if item.display_name and often[item.display_name] == 1:
            name = item.display_name
        try:
            found[item.label] = fields.class_name(name)
        except ValueError as error:
            raise CaffeError(f"{file}: label {item.label}: {error}") from None
    for name, count in Counter(found.values()).items():
        if count > 1:
            raise CaffeError(f"{file}: {count} labels are called '{name}'")
    return found
