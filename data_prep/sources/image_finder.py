"""Finds the images that annotation files name: paths of other machines, URLs, names alone."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from data_prep.sources import fields, image_lists
from data_prep.sources.kind import Option
from ssd_common.errors import CaffeError

# For the kinds whose annotations name their images.
IMAGES = Option(
    "images",
    "folder with the images, where it is not DIR or a usual folder in it",
    type=Path,
    metavar="FOLDER",
)
# urlsplit raises ValueError for hosts such as [x.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^/?#]*/*([^?#]*)")
_DRIVE = re.compile(r"[A-Za-z]:")


class Found(NamedTuple):
    """Where an image is.

    image: path relative to the root, or absolute.
    by_name: its folder is not the one that the annotation says.
    """

    image: str
    by_name: bool = False


class Finder:
    """Finds images by the names that annotation files have for them.

    root: the folder that items are relative to.
    folders: where images may lie, relative to it, the likeliest first.
    images: the folder with the images, where the user has named one; then the only place.
    """

    def __init__(self, root: Path, folders: Iterable[str], images: Path | None = None) -> None:
        self.root = root
        self._images = images
        self._places = [root / folder for folder in dict.fromkeys(folders)]
        if images:
            self._places = [images]

    def find(self, given: str) -> Found:
        """Return where an image is; a path that is not there where no file fits.

        given: as the annotation file has it.
        Raises ValueError for a name that no image has, and where several images fit.
        """
        names = [fields.image_name(name) for name in _spellings(given)]
        for name in names:
            for place in self._places:
                path = _file(place / name)
                if path:
                    return Found(image_lists.below(self.root, path))
        for name in names:
            path = self._images and _file(self._images / name.rpartition("/")[2])
            if path:
                return Found(image_lists.below(self.root, path), by_name=True)
            image = self._only_one(name)
            if image:
                return Found(image, by_name=True)
        return Found(self._missing(names[0]))

    def _only_one(self, name: str) -> str:
        """Return the image whose path ends most like a name; "" where no image fits.

        It is none where other images lie in a folder that is called as the name says.
        Raises ValueError for several.
        """
        *folders, base = name.split("/")
        found = self._by_name.get(base, [])
        for number in range(1, len(folders) + 1):
            tail = "/".join(["", *folders[-number:], ""])
            closer = [image for image in found if _folder(image).endswith(tail)]
            if not closer:
                break
            found = closer
        else:
            number = 0
        if number == 1 and folders[-1] in self._folder_names:
            return ""
        if len(found) > 1:
            first, second = found[:2]
            raise ValueError(f"'{fields.excerpt(name)}' may be {first} or {second}")
        return "".join(found)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        """Every image below the root, by its name, and by its name without extension."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for path in image_lists.images_below(self._images or self.root):
            image = image_lists.below(self.root, path)
            found[path.name].append(image)
            found[path.stem].append(image)
        return dict(found)

    @cached_property
    def _folder_names(self) -> set[str]:
        """The names of the folders that images lie in."""
        images = [image for found in self._by_name.values() for image in found]
        return {_folder(image).split("/")[-2] for image in images}

    def _missing(self, name: str) -> str:
        """Return where an image that is nowhere would be."""
        if self._images:
            return image_lists.below(self.root, self._images / name.rpartition("/")[2])
        if name.startswith("/") or _DRIVE.match(name):
            return name.rpartition("/")[2]
        return name


def _folder(image: str) -> str:
    """Return the folder of an image between slashes: "/images/train/", "/" for the root."""
    return "/" + image[: image.rfind("/") + 1]


def _file(path: Path) -> Path | None:
    """Return a file of this path, or with an image's extension where the path has none.

    Raises ValueError where images of several extensions fit.
    """
    if path.is_file():
        return path
    if image_lists.has_image_extension(path.name):
        return None
    found = image_lists.with_extensions(path)
    if len(found) > 1:
        given = fields.excerpt(path.name)
        raise ValueError(f"'{given}' may be {found[0].name} or {found[1].name}")
    return next(iter(found), None)


def _spellings(given: str) -> Iterator[str]:
    """Yield an image's path in each form that it may have on the disk, the likeliest first."""
    seen = set()
    for plain in (given, without_url(given), unquote(without_url(given))):
        for form in (None, "NFC", "NFD"):
            name = plain
            if form:
                name = unicodedata.normalize(form, plain)
            if name not in seen:
                seen.add(name)
                yield name


def folder_of_images(root: Path, given: Path | str | None) -> Path | None:
    """Return the folder that the user names with IMAGES, here or in the root; None for none.

    Raises CaffeError where it is missing.
    """
    if given is None:
        return None
    for path in (Path(given), root / given):
        if path.is_dir():
            return path
    raise CaffeError(f"{given}: no such folder of images")


def without_url(given: str) -> str:
    """Return the path in a URL, or in a query `?d=path` as Label Studio has; else what is given."""
    _, query, path = given.partition("?d=")
    if query:
        return unquote(path.partition("&")[0])
    url = _URL.match(given)
    if url:
        return unquote(url[1])
    return given


def contradict(first: str, second: str) -> bool:
    """Return whether two names of one image, found by name alone, have it in different folders."""
    folders = set()
    for name in (first, second):
        *_, folder, _ = ["", "", *without_url(name).replace("\\", "/").split("/")]
        folders.add(folder)
    return len(folders - {"", "."}) > 1
