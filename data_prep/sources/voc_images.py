"""Finds the image of each VOC annotation: by its name, else by what the annotation says."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath

from data_prep.sources import image_lists
from data_prep.sources.voc_xml import said_image


class Images:
    """The images of a folder, for their annotations.

    images: their paths relative to it, in the order of names.
    annotations: the folder of their annotations.
    stems: the annotations' names without extension.
    """

    def __init__(self, images: Iterable[Path], annotations: Path, stems: list[str]) -> None:
        self._annotations = annotations
        self._stems = dict.fromkeys(stems)
        self._names: dict[str, str] = {}
        # Names without extension that more than one image has.
        self._several: dict[str, list[str]] = {}
        paths = list(images)
        for path in paths:
            self._add(self._names, stem_of(path), path.as_posix())
        # LabelImg can save the annotations of inner folders in one place.
        inner: dict[str, str] = {}
        for path in paths:
            if path.stem not in self._names:
                self._add(inner, path.stem, path.as_posix())
        self._names |= inner

    def _add(self, names: dict[str, str], stem: str, name: str) -> None:
        first = names.setdefault(stem, name)
        if first != name:
            self._several.setdefault(stem, [first]).append(name)

    def __contains__(self, stem: str) -> bool:
        """Return whether an image has this name without extension."""
        return stem in self._names

    def find(self, stem: str, listed: str = "") -> str | None:
        """Return the image of an annotation; None where there is none.

        stem: the annotation's name without extension.
        listed: the image as a list names it.
        Raises ValueError where several images may be meant, or an image by several annotations.
        """
        if stem in self._several:
            return self._decided(stem, listed)
        name = self._direct(stem)
        if not name and stem in self._said:
            name = self._said[stem]
            if self._claims[name] > 1:
                owners = [f"{other}.xml" for other, said in self._said.items() if said == name]
                raise ValueError(f"{name} is the <filename> of {owners[0]} and of {owners[1]}")
        return name

    def annotation_of(self, name: str) -> str | None:
        """Return the annotation of an image, without extension; None where nothing leads to one.

        name: of the image, with or without extension.
        """
        if name in self._stems:
            return name
        return self._others.get(name)

    def _all_of(self, stem: str) -> list[str]:
        """Return every image with a name without extension."""
        if stem in self._several:
            return self._several[stem]
        if stem in self._names:
            return [self._names[stem]]
        return []

    def _direct(self, stem: str) -> str | None:
        """Return the image that is called as its annotation; None where there is none, or several.

        The annotation of a.jpg may be a.jpg.xml, and letters may be small, or their accents apart.
        """
        if stem in self._names:
            return self._names[stem]
        if image_lists.has_image_extension(stem):
            for name in self._all_of(stem_of(Path(stem))):
                if Path(name).name == Path(stem).name:
                    return name
        like = self._folded.get(_folded(stem), "")
        if like in self._several:
            return None
        return self._names.get(like)

    def _decided(self, stem: str, listed: str) -> str:
        """Return the one of several images that an annotation names, or else a list.

        Raises ValueError, with the images, where neither does.
        """
        names = self._several[stem]
        said = said_image(self._annotations / f"{stem}.xml")
        hints = [PurePosixPath(*said.parts[-1:]), said, PurePosixPath(listed)]
        for hint in hints:
            fitting = [name for name in names if _ends(name, hint)]
            if len(fitting) == 1:
                return fitting[0]
        remedy = "its <filename>, or a list, should name one"
        raise ValueError(f"its image may be {names[0]} or {names[1]}; {remedy}")

    @cached_property
    def _folded(self) -> dict[str, str]:
        """Names without extension that are one where small letters count as capitals."""
        often = Counter(map(_folded, self._names))
        names = {_folded(stem): stem for stem in self._names}
        return {folded: stem for folded, stem in names.items() if often[folded] == 1}

    @cached_property
    def _said(self) -> dict[str, str]:
        """The images that annotations without an image of their name say that they are of.

        An image that has an annotation of its own name is none of these.
        """
        return dict(self._find_said())

    @cached_property
    def _others(self) -> dict[str, str]:
        """Annotations that are not called as their image, by its name with and without extension.

        Also those whose name has the image's extension.
        """
        found: dict[str, str] = {}
        named = {stem: stem for stem in self._stems if image_lists.has_image_extension(stem)}
        for stem, image in (self._said | named).items():
            path = Path(image)
            for name in (image, stem_of(path), path.name, path.stem):
                found.setdefault(name, stem)
        return found

    @cached_property
    def _claims(self) -> Counter[str]:
        """How many annotations say that they are of an image."""
        return Counter(self._said.values())

    def _find_said(self) -> Iterator[tuple[str, str]]:
        direct = {stem: self._direct(stem) for stem in self._stems}
        taken = set(direct.values())
        for stem, image in direct.items():
            if image or stem in self._several:
                continue
            said = said_image(self._annotations / f"{stem}.xml").name
            bare = said
            if image_lists.has_image_extension(said):
                bare = stem_of(Path(said))
            names = self._all_of(bare) or self._all_of(self._folded.get(_folded(bare), ""))
            exact = [name for name in names if _ends(name, PurePosixPath(said))]
            names = exact or names
            if len(names) == 1 and names[0] not in taken:
                yield stem, names[0]


def stem_of(path: Path) -> str:
    """Return a path without its extension, but with its folder."""
    return path.with_suffix("").as_posix()


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _ends(name: str, hint: PurePosixPath) -> bool:
    """Return whether an image's path ends with another, capital letters or not."""
    parts = [part.casefold() for part in hint.parts]
    whole = [part.casefold() for part in Path(name).parts]
    return bool(parts) and whole[-len(parts) :] == parts
