"""Finds the folders and lists that data.yaml or obj.data names, written on whichever machine.

Exports of Roboflow, Kaggle, CVAT and Windows name folders that are elsewhere by the time they are
read: `../train/images`, `/kaggle/input/x/train/images`, `data/train.txt`, `C:\\x\\images\\train`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from data_prep.sources import image_lists
from data_prep.sources.yaml_file import Text
from data_prep.sources.yolo_splits import SPLITS, Splits

# Folders whose names say nothing about which split they hold.
COMMON = ("images", "image", "imgs", "img", "jpegimages", "labels")
_DRIVE = re.compile(r"^[A-Za-z]:(?=/)")


class Place(NamedTuple):
    """One folder or list of a split.

    given: as its file names it.
    path: where it is, None where it is nowhere.
    moved: it is elsewhere than its file says.
    """

    given: Text
    path: Path | None
    moved: bool = False


class Places:
    """The folders and lists of a data set's splits.

    root: the data set's folder.
    """

    def __init__(self, root: Path, splits: Splits) -> None:
        self._root = root
        self._splits = splits

    def __getstate__(self) -> dict[str, object]:
        """Return everything but the places found, which other processes do not need."""
        return {"_root": self._root, "_splits": self._splits}

    @cached_property
    def found(self) -> dict[str, list[Place]]:
        """The places of each split.

        No place is moved to where a place of another name is: images of one split would else be
        another's, too.
        """
        found: dict[str, list[Place]] = {}
        names: dict[Path | None, set[str]] = {}
        for split, texts in self._splits.places.items():
            found[split] = [self._find(split, given) for given in texts]
            for place in found[split]:
                names.setdefault(place.path, set()).add(_plain(place.given.text))
        for places in found.values():
            for number, place in enumerate(places):
                if place.moved and len(names[place.path]) > 1:
                    places[number] = Place(place.given, None)
        return found

    def _find(self, split: str, given: Text) -> Place:
        text = _plain(given.text)
        path = self._first(self._literal(text))
        if path:
            return Place(given, path)
        path = self._first(self._similar(split, text)) or self._first(self._beside(text))
        return Place(given, path, moved=bool(path))

    @property
    def _bases(self) -> list[Path]:
        """Where paths may start: the data set's folder comes before others."""
        folders = (self._splits.folder, self._root, self._splits.file.parent)
        inside = [folder for folder in folders if self._is_inside(folder)]
        return list(dict.fromkeys([*inside, *folders]))

    def _literal(self, text: str) -> Iterator[Path]:
        """Yield where a path leads that is as it should be, the likeliest first.

        Roboflow's `../train/images` lies in the data set's folder, not beside it.
        """
        literal = [base / text for base in self._bases]
        yield from filter(self._is_inside, literal)
        if text.startswith("../") and not any(map(os.path.exists, literal)):
            yield from (base / "/".join(_parts(text)) for base in self._bases)
        if not text.startswith("../"):
            yield from literal

    def _similar(self, split: str, text: str) -> Iterator[Path]:
        """Yield where in the data set's folder the end of a path leads, or the split's name."""
        parts = _parts(text)
        ends = [parts[number:] for number in range(len(parts))]
        if parts and parts[-1].lower() in COMMON:
            ends.pop()
        for base in self._bases:
            if self._is_inside(base):
                yield from (base.joinpath(*end) for end in ends)
        yield from filter(None, (_other_case(self._root, end) for end in ends))
        for name in _names(split, parts):
            for inner in (f"images/{name}", f"{name}/images", name):
                yield self._root / inner
        for end in ends:
            yield from self._deeper(end)
        if parts:
            yield self._root / parts[-1]
            if parts[-1] == self._root.resolve().name:
                yield self._root

    def _deeper(self, end: list[str]) -> list[Path]:
        """Return where a path leads from the folders in the data set's, if one alone has it."""
        found = [path for path in self._inner_folders if _holds_images(path.joinpath(*end))]
        if len(found) == 1:
            return [found[0].joinpath(*end)]
        return []

    @cached_property
    def _inner_folders(self) -> list[Path]:
        """The folders in the data set's, and those in them."""
        patterns = ("[!.]*/", "[!.]*/[!.]*/")
        return [path for pattern in patterns for path in self._root.glob(pattern) if path.is_dir()]

    def _beside(self, text: str) -> Iterator[Path]:
        """Yield where a path leads from the folders around."""
        for base in self._bases:
            yield base / text
            if not text.startswith("/"):
                yield base.parent / text

    def _first(self, paths: Iterator[Path]) -> Path | None:
        """Return the first path of a list, or of a folder with images, as items have it."""
        for path in paths:
            if _holds_images(path):
                if self._is_inside(path):
                    return self._root / os.path.relpath(path, self._root)
                return path
        return None

    def _is_inside(self, path: Path) -> bool:
        """Return whether a path is the data set's folder, or leads into it; links do not count."""
        root = os.path.join(os.path.abspath(self._root), "")
        return os.path.join(os.path.abspath(path), "").startswith(root)


def _plain(text: str) -> str:
    """Return a path with slashes, without a drive's letter."""
    return _DRIVE.sub("", text.strip().replace("\\", "/"))


def _parts(text: str) -> list[str]:
    """Return the names of a path, without what leads out of a folder, and without stray quotes."""
    plain = _plain(text).strip("'\"")
    return [part for part in plain.split("/") if part not in ("", ".", "..")]


def tails(text: str) -> list[str]:
    """Return a path, and what is left of it without its first names, one fewer each time."""
    parts = _parts(text)
    shorter = ["/".join(parts[number:]) for number in range(len(parts))]
    return list(dict.fromkeys([_plain(text), *shorter]))


def _names(split: str, parts: list[str]) -> list[str]:
    """Return what the folder of a split may be called."""
    own = [Path(part).stem for part in parts if part.lower() not in COMMON]
    usual = [key for key, name in SPLITS.items() if name == split]
    return list(dict.fromkeys([*own[-1:], *usual]))


def _other_case(base: Path, parts: list[str]) -> Path | None:
    """Return the path below a folder with these names, in whichever case; None for none."""
    path = base
    for part in parts:
        if not os.path.isdir(path):
            return None
        same = [name for name in sorted(os.listdir(path)) if name.lower() == part.lower()]
        if not same:
            return None
        path = path / same[0]
    return path


def _holds_images(path: Path) -> bool:
    """Return whether a path is a folder with images, or may be a list of them."""
    if os.path.isfile(path):
        return not image_lists.has_image_extension(path.name)
    return has_image(path)


def has_image(folder: Path) -> bool:
    """Return whether there is an image in a folder or below."""
    names = (name for _, _, names in os.walk(folder) for name in names)
    return any(map(image_lists.is_image, names))
