"""What is wrong with a data set as a whole."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping

from data_prep.checks.faults import Fault
from data_prep.checks.item_checks import Rules
from data_prep.sources.image_lists import is_image
from data_prep.sources.source import Item, Source
from ssd_common.suggest import suggest
from ssd_common.words import counted

RARE = 20  # times as many objects has a class that another may be a slip of the pen for


class DatasetChecks:
    """What only a whole data set shows: repeated images, unused classes, misspelt ones.

    add comes in the order of the parts.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._objects: Counter[str] = Counter()  # by class
        self._first: dict[str, Item] = {}  # image with an object of a class
        self._seen: dict[
            bytes, tuple[str, str]
        ] = {}  # key of an image's content: its part and path

    def add(self, part: str, item: Item, key: bytes, classes: Mapping[str, int]) -> list[Fault]:
        """Take in an item, and say what is wrong with it beside the others.

        part: the name of its part, as "train"
        key: of the image's content, b"" where it cannot be read
        classes: number of its objects by class
        """
        self._objects.update(classes)
        for name in classes:
            self._first.setdefault(name, item)
        if not key:
            return []
        before, image = self._seen.setdefault(key, (part, item.image))
        if image is item.image and before == part:
            return []
        kind, where, twice = "repeated", "", "is there twice"
        if before != part:
            kind, where, twice = "leak", f" in {before}", f"is also in {before}"
        if image != item.image:
            twice = f"is the same image as {image}{where}"
        return [Fault(kind, item.place or "", f"{item.image} {twice}")]

    def classes(self, *, given: bool) -> list[Fault]:
        """What is wrong with the classes, once all annotations could be read.

        given: somebody has chosen the label map
        """
        if self._rules.classification:
            return []
        if not any(self._rules.labels.values()) or not (given or self._objects):
            return [Fault("no-class", "", "no image has an object, so there is no class to learn")]
        found = self._unused_classes()
        if not given:
            found += self._misspelt()
        return found

    def _unused_classes(self) -> list[Fault]:
        labels, source = self._rules.labels, self._rules.labels_from
        used = {0} | {labels[name] for name in labels if name in self._objects}
        names = {
            label: name for name, label in labels.items()
        }  # a class may have two names, and the last is its own
        return [
            Fault("unused-class", source, f"class '{name}' is in no image")
            for label, name in names.items()
            if label not in used
        ]

    def _misspelt(self) -> list[Fault]:
        """The classes that hardly occur and are called nearly as one that often does."""
        found = []
        for name, count in sorted(self._objects.items()):
            often = [other for other, n in self._objects.items() if n >= RARE * count]
            if near := suggest(name, often):
                item = self._first[name]
                place = (
                    f"{item.annotation} ({item.image})"
                    if item.content is not None
                    else item.annotation
                )
                said = (
                    f"class '{name}' has {counted(count, 'object')} in all{near};"
                    " correct it, or rename it with --map"
                )
                found.append(Fault("rare-class", place, said))
        return found


def unannotated(source: Source, *parts: list[Item]) -> list[Fault]:
    """The images that lie in the folders of the items' images and have no annotation, as notes."""
    images = {os.path.join(source.root, item.image) for items in parts for item in items}
    known = {os.path.normpath(image) for image in images}
    found = []
    for folder in sorted({os.path.dirname(image) for image in known}):
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        near = [os.path.join(folder, name) for name in names if is_image(name)]
        found += [image for image in near if image not in known]
    return [Fault("unannotated", image, "no annotation: left out") for image in found]
