"""Where the images of one annotation file lie: nearly always in one folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from data_prep.images.encoding import IMAGE_NAMES
from data_prep.sources import fields, image_lists
from data_prep.sources.image_finder import Finder, without_url
from data_prep.sources.source import Remark

_FOREIGN = re.compile(r"/|[A-Za-z]:/|[A-Za-z][A-Za-z0-9+.-]+://")


class Place(NamedTuple):
    """Where an image is.

    image: path relative to the root, or absolute.
    remarks: what a report shall say of it.
    fault: why nobody can tell where it is; "" for nothing.
    """

    image: str
    remarks: tuple[Remark, ...] = ()
    fault: str = ""


class ImagePlaces:
    """Finds the images of one annotation file, or of a part of it.

    It looks for the folder that has the first of them, and lists it once; other images are found
    one by one. Where that folder is known, an image's name alone leads nowhere else: another
    split's image may have it.

    names: the images as the file has them.
    folders: where they may lie, relative to the root, the likeliest first.
    images: the folder with the images, where the user has named one; then the only place.
    """

    def __init__(
        self,
        root: Path,
        names: Iterable[str],
        folders: Iterable[str],
        images: Path | None = None,
    ) -> None:
        self._root = root
        places = list(folders)
        if images:
            places = [image_lists.below(root, images)]
        self._finder = Finder(root, places, images)
        self._listed: dict[str, frozenset[str]] = {}
        self._folded: dict[str, dict[str, list[str]]] = {}
        listed = list(map(without_url, names))
        self._folder, self._extension = image_lists.locate(root, listed, places)
        self._is_known = any(map(self._has, map(self._path, listed[: image_lists.PROBES])))

    def find(self, name: str, line: int) -> Place:
        """Return where an image is; a path that is not there where no file fits.

        line: of the annotation file, where it names the image.
        """
        path = self._path(name)
        if self._has(path):
            return Place(path, fault=self._twin(name))
        like = self._like(path)
        if like:
            return self._guessed(like, name, line)
        may_guess = not self._is_known or _is_foreign(name)
        try:
            found = self._finder.find(name)
        except ValueError as error:
            if may_guess:
                return Place(path, fault=f"{error} (--images FOLDER says where it is)")
            return Place(path)
        exists = (self._root / found.image).is_file()
        if not exists or (found.by_name and not may_guess):
            fault = self._missing(name)
            if fault:
                path = found.image
            return Place(path, fault=fault)
        if not found.by_name:
            return Place(found.image)
        return self._guessed(found.image, name, line)

    @staticmethod
    def _guessed(image: str, name: str, line: int) -> Place:
        """Return the place of an image that is not exactly where its name says."""
        remark = Remark("relocated", line, f"'{fields.excerpt(name)}': {image} is taken")
        return Place(image, (remark,))

    def _path(self, name: str) -> str:
        """Return where an image is if it lies in the folder of the others."""
        return f"{self._folder}{without_url(name)}{self._extension}"

    def _has(self, path: str) -> bool:
        """Return whether there is a file, or a folder, of this path."""
        folder, name = os.path.split(os.path.join(self._root, path))
        return name in self._names_in(folder)

    def _names_in(self, folder: str) -> frozenset[str]:
        """Return the names of the files of a folder."""
        if folder not in self._listed:
            try:
                self._listed[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._listed[folder] = frozenset()
        return self._listed[folder]

    def _like(self, path: str) -> str:
        """Return the only file whose path is another but for capitals; "" where there is none."""
        folder, name = os.path.split(path)
        whole = os.path.join(self._root, folder)
        if whole not in self._folded:
            self._folded[whole] = {}
            for known in sorted(self._names_in(whole)):
                self._folded[whole].setdefault(known.casefold(), []).append(known)
        found = self._folded[whole].get(name.casefold(), [])
        if len(found) != 1:
            return ""
        return os.path.join(folder, found[0])

    def _twin(self, name: str) -> str:
        """Say which two images a name without extension fits; "" where it has one, or fits one."""
        bare = without_url(name)
        if image_lists.has_image_extension(bare):
            return ""
        paths = [f"{self._folder}{bare}{extension}" for extension in IMAGE_NAMES]
        found = [path for path in paths if self._has(path)]
        if len(found) < 2:
            return ""
        return f"'{fields.excerpt(name)}' may be {found[0]} or {found[1]}"

    def _missing(self, name: str) -> str:
        """Say where the image of another machine's path, or of a URL, could not be found."""
        if not _is_foreign(name) or os.path.isdir(os.path.dirname(name)):
            return ""
        given = fields.excerpt(name)
        looked = f"no image of that name is in {self._root}"
        return f"'{given}' is not on this machine, and {looked} (--images FOLDER says where it is)"


def _is_foreign(name: str) -> bool:
    """Return whether a name is a path from / or C:/, or a URL."""
    return bool(_FOREIGN.match(name))
