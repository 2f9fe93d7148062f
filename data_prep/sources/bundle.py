"""Data sets that keep the annotations of many images in one file, a file for each split."""

from __future__ import annotations

from collections.abc import Container, Mapping
from itertools import islice
from pathlib import Path

from data_prep.sources import image_lists
from data_prep.sources.source import Item
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

ROBOFLOW = "_annotations"  # train/_annotations.csv, valid/_annotations.coco.json, beside the images


class Bundle:
    """A folder with annotation files, or one such file.

    Items carry their annotations, so that only this process reads the files.

    An item's annotation is FILE or FILE#IMAGE, relative to the root.
    Raises CaffeError where there is neither folder nor file.
    """

    whole_pixels = False
    suffixes: tuple[str, ...] = ()
    splits: Mapping[str, list[list[str]]] = {}  # name -> choices of files that make it up together

    def __init__(self, root: Path) -> None:
        self._only = root if root.is_file() else None
        if self._only:
            root = root.parent
            if root.name.lower() == "annotations":
                root = root.parent
        if not root.is_dir():
            raise CaffeError(f"{root}: no such folder or file")
        self.root = root

    def load(self, path: Path) -> list[Item]:
        """The items of one annotation file."""
        raise NotImplementedError

    def split_of(self, path: Path) -> str:
        """The name by which users call an annotation file."""
        return path.parent.name if path.name.startswith(ROBOFLOW) else path.stem

    def candidates(self) -> list[Path]:
        """The annotation files of the folder."""
        folders = (self.root, self.root / "annotations", self.root / "Annotations")
        found = [p for f in folders if f.is_dir() for p in sorted(f.iterdir())]
        found += sorted(self.root.glob(f"*/{ROBOFLOW}.*"))
        return [p for p in found if p.suffix.lower() in self.suffixes and p.name[0] != "."]

    def files(self) -> dict[str, Path]:
        """Annotation files by name."""
        found = [self._only] if self._only else self.candidates()
        return {self.split_of(p): p for p in found}

    def sets(self) -> list[str]:
        """Names of the annotation files and of splits made up of several; none for a single one."""
        files = self.files()
        if len(files) < 2:
            return []
        return sorted(files) + [name for name in self.splits if self._parts(name, files)]

    def _parts(self, name: str, files: Container[str]) -> list[str] | None:
        """The files that make up a split, or the one of that name; None if not all are there."""
        for names in self.splits.get(name, [[name]]):
            if all(n in files for n in names):
                return names
        return None

    def items(self) -> list[Item]:
        """The images of the only annotation file.

        Raises CaffeError where there is none, or several.
        """
        files = self.files()
        if not files:
            raise self._nothing()
        if len(files) > 1:
            names = ", ".join(self.sets())
            raise CaffeError(f"{self.root}: several annotation files; choose with --list: {names}")
        return self.load(next(iter(files.values())))

    def _nothing(self) -> CaffeError:
        wanted = ", ".join(f"*{suffix}" for suffix in self.suffixes)
        said = f"no annotation file ({wanted}) there or in its folder 'annotations'"
        return CaffeError(f"{self.root}: {said}")

    def read_list(self, name: str) -> list[Item]:
        """The images of an annotation file, of a split made up of several, or of a text file.

        A line of a text file is an image: its file name, its name without extension, or its id.
        """
        files = self.files()
        if names := self._parts(name, files):
            return [item for n in names for item in self.load(files[n])]
        if name in self.splits and files:
            needed = ", or ".join(" and ".join(names) for names in self.splits[name])
            raise CaffeError(f"{self.root}: {name} is {needed}, but there is {', '.join(sorted(files))}")
        if not files and not Path(name).is_file():
            raise self._nothing()
        path = image_lists.find(name, (Path(name), self.root / name, self.root / "ImageSets" / f"{name}.txt"), self.sets() or sorted(files))
        return self.load(path) if path.suffix.lower() in self.suffixes else self._listed(path)

    def _listed(self, path: Path) -> list[Item]:
        lines = image_lists.read_list(path)
        named = {words[1].partition("#")[0] for _, words in lines if len(words) == 2}
        all_named = bool(named) and all((self.root / n).is_file() for n in named)
        known: dict[str, Item] = {}
        files = [self.root / n for n in sorted(named)] if all_named else self.files().values()
        for file in files:
            for item in self.load(file):
                for key in (item.name, Path(item.image).stem, Path(item.image).name, item.image):
                    known.setdefault(key or item.image, item)
        items = []
        for place, (image, *_) in lines:
            if image not in known:
                near = suggest(image, islice(known, 4000))
                raise CaffeError(f"{place}: no image '{image}' in the annotation files{near}")
            items.append(known[image]._replace(place=place))
        return items

    def file(self, item: Item) -> str:
        """The annotation file that an item is from."""
        return str(self.root / item.annotation)

    def below(self, path: Path) -> str:
        """A path as items have it: relative to the root where it lies below it."""
        return image_lists.below(self.root, path)
