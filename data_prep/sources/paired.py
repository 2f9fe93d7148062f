"""Data sets with an annotation file for each image, in a folder beside the images'."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from data_prep.sources import image_finder, image_lists
from data_prep.sources.picture import LeftOut, Picture, Shape
from data_prep.sources.source import NO_ALIASES, Annotation, Item
from ssd_common.errors import CaffeError, ParseError

# How far below the root the folders may lie: archives are often unpacked into folders of their own.
DEPTH = 2


class Part(NamedTuple):
    """A folder of annotations and the folder of their images, relative to the root."""

    annotations: str
    images: str


class Paired:
    """A folder with such folders, or a folder of several: one for each split.

    A format is a subclass with `line`, and with what its folders are called.

    folders: patterns of the names of folders with annotations; of several that are there the first
      counts.
    images: the folder with the images, or with one for each part; None for the usual ones.
    Raises CaffeError where there is none.
    """

    whole_pixels = False
    classes: list[str] | None = None
    aliases = NO_ALIASES
    folders: tuple[str, ...] = ()
    what = "an annotation"

    def __init__(self, root: Path, images: Path | str | None = None) -> None:
        if not root.is_dir():
            raise CaffeError(f"{root}: no such folder")
        self.root = root
        self._folder = image_finder.folder_of_images(root, images)
        self._below: dict[str, dict[str, str]] = {}
        self._parts = self._find_parts()
        if not self._parts:
            wanted = " or ".join(self.folders)
            raise CaffeError(f"{root}: no folder {wanted} with text files beside the images")

    def line(self, text: str) -> Shape | LeftOut | None:
        """Return the shape of a line; None for one that is none. Raises ValueError."""
        raise NotImplementedError

    def _find_parts(self) -> dict[str, Part]:
        """Find the folders of annotations, by the name of the folder that they are in."""
        found: dict[str, Part] = {}
        bases = [self.root]
        for depth in range(DEPTH + 1):
            inner: list[Path] = []
            for base in bases:
                folder = self._annotations(base)
                if folder:
                    name = image_lists.below(self.root, base)
                    found[name] = Part(image_lists.below(self.root, folder), self._images(base))
                elif depth < DEPTH:
                    inner += _folders_in(base)
            bases = inner
        return found

    def _annotations(self, base: Path) -> Path | None:
        """Return the folder of annotations in a folder; None where there is none."""
        for pattern in self.folders:
            for folder in sorted(base.glob(pattern)):
                if folder.is_dir() and next(folder.glob("*.txt"), None):
                    return folder
        return None

    def _images(self, base: Path) -> str:
        """Return the folder of images in a folder, relative to the root; itself for none."""
        if self._folder:
            own = self._folder / base.relative_to(self.root)
            if not own.is_dir():
                own = self._folder
            return image_lists.below(self.root, own)
        for name in ("images/images", "images", "JPEGImages"):
            if (base / name).is_dir():
                return image_lists.below(self.root, base / name)
        return image_lists.below(self.root, base)

    def items(self) -> list[Item]:
        """Return an item for every text file, by name."""
        return [item for part in self._parts.values() for item in self._items_of(part)]

    def _items_of(self, part: Part) -> Iterator[Item]:
        """Yield an item for every text file of a part, by name."""
        for path in sorted((self.root / part.annotations).glob("[!.]*.txt")):
            yield self._item(part, path.stem)

    def _item(self, part: Part, stem: str, place: str | None = None) -> Item:
        """Return the item of an image's name without extension."""
        image = image_lists.with_extension(self.root, _joined(part.images, stem))
        if not (self.root / image).is_file():
            image = self._deeper(part.images).get(stem, image)
        return Item(image, _joined(part.annotations, f"{stem}.txt"), place)

    def _deeper(self, images: str) -> dict[str, str]:
        """Return the images of the folders in a part's folder of images, by their stems."""
        if images not in self._below:
            paths = image_lists.images_below(self.root / images)
            self._below[images] = {path.stem: image_lists.below(self.root, path) for path in paths}
        return self._below[images]

    def sets(self) -> list[str]:
        """Return the names of the inner folders with images and annotations."""
        return sorted(name for name in self._parts if name != ".")

    def read_list(self, name: str) -> list[Item]:
        """Return the items of an inner folder, by its name or its last word, or of a list.

        Raises CaffeError with file and line.
        """
        named = [part for part in self._parts if part == name.rstrip("/")]
        named = named or [part for part in self._parts if part.endswith((f"-{name}", f"_{name}"))]
        if len(named) == 1:
            return list(self._items_of(self._parts[named[0]]))
        path = image_lists.find(name, (Path(name), self.root / name), self.sets())
        return image_lists.read_items(path, self._listed)

    def _listed(self, name: str, place: str) -> Item:
        """Return the item of an image that a list names, with or without folder and extension."""
        stem = Path(name).name
        if image_lists.has_image_extension(name):
            stem = Path(name).stem
        items = [self._item(part, stem, place) for part in self._parts.values()]
        for item in items:
            if (self.root / item.annotation).is_file():
                return item
        return items[0]

    def __getstate__(self) -> dict[str, object]:
        """Return everything but the images found, which other processes do not need."""
        return {**vars(self), "_below": {}}

    def file(self, item: Item) -> str:
        """Return the text file of an item."""
        return str(self.root / item.annotation)

    def read(self, item: Item) -> Annotation:
        """Return the annotation of an image. Raises ParseError with file and line."""
        path = self.root / item.annotation
        found = Picture(item.image)
        for number, text in image_lists.read_lines(path, self.what):
            found.take(self.line, text, number)
        return found.annotation(str(path))


def _folders_in(base: Path) -> list[Path]:
    """Return the folders in a folder, by name, without hidden ones and links."""
    with os.scandir(base) as entries:
        found = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    return [Path(path) for path in sorted(found) if not os.path.basename(path).startswith(".")]


def _joined(folder: str, name: str) -> str:
    """Return a path below a folder, "." for the root."""
    return Path(folder, name).as_posix()


def recognised(kind: Callable[[Path], Paired]) -> Callable[[Path], bool]:
    """Return a function that tells whether a folder is of a kind: its first file's first shape."""

    def looks_like(path: Path) -> bool:
        try:
            source = kind(path)
            for item in source.items()[:1]:
                file = source.root / item.annotation
                for _, text in image_lists.read_lines(file, source.what):
                    if source.line(text):
                        return True
        except (CaffeError, ParseError, ValueError, OSError):
            return False
        return False

    return looks_like
