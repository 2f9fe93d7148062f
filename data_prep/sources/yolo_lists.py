"""Reads YOLO's lists of images: a path a line, of whichever machine the list was written on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from data_prep.sources import fields, image_lists
from data_prep.sources.image_finder import Finder
from data_prep.sources.source import Finding, Item
from data_prep.sources.yolo_places import tails
from ssd_common.errors import CaffeError


class Lists:
    """Finds the images of a data set's lists.

    root: the data set's folder.
    folder: where data.yaml says that its paths start.
    findings: what is to be said about the lists read so far.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self._folders: dict[tuple[Path, str], list[Path]] = {}
        self.findings: list[Finding] = []

    def __reduce__(self) -> tuple[type[Lists], tuple[Path, Path]]:
        """Return everything but what was found, which other processes do not need."""
        return Lists, (self._root, self._folder)

    def read(self, path: Path) -> list[Item]:
        """Return image and annotation ("" where the list has none) of each line.

        Raises CaffeError with file and line.
        """
        found = []
        for number, line in image_lists.read_lines(path, "a list"):
            place = f"{path}:{number}"
            try:
                words = [fields.image_name(word) for word in self._words(line)]
                image = self._find(words[0], path, place)
            except ValueError as error:
                raise CaffeError(f"{place}: {error}") from None
            found.append(Item(image, "".join(words[1:2]), place))
        if not found:
            raise CaffeError(f"{path}: the list is empty")
        return found

    def _words(self, line: str) -> list[str]:
        """Return the image of a line, and its annotation in lists that data_prep itself wrote."""
        if "\t" in line:
            return line.split("\t")[:2]
        image, _, annotation = line.rpartition(" ")
        if annotation.endswith(".txt") and image_lists.has_image_extension(image):
            return [image, annotation]
        return [line]

    def _find(self, name: str, path: Path, place: str) -> str:
        """Return where an image of a list is, relative to the root.

        name: as the list has it, from the root, the folder of the list, or images.
        Raises ValueError where several images fit.
        """
        folders = [self._root, path.parent, self._root / "images", self._folder]
        for folder in folders:
            if (folder / name).is_file():
                return self._below(folder / name)
        head, _, bare = name.rpartition("/")
        for folder in self._like(path.parent, head):
            if (folder / bare).is_file():
                self._note(place, head, folder)
                return self._below(folder / bare)
        found = self._finder.find(name)
        if not (self._root / found.image).is_file():
            return self._below(self._root / name)
        if found.by_name:
            self._note(place, head, (self._root / found.image).parent)
        return found.image

    def _like(self, base: Path, head: str) -> list[Path]:
        """Return the folders that the end of a path leads to, the likeliest first."""
        if (base, head) not in self._folders:
            self._folders[base, head] = list(self._ends(base, head))
        return self._folders[base, head]

    def _ends(self, base: Path, head: str) -> Iterator[Path]:
        for tail in [*tails(head)[1:], ""]:
            for folder in (self._root / tail, base / tail):
                if os.path.isdir(folder):
                    yield folder

    def _note(self, place: str, head: str, folder: Path) -> None:
        """Say once that a folder's images are elsewhere than a list has them."""
        where = self._below(folder)
        message = f"images of '{fields.excerpt(head)}' are taken from {where}"
        if all(known.message != message for known in self.findings):
            self.findings.append(Finding("moved", place, message))

    @cached_property
    def _finder(self) -> Finder:
        return Finder(self._root, ("", "images"))

    def _below(self, path: Path) -> str:
        return image_lists.below(self._root, path)
