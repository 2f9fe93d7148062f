"""Data sets that keep the annotations of many images in one file, a file for each split."""

from __future__ import annotations

from collections.abc import Container, Mapping
from itertools import islice
from pathlib import Path

from data_prep.sources import image_lists
from data_prep.sources.source import Finding, Item
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

# As in train/_annotations.csv and valid/_annotations.coco.json, beside the images.
ROBOFLOW = "_annotations"
# Folders of annotation files beside a folder of images, in small letters.
USUAL = ("annotations", "annotation", "anns", "ann")


class Bundle:
    """A folder with annotation files, or one such file.

    Items carry their annotations, so that only this process reads the files. An item's annotation
    is FILE or FILE#IMAGE, relative to the root.

    suffixes: of annotation files.
    patterns: where in the folder annotation files lie, beside the usual places.
    splits: name to choices; the files of one choice together make up the split.
    Raises CaffeError where there is neither folder nor file.
    """

    whole_pixels = False
    suffixes: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    splits: Mapping[str, list[list[str]]] = {}

    def __init__(self, root: Path) -> None:
        self._only: Path | None = None
        if root.is_file():
            self._only = root
            root = root.parent
            if root.name.lower() in USUAL:
                root = root.parent
        if not root.is_dir():
            raise CaffeError(f"{root}: no such folder or file")
        self.root = root
        # What a report shall say, by the file that it is about.
        self._findings: dict[str, list[Finding]] = {}

    @property
    def findings(self) -> list[Finding]:
        """What a report shall say of the files read so far."""
        return [one for found in self._findings.values() for one in found]

    def load(self, path: Path) -> list[Item]:
        """Return the items of one annotation file."""
        raise NotImplementedError

    def split_of(self, path: Path) -> str:
        """Return the name that users have for an annotation file.

        It is the folder's for _annotations.*, and for files that the patterns find.
        """
        if path.name.startswith(ROBOFLOW):
            return path.parent.name
        folder = path.parent
        is_inner = folder != self.root and folder.is_relative_to(self.root)
        is_usual = folder.name.lower() in USUAL
        if is_inner and not is_usual and any(map(path.match, self.patterns)):
            return self.below(folder)
        return path.stem

    def candidates(self) -> list[Path]:
        """Return the annotation files of the folder."""
        found: list[Path] = []
        for name in ("", *USUAL, "Annotations"):
            folder = self.root / name
            if folder.is_dir():
                found += sorted(folder.iterdir())
        for pattern in (f"*/{ROBOFLOW}.*", *self.patterns):
            found += sorted(self.root.glob(pattern))
        shown = [path for path in dict.fromkeys(found) if path.name[0] != "."]
        return [path for path in shown if self._fits(path)]

    def _fits(self, path: Path) -> bool:
        """Return whether a file has an annotation file's suffix."""
        return path.suffix.lower() in self.suffixes

    def preferred(self, paths: list[Path]) -> list[Path]:
        """Return those of the files of one split that count."""
        return paths

    def files(self) -> dict[str, Path]:
        """Return the annotation files by the names of their splits; by paths where they clash."""
        if self._only:
            return {self.split_of(self._only): self._only}
        by_split: dict[str, list[Path]] = {}
        for path in self.candidates():
            by_split.setdefault(self.split_of(path), []).append(path)
        found = {}
        for split, paths in by_split.items():
            first, *others = self.preferred(paths)
            if not others:
                found[split] = first
                continue
            for path in (first, *others):
                found[self.below(path)] = path
        return found

    @property
    def own_files(self) -> dict[Path, str]:
        """The annotation files that the folder has, by a link perhaps, and what that means."""
        if self._only:
            return {}
        return dict.fromkeys(self.candidates(), "a link of the data set leads there")

    def sets(self) -> list[str]:
        """Return names of the annotation files, and of the splits that several make up.

        Empty for a single file.
        """
        files = self.files()
        if len(files) < 2:
            return []
        made_up = [name for name in self.splits if self._parts(name, files)]
        return sorted(files) + made_up

    def _parts(self, name: str, files: Container[str]) -> list[str] | None:
        """Return the files of a split, or the file of that name; None if any is missing."""
        for names in self.splits.get(name, [[name]]):
            if all(part in files for part in names):
                return names
        return None

    def items(self) -> list[Item]:
        """Return the images of the only annotation file.

        Raises CaffeError where there is none, or several.
        """
        files = self.files()
        if not files:
            raise self._nothing()
        if len(files) > 1:
            names = ", ".join(self.sets())
            fault = "several annotation files; choose with --list"
            raise CaffeError(f"{self.root}: {fault}: {names}")
        [path] = files.values()
        return self.load(path)

    def _nothing(self) -> CaffeError:
        """Return the error of a folder without annotation files."""
        wanted = ", ".join(f"*{suffix}" for suffix in self.suffixes)
        fault = f"no annotation file ({wanted}) there or in its folder 'annotations'"
        return CaffeError(f"{self.root}: {fault}")

    def read_list(self, name: str) -> list[Item]:
        """Return the images of an annotation file, of a split of several, or of a text file.

        A line of a text file is an image: its file name, its name without extension, or its id.

        Raises CaffeError where no such file exists, or a line names no known image.
        """
        files = self.files()
        names = self._parts(name, files)
        if names:
            return [item for part in names for item in self.load(files[part])]
        if name in self.splits and files:
            choices = [" and ".join(parts) for parts in self.splits[name]]
            needed = ", or ".join(choices)
            known = ", ".join(sorted(files))
            raise CaffeError(f"{self.root}: {name} is {needed}, but there is {known}")
        own = self.root / "ImageSets" / f"{name}.txt"
        places = (Path(name), self.root / name, own, *self._named(name))
        if not files and not any(path.is_file() for path in places):
            raise self._nothing()
        path = image_lists.find(name, places, self.sets() or sorted(files))
        if self._fits(path):
            return self.load(path)
        return self._listed(path)

    def _named(self, name: str) -> list[Path]:
        """Return the only annotation file of this name, with or without its suffix, if any."""
        every = self.candidates()
        if self._only:
            every = [self._only]
        found = [path for path in every if name in (path.name, path.stem)]
        if len(found) > 1:
            return []
        return found

    def _listed(self, path: Path) -> list[Item]:
        """Return the images that a text file names."""
        lines = self.lines(path)
        known, several = self._by_name(self._files_named(lines))
        items = []
        for place, (image, *_) in lines:
            if image not in known:
                near = suggest(image, islice(known, 4000))
                fault = f"no image '{image}' in the annotation files{near}"
                raise CaffeError(f"{place}: {fault}")
            items.append(known[image]._replace(place=place))
        found = [item for item in items if item.image in several]
        if found:
            self._findings[str(path)] = [_in_several(found, several)]
        return items

    def lines(self, path: Path) -> list[tuple[str, list[str]]]:
        """Return the place and the words of each line of a list. Raises CaffeError."""
        return image_lists.read_list(path)

    def _files_named(self, lines: list[tuple[str, list[str]]]) -> list[Path]:
        """Return the annotation files that a list names; all of the folder if any is missing."""
        annotations = [words[1] for _, words in lines if len(words) == 2]
        names = {annotation.partition("#")[0] for annotation in annotations}
        paths = [self.root / name for name in sorted(names)]
        if paths and all(path.is_file() for path in paths):
            return paths
        return list(self.files().values())

    def _by_name(self, files: list[Path]) -> tuple[dict[str, Item], dict[str, str]]:
        """Return the items of files by every name that a list may use; the first counts.

        Returns also the second file of each image that several files have.
        """
        known: dict[str, Item] = {}
        several: dict[str, str] = {}
        for file in files:
            name = self.below(file)
            for item in self.load(file):
                image = Path(item.image)
                first = known.get(item.image)
                if first and first.annotation.partition("#")[0] != name:
                    several.setdefault(item.image, name)
                for key in (item.name, image.stem, image.name, item.image):
                    known.setdefault(key or item.image, item)
        return known, several

    def file(self, item: Item) -> str:
        """Return the annotation file that an item is from."""
        return str(self.root / item.annotation)

    def below(self, path: Path) -> str:
        """Return a path as items have it: relative to the root where it lies below it."""
        return image_lists.below(self.root, path)


def _in_several(items: list[Item], second: Mapping[str, str]) -> Finding:
    """Say which images of a list have annotations in several files, of which the first counts.

    second: the second file, by image.
    """
    first = items[0]
    counts = first.annotation.partition("#")[0]
    those = f"{first.image} is in {counts}, which counts, and in {second[first.image]}"
    if len(items) > 1:
        those += f"; {len(items) - 1} more images are in several files"
    return Finding("in-several", first.place or counts, those)
