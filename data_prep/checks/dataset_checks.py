"""Finds what is wrong with a data set as a whole."""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep.checks.class_names import alike, backgrounds
from data_prep.checks.faults import Fault
from data_prep.checks.item_checks import Rules, inspect
from data_prep.sources import image_lists
from data_prep.sources.source import UNLABELLED, Item, Source
from ssd_common.files import as_file_name
from ssd_common.suggest import suggest
from ssd_common.words import counted

# A class may be the misspelt name of one with at least this many times as many objects.
RARE = 20
# Pairs of a rare and a frequent class whose names are compared; it takes some 10 µs each.
MOST_COMPARED = 1_000_000
# Bytes of a class's name in a result file's; systems allow 255 with what stands around it.
LONGEST_NAME = 200


class DatasetChecks:
    """Finds what only a whole data set shows: repeated images, unused and misspelt classes.

    Call add for every item, in the order of the parts, and then classes.
    """

    def __init__(self, source: Source, rules: Rules) -> None:
        self._source = source
        self._rules = rules
        self._objects: Counter[str] = Counter()  # their number by class
        self._first: dict[str, Item] = {}  # the first with an object of a class
        # The part and the item of each image by the key of its content.
        self._seen: dict[bytes, tuple[str, Item]] = {}

    def add(self, part: str, item: Item, key: bytes, classes: Mapping[str, int]) -> list[Fault]:
        """Take in an item, and find what is wrong with it beside the earlier ones.

        part: the name of its part, as "train".
        key: of the image's content, b"" where it cannot be read.
        classes: number of its objects by class.
        """
        for name, count in classes.items():
            self._objects[name] += count
            self._first.setdefault(name, item)
        if not key:
            return []
        before, first = self._first_of(part, item, key)
        if first is item and before == part:
            return []
        image = first.image
        kind = "repeated"
        message = "is there twice"
        if image != item.image:
            message = f"is the same image as {image}"
        if before != part:
            kind = "leak"
            message = f"is also in {before}"
            if image != item.image:
                message = f"is the same image as {image} in {before}"
        return [Fault(kind, item.place or "", f"{item.image} {message}")]

    def _first_of(self, part: str, item: Item, key: bytes) -> tuple[str, Item]:
        """Return the part and the item that an image occurred in first; its own where it is new.

        Different images may have the same checksum, so those of one are compared.
        """
        found = self._seen.setdefault(key, (part, item))
        first = found[1]
        if first is item or first.image == item.image:
            return found
        content = self._content(item)
        if content == self._content(first):
            return found
        return self._seen.setdefault(hashlib.sha256(content).digest(), (part, item))

    def _content(self, item: Item) -> bytes:
        """Return the content of an item's image, as a record has it; b"" where it is gone."""
        image = inspect(self._source, item, self._rules).image
        if not image:
            return b""
        return image.data

    def classes(self, *, given: bool) -> list[Fault]:
        """Find what is wrong with the classes, after all annotations could be read.

        given: the user has chosen the label map.
        """
        if self._rules.classification:
            return []
        has_class = any(self._rules.labels.values())
        if not has_class or not (given or self._objects):
            message = "no image has an object, so there is no class to learn"
            return [Fault("no-class", "", message)]
        found = self._unused_classes() + self._no_file_names()
        found += backgrounds(self._own_names(), self._objects, self._rules.labels_from)
        if not given:
            found += self._misspelt() + alike(self._objects, RARE)
        return found

    def _unused_classes(self) -> list[Fault]:
        """Find the classes of the label map that occur in no image."""
        labels = self._rules.labels
        used = {0} | {labels[name] for name in labels if name in self._objects}
        found = []
        for label, name in self._own_names().items():
            if label not in used:
                message = f"class '{name}' is in no image"
                found.append(Fault("unused-class", self._rules.labels_from, message))
        return found

    def _no_file_names(self) -> list[Fault]:
        """Find the classes that no result file can be called after, as VOC's are."""
        found = []
        for name in self._own_names().values():
            escaped = as_file_name(name)
            message = ""
            if len(escaped.encode()) > LONGEST_NAME:
                message = f"class '{name}' is too long for the name of a result file"
            elif escaped != name:
                message = f"class '{name}' is '{escaped}' in the name of a result file"
            if message:
                found.append(Fault("file-name", self._rules.labels_from, message))
        return found

    def _own_names(self) -> dict[int, str]:
        """Return the name of each class by label, without the background's."""
        # A class may also have a display name; its own name comes last, and stays.
        names = {label: name for name, label in self._rules.labels.items()}
        names.pop(0, None)
        return names

    def _misspelt(self) -> list[Fault]:
        """Find classes that hardly occur and have nearly the name of a frequent one."""
        found = []
        by_count = sorted(self._objects, key=self._objects.__getitem__)
        counts = [self._objects[name] for name in by_count]
        compared = 0
        for name, count in sorted(self._objects.items()):
            frequent = by_count[bisect_left(counts, RARE * count) :]
            compared += len(frequent)
            if compared > MOST_COMPARED:
                message = "are too many classes to compare all names of rare and frequent ones"
                found.append(Fault("rare-class", "", f"{len(by_count)} {message}"))
                break
            near = suggest(name, frequent)
            if not near:
                continue
            message = (
                f"class '{name}' has {counted(count, 'object')} in all{near};"
                " correct it, or rename it with --map"
            )
            place = _annotation_place(self._first[name])
            found.append(Fault("rare-class", place, message))
        return found


def _annotation_place(item: Item) -> str:
    """Name the annotation of an item, with its image where one file holds many annotations."""
    if item.content is None:
        return item.annotation
    return f"{item.annotation} ({item.image})"


def said_by(source: Source) -> list[Fault]:
    """Return what a data set itself says of the files that it has read."""
    return [Fault(*found) for found in getattr(source, "findings", ())]


def shared_annotations(source: Source, *parts: list[Item]) -> list[Fault]:
    """Find files of annotations that two images have: a.jpg and a.png with one a.txt."""
    first: dict[str, str] = {}
    found = []
    for item in (item for items in parts for item in items):
        if item.content is not None or item.annotation == UNLABELLED:
            continue
        image = first.setdefault(item.annotation, item.image)
        if image != item.image and os.path.isfile(source.file(item)):
            message = f"is the annotation of {image} and of {item.image}"
            found.append(Fault("shared", source.file(item), message))
    return found


def drawn(share: float | None, train: list[Item], test: Sequence[Item] = ()) -> list[Fault]:
    """Say so where far more or fewer images are for testing than a share of all."""
    count = len(train) + len(test)
    wanted = round((share or 0) * count)
    if not share or abs(len(test) - wanted) <= max(wanted // 5, 1):
        return []
    message = f"{len(test)} of {count} images, where {wanted} would be the share of {share:g}"
    return [Fault("share", "", message)]


def unannotated(source: Source, *parts: list[Item]) -> list[Fault]:
    """Find images without an annotation in the folders of the annotated ones, as notes."""
    images = {os.path.join(source.root, item.image) for items in parts for item in items}
    known = {os.path.normpath(image) for image in images}
    found: list[str] = []
    for folder in sorted({os.path.dirname(image) for image in known}):
        if not os.path.isdir(folder):
            continue
        paths = map(str, image_lists.images_in(Path(folder)))
        found += [path for path in paths if path not in known]
    return [Fault("unannotated", image, "no annotation: left out") for image in found]
