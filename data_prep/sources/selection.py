"""A choice of a data set's classes, under their own names or others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from data_prep.sources import image_lists, label_map
from data_prep.sources.source import Annotation, Item, Object, Source
from ssd_common.errors import CaffeError, ParseError
from ssd_common.suggest import suggest

Empty = Literal["keep", "drop"] | None


def select(
    source: Source,
    *,
    classes: str | Sequence[str] | None = None,
    class_map: str | None = None,
    empty: Empty = None,
) -> Source:
    """A part of a data set: some of its classes, or its classes under other names.

    classes: names in the order of their labels, or one text with commas between them; None for all
    class_map: a file of other names for classes (see read_map), or "coco_voc"; classes that are not
      in it are left out
    empty: what becomes of images without an object: "keep" or "drop" all, None for keeping those
      that had none from the start
    Raises CaffeError for a name given twice or not there, and for a file that is no map of classes.
    """
    names = _class_names(classes)
    renaming = read_map(label_map.find_map(class_map)) if class_map else None
    if names or renaming or empty:
        return Selection(source, names, renaming, empty)
    return source


def _class_names(classes: str | Sequence[str] | None) -> list[str] | None:
    """Names of classes as users give them, each once. Raises CaffeError."""
    if not classes:
        return None
    words = classes.split(",") if isinstance(classes, str) else classes
    names = [word.strip() for word in words]
    if not all(names) or len(set(names)) < len(names):
        given = classes if isinstance(classes, str) else ",".join(classes)
        raise CaffeError(f"--classes {given}: class names with commas between them, each once")
    return names


def read_map(path: Path) -> dict[str, str]:
    """A map of classes: old name or label to new name, in the order of new labels.

    Label 0 is the background and left out.

    Raises CaffeError, ParseError with the line.
    """
    found: dict[str, tuple[int, str]] = {}
    labels: dict[str, int] = {}
    for number, line in image_lists.read_lines(path, "a map of classes"):
        words = [w.strip() for w in line.split(",")]
        if len(words) not in (2, 3) or not all(words):
            wanted = "'name,label,new name' or 'name,new name'"
            said = f"'{image_lists.shown(line)}' where {wanted} should be"
            raise ParseError(str(path), said, number)
        old, new = words[0], words[-1]
        if len(words) == 3 and not words[1].isdecimal():
            raise ParseError(str(path), f"label '{words[1]}' is not a number", number)
        label = labels.get(new, max(labels.values(), default=0) + 1)
        if len(words) == 3:
            label = int(words[1])
        same = labels.setdefault(new, label) == label
        if not same or [n for n, known in labels.items() if known == label] != [new]:
            raise ParseError(str(path), f"'{new}' as label {label} contradicts a line above", number)
        if old in found:
            raise ParseError(str(path), f"'{old}' is there twice", number)
        found[old] = label, new
    numbers = sorted({label for label, _ in found.values() if label})
    if numbers != list(range(1, len(numbers) + 1)) or not numbers:
        given = ", ".join(map(str, numbers)) or "none"
        raise CaffeError(f"{path}: labels should count from 1 without gaps, not {given}")
    in_order = sorted(found, key=lambda old: found[old][0])
    return {old: found[old][1] for old in in_order if found[old][0]}


class Selection:
    """A data set with some of its classes.

    classes: their names, in order; None for all
    renaming: old name or label to new name; None for their own names
    empty: what becomes of images without an object; None keeps those that had none from the start
    """

    def __init__(self, source: Source, classes: list[str] | None, renaming: dict[str, str] | None, empty: Empty) -> None:
        self._source, self._classes, self._renaming, self._empty = source, classes, renaming, empty
        self._targets: dict[str, str | None] = {}
        self.root, self.whole_pixels = source.root, source.whole_pixels
        known = set((renaming or {}).values())
        if renaming and (strange := [c for c in classes or () if c not in known]):
            raise CaffeError(f"--classes: --map gives no class '{strange[0]}'{suggest(strange[0], known)}")

    @property
    def classes(self) -> list[str] | None:
        """The chosen classes, or the new names of all."""
        if self._classes:
            return self._classes
        if self._renaming:
            return list(dict.fromkeys(self._renaming.values()))
        return self._source.classes

    @property
    def aliases(self) -> dict[str, str]:
        """Always empty: labels count only in the data set that this is a part of."""
        return {}  # they have been seen to

    def sets(self) -> list[str]:
        """Names of the data set's own lists."""
        return self._source.sets()

    def file(self, item: Item) -> str:
        """The file of an item's annotation."""
        return self._source.file(item)

    def items(self) -> list[Item]:
        """The images that stay. Raises CaffeError where none does."""
        return self._kept(self._source.items())

    def read_list(self, name: str) -> list[Item]:
        """The images of a list that stay. Raises CaffeError where none does."""
        return self._kept(self._source.read_list(name))

    def read(self, item: Item) -> Annotation:
        """The annotation of an image with the chosen objects, under their new names."""
        annotation = self._source.read(item)
        return annotation._replace(objects=list(self._selected(annotation.objects)))

    def _selected(self, objects: Iterable[Object]) -> Iterable[Object]:
        for o in objects:
            if name := self._target(o.name):
                yield o if name == o.name else o._replace(name=name)

    def _target(self, name: str) -> str | None:
        """What a class is called here, None if it is left out."""
        if name not in self._targets:
            new: str | None = name
            if self._renaming is not None:
                label = next((i for i, known in self._source.aliases.items() if known == name), "")
                new = self._renaming.get(name, self._renaming.get(label))
            self._targets[name] = new if self._classes is None or new in self._classes else None
        return self._targets[name]

    def _check_labels(self) -> None:
        """Refuse a map with ids in place of labels: it would call one class by another's name."""
        classes = self._source.aliases
        for label, name in classes.items():
            new = self._renaming.get(label) if self._renaming and name not in self._renaming else None
            if new not in (None, name) and new in classes.values():
                raise CaffeError(
                    f"--map: label {label} is '{name}', and '{new}' is a class of its own"
                    " (labels count from 1; ids do not count)"
                )

    def _kept(self, items: list[Item]) -> list[Item]:
        """The items that stay; those that cannot be read do, for somebody to report them."""
        self._check_labels()
        kept, found = list[Item](), set[str]()
        for item in items:
            try:
                objects = self._source.read(item).objects
            except (CaffeError, OSError):
                kept.append(item)
                continue
            found.update(o.name for o in objects)
            if self._empty == "keep" or any(self._selected(objects)) or not (objects or self._empty):
                kept.append(item)
        for name in self._classes or ():
            if name not in found and not self._renaming and (near := suggest(name, found)):
                raise CaffeError(f"--classes: no object of class '{name}'{near}")
        if not kept:
            wanted = ", ".join(self.classes or ["any class"])
            raise CaffeError(
                f"{self.root}: no image has an object of {wanted} (--keep-empty keeps them all)"
            )
        return kept
