"""A choice of a data set's classes, under their own names or others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from data_prep.sources import fields, image_lists, label_map
from data_prep.sources.source import Annotation, Finding, Item, Object, Source
from ssd_common.errors import CaffeError, ParseError, UsageError
from ssd_common.suggest import suggest

Empty = Literal["keep", "drop"] | None


def select(
    source: Source,
    *,
    classes: str | Sequence[str] | None = None,
    class_map: str | None = None,
    empty: Empty = None,
) -> Source:
    """Return a part of a data set: some of its classes, or its classes under other names.

    classes: names in the order of their labels, or one text with commas between them; None for all.
    class_map: a file of other names for classes (see read_map), or "coco_voc"; classes that it does
      not name are left out.
    empty: "keep" or "drop" for all images without an object; None keeps those that had none from
      the start.
    Raises CaffeError for a name given twice or unknown, and for a file that is no map of classes.
    """
    names = class_names(classes)
    renaming = None
    if class_map:
        renaming = read_map(label_map.find_map(class_map))
    if names or renaming or empty:
        return Selection(source, names, renaming, empty)
    return source


def class_names(classes: str | Sequence[str] | None) -> list[str] | None:
    """Return names of classes as users give them, each once.

    Returns None where there are none. Raises UsageError for an empty name and for one given twice.
    """
    if not classes:
        return None
    words: Sequence[str]
    if isinstance(classes, str):
        given = classes
        words = classes.split(",")
    else:
        given = ",".join(classes)
        words = classes
    names = [word.strip() for word in words]
    if not all(names) or len(set(names)) < len(names):
        raise UsageError(f"--classes {given}: class names with commas between them, each once")
    return names


def read_map(path: Path) -> dict[str, str]:
    """Return a map of classes: old name or label to new name, in the order of new labels.

    Label 0 is the background and left out.

    Raises CaffeError, ParseError with the line.
    """
    found: dict[str, tuple[int, str]] = {}
    labels: dict[str, int] = {}
    for number, line in image_lists.read_lines(path, "a map of classes"):
        words = [word.strip() for word in line.split(",")]
        if len(words) not in (2, 3) or not all(words):
            wanted = "'name,label,new name' or 'name,new name'"
            fault = f"'{fields.excerpt(line)}' where {wanted} should be"
            raise ParseError(str(path), fault, number)
        old, *given, new = words
        label = labels.get(new, max(labels.values(), default=0) + 1)
        if given:
            label = _label(path, given[0], number)
        same = labels.setdefault(new, label) == label
        names = [name for name, known in labels.items() if known == label]
        if not same or names != [new]:
            fault = f"'{new}' as label {label} contradicts a line above"
            raise ParseError(str(path), fault, number)
        if old in found:
            raise ParseError(str(path), f"'{old}' is there twice", number)
        found[old] = label, new
    _check_counting(path, {label for label, _ in found.values() if label})
    in_order = sorted(found, key=lambda old: found[old][0])
    return {old: found[old][1] for old in in_order if found[old][0]}


def _label(path: Path, word: str, line: int) -> int:
    """Return the label in a line of a map of classes. Raises ParseError."""
    if not fields.is_whole(word):
        raise ParseError(str(path), f"label '{fields.excerpt(word)}' is not a number", line)
    return int(word)


def _check_counting(path: Path, labels: set[int]) -> None:
    """Raise CaffeError where labels do not count from 1 without gaps."""
    if not labels or labels != set(range(1, len(labels) + 1)):
        given = ", ".join(map(str, sorted(labels))) or "none"
        raise CaffeError(f"{path}: labels should count from 1 without gaps, not {given}")


class Selection:
    """A data set with some of its classes.

    classes: their names, in order; None for all.
    renaming: old name or label to new name; None for their own names.
    empty: "keep" or "drop" for images without an object; None keeps those that had none from the
      start.
    Raises CaffeError for a class that the renaming does not give.
    """

    def __init__(
        self,
        source: Source,
        classes: list[str] | None,
        renaming: dict[str, str] | None,
        empty: Empty,
    ) -> None:
        self.root = source.root
        self.whole_pixels = source.whole_pixels
        self._source = source
        self._classes = classes
        self._renaming = renaming
        self._empty = empty
        self._new_names: dict[str, str | None] = {}
        if renaming:
            known = set(renaming.values())
            for name in classes or ():
                if name not in known:
                    near = suggest(name, known)
                    raise CaffeError(f"--classes: --map gives no class '{name}'{near}")

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
        """Always empty: this selection has already applied the labels of its data set."""
        return {}

    @property
    def findings(self) -> Sequence[Finding]:
        """The data set's own."""
        return getattr(self._source, "findings", ())

    @property
    def own_files(self) -> Mapping[Path, str]:
        """The data set's own, where its kind has any."""
        return getattr(self._source, "own_files", {})

    def sets(self) -> list[str]:
        """Return names of the data set's own lists."""
        return self._source.sets()

    def file(self, item: Item) -> str:
        """Return the file of an item's annotation."""
        return self._source.file(item)

    def items(self) -> list[Item]:
        """Return the images that stay. Raises CaffeError where none does."""
        return self._kept(self._source.items())

    def read_list(self, name: str) -> list[Item]:
        """Return the images of a list that stay. Raises CaffeError where none does."""
        return self._kept(self._source.read_list(name))

    def read(self, item: Item) -> Annotation:
        """Return the annotation of an image with the chosen objects, under their new names."""
        annotation = self._source.read(item)
        objects = list(self._selected(annotation.objects))
        remarks = [
            said for said in annotation.remarks if not said.name or self._new_name(said.name)
        ]
        return annotation._replace(objects=objects, remarks=tuple(remarks))

    def _selected(self, objects: Iterable[Object]) -> Iterator[Object]:
        """Yield the chosen objects, under their new names."""
        for found in objects:
            name = self._new_name(found.name)
            if name == found.name:
                yield found
            elif name:
                yield found._replace(name=name)

    def _new_name(self, name: str) -> str | None:
        """Return what a class is called here, None if it is left out."""
        if name not in self._new_names:
            new = self._renamed(name)
            if self._classes is not None and new not in self._classes:
                new = None
            self._new_names[name] = new
        return self._new_names[name]

    def _renamed(self, name: str) -> str | None:
        """Return a class's new name, by its own name or label; None if the map has neither."""
        if self._renaming is None:
            return name
        if name in self._renaming:
            return self._renaming[name]
        for label, known in self._source.aliases.items():
            if known == name:
                return self._renaming.get(label)
        return None

    def _check_labels(self) -> None:
        """Refuse a map with ids in place of labels: it would give a class another's name."""
        if not self._renaming:
            return
        classes = self._source.aliases
        for label, name in classes.items():
            new = self._renaming.get(label)
            if name in self._renaming or new in (None, name):
                continue
            if new in classes.values():
                raise CaffeError(
                    f"--map: label {label} is '{name}', and '{new}' is a class of its own"
                    " (labels count from 1; ids do not count)"
                )

    def _kept(self, items: list[Item]) -> list[Item]:
        """Return the items that stay.

        Items that cannot be read stay, too; the build that reads them reports them.
        """
        self._check_labels()
        kept: list[Item] = []
        found: set[str] = set()
        for item in items:
            try:
                objects = self._source.read(item).objects
            except (CaffeError, OSError):
                kept.append(item)
                continue
            found.update(known.name for known in objects)
            if self._stays(objects):
                kept.append(item)
        self._check_classes(found)
        if not kept:
            wanted = ", ".join(self.classes or ["any class"])
            raise CaffeError(
                f"{self.root}: no image has an object of {wanted} (--keep-empty keeps them all)"
            )
        return kept

    def _stays(self, objects: list[Object]) -> bool:
        """Return whether an image with these objects stays."""
        if self._empty == "keep" or any(self._selected(objects)):
            return True
        return not objects and not self._empty

    def _check_classes(self, found: set[str]) -> None:
        """Raise CaffeError for a chosen class that is not found and may be a slip of the pen."""
        if self._renaming:
            return
        for name in self._classes or ():
            if name in found:
                continue
            near = suggest(name, found)
            if near:
                raise CaffeError(f"--classes: no object of class '{name}'{near}")
