"""Finds the text file of each image in YOLO's data sets, and text files that have no image."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

from data_prep.sources import fields, image_lists
from data_prep.sources.source import Finding, Item
from data_prep.sources.yolo_lines import FAR
from ssd_common.errors import CaffeError

# Folders of images, and those of their text files, as darknet and Ultralytics have them.
FOLDERS = {
    "images": "labels",
    "JPEGImages": "labels",
    "Images": "Labels",
    "imgs": "labels",
    "img": "labels",
    "image": "label",
}


class Labels:
    """The text files of a data set's images.

    root: the folder that items are relative to.
    images: the folder with the images, where the user has named one.
    """

    def __init__(self, root: Path, images: Path | None = None) -> None:
        self._root = root
        self._images = images
        self._places: dict[str, str] = {}
        self._image_folders: dict[Path, set[Path]] = {}
        # When each folder was changed last, and what it had then.
        self._by_name: dict[Path, tuple[int, dict[str, list[str]]]] = {}

    def __getstate__(self) -> dict[str, object]:
        """Return everything but the files found, which other processes find by themselves."""
        return {**vars(self), "_places": {}, "_image_folders": {}, "_by_name": {}}

    def place(self, image: str) -> str:
        """Return where an image's text file should be, relative to the root.

        Beside images/a.jpg is images/a.txt, or labels/a.txt as darknet and Ultralytics have it.
        """
        head, slash, name = image.rpartition("/")
        if head not in self._places:
            self._places[head] = self._folder(head)
        return f"{self._places[head]}{slash}{os.path.splitext(name)[0]}.txt"

    def _folder(self, head: str) -> str:
        """Return the folder of the text files of a folder's images: the last `images` counts."""
        path = self._root / head
        if self._images and path.is_relative_to(self._images):
            return self._folder_for(path.relative_to(self._images))
        names = head.split("/")
        for number in range(len(names) - 1, -1, -1):
            name = names[number]
            if name not in FOLDERS:
                continue
            found = "/".join([*names[:number], FOLDERS[name], *names[number + 1 :]])
            if name == "images" or os.path.isdir(self._root / found):
                return found
        return head

    def _folder_for(self, inner: Path) -> str:
        """Return the folder of the text files of an inner folder of the images that users name."""
        for folder in (Path("labels", inner), inner, Path("labels")):
            if (self._root / folder).is_dir():
                return folder.as_posix()
        return "."

    def find(self, item: Item) -> Path:
        """Return the text file of an item: beside its image only where there is no other.

        Where there is none, one counts whose name is the same but for percent signs (a%20b) or the
        form of its accents (NFC, NFD).
        """
        path = self._root / item.annotation
        beside = (self._root / item.image).with_suffix(".txt")
        for exact in (path, beside):
            if exact.is_file():
                return exact
        for other in (path, beside):
            found = self._other_spelling(other, self._root / item.image)
            if found:
                return found
        return path

    def _other_spelling(self, path: Path, image: Path) -> Path | None:
        """Return the only file that has a path's name in another spelling.

        One that has an image of its own does not count.
        """
        names = self._listed(path.parent).get(_spelling(path.stem), [])
        stems = [Path(name).stem for name in names if name.endswith(".txt")]
        free = [stem for stem in stems if not _image_of(image.parent, stem)]
        if len(free) == 1:
            return path.with_name(f"{free[0]}.txt")
        return None

    def _listed(self, folder: Path) -> dict[str, list[str]]:
        """Return the names of a folder's text files by one spelling for all, as they are now."""
        if not os.path.isdir(folder):
            return {}
        changed = os.stat(folder).st_mtime_ns
        if self._by_name.get(folder, (0, {}))[0] != changed:
            self._by_name[folder] = changed, _by_spelling(folder, _is_text)
        return self._by_name[folder][1]

    def add_all(self) -> None:
        """Note that all images of the data set are wanted: `labels` belongs to them as a whole."""
        for path, _, _ in os.walk(self._root / "labels"):
            self._image_folders.setdefault(Path(path), set())

    def orphans(self) -> Iterator[Finding]:
        """Yield the text files that no image has, in the folders of the images placed so far."""
        folders = dict(self._image_folders)
        for head, place in self._places.items():
            for name in (head, place):
                images = folders.get(self._root / name, set())
                folders[self._root / name] = images | {self._root / head}
        for folder in sorted(folders):
            yield from _orphans_in(folder, folders[folder])


def _orphans_in(folder: Path, image_folders: Iterable[Path]) -> Iterator[Finding]:
    """Yield the text files of a folder that have no image in others."""
    images: dict[str, str] = {}
    others: dict[str, str] = {}
    for image_folder in image_folders:
        for spelling, names in _by_spelling(image_folder, _is_other).items():
            others[spelling] = names[0]
        for spelling, names in _by_spelling(image_folder, image_lists.is_image).items():
            images[spelling] = names[0]
    by_small = {spelling.lower(): name for spelling, name in images.items()}
    for spelling, names in sorted(_by_spelling(folder, _is_text).items()):
        near = by_small.get(spelling.lower())
        message = "no image has this name"
        if near:
            message += f" (is it of {near}? Small letters and capitals differ)"
        elif spelling in others:
            message += f" ({others[spelling]} is no image that can be read)"
        for name in names:
            used = spelling in images and name.endswith(".txt")
            if not used and _is_label(folder / name):
                yield Finding("orphan", str(folder / name), message)


def _by_spelling(folder: Path, wanted: Callable[[str], bool]) -> dict[str, list[str]]:
    """Return the names of a folder's files of a sort by one spelling for all, without suffix."""
    found: dict[str, list[str]] = {}
    if not os.path.isdir(folder):
        return found
    for name in sorted(os.listdir(folder)):
        if wanted(name):
            found.setdefault(_spelling(Path(name).stem), []).append(name)
    return found


def _is_text(name: str) -> bool:
    """Return whether a file name is a text file's, in small letters or not."""
    return name[0] != "." and name.lower().endswith(".txt")


def _is_other(name: str) -> bool:
    """Return whether a file name is neither a text file's nor an image's."""
    return name[0] != "." and not _is_text(name) and not image_lists.is_image(name)


def _spelling(stem: str) -> str:
    """Return the one spelling for all spellings of a name."""
    return unicodedata.normalize("NFC", unquote(stem))


def _image_of(folder: Path, stem: str) -> bool:
    """Return whether a folder has an image of this name without extension."""
    return (folder / image_lists.with_extension(folder, stem)).is_file()


def has_numbers(path: Path) -> bool:
    """Return whether a text file begins with five numbers or more."""
    return len(_first_numbers(path)) >= 5


def _is_label(path: Path) -> bool:
    """Return whether a text file begins with a class and a box in fractions of an image."""
    index, *box = _first_numbers(path) or [-1]
    return index >= 0 and index == int(index) and len(box) >= 4 and max(map(abs, box[:4])) <= FAR


def _first_numbers(path: Path) -> list[float]:
    """Return the numbers of a text file's first line; none where there is any other word."""
    try:
        _, first = next(image_lists.read_lines(path, "a YOLO text file"), (0, ""))
        return [fields.number(word) for word in first.split()]
    except (CaffeError, OSError, ValueError):
        return []
