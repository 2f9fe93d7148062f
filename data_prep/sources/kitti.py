"""KITTI's object benchmark: a text file for each image, a line for each object."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from data_prep.sources import fields, image_finder, image_lists
from data_prep.sources.image_finder import IMAGES as IMAGES_OPTION
from data_prep.sources.kind import Kind, Option, register
from data_prep.sources.source import NO_ALIASES, Annotation, Item, Object, read_each
from ssd_common.errors import CaffeError, ParseError

FEW = 20  # text files that show what a folder is
DONT_CARE = "DontCare"
IMAGES = ("image_2", "images", "image_02")
LABELS = ("label_2", "labels", "label_02")
# Of a line, as an error names them.
WORDS = "type truncated occluded alpha left top right bottom, and 7 of the object in space"


class Level(NamedTuple):
    """A level of difficulty: the hardest objects that it includes.

    height: of a box, at least (pixels).
    occlusion: at most (0 fully visible, 1 partly occluded, 2 largely occluded, 3 unknown).
    truncation: at most (0 none to 1 all outside the image).
    """

    height: float
    occlusion: float
    truncation: float


# Source: the benchmark's development kit, readme and evaluate_object.cpp.
LEVELS = {
    "easy": Level(40, 0, 0.15),
    "moderate": Level(25, 1, 0.3),
    "hard": Level(25, 2, 0.5),
    "all": Level(0, float("inf"), float("inf")),
}


class Kitti:
    """A folder of KITTI's object benchmark.

    level: of LEVELS; objects beyond it are difficult.
    keep_dont_care: whether DontCare regions stay, as difficult objects.
    images: the folder with the images; None for the usual ones.
    Raises CaffeError where the folder, or its images or labels, are missing.
    """

    whole_pixels = False
    classes: list[str] | None = None
    aliases = NO_ALIASES

    def __init__(
        self,
        root: Path,
        level: str = "hard",
        keep_dont_care: bool = False,
        images: Path | str | None = None,
    ) -> None:
        if not root.is_dir():
            raise CaffeError(f"{root}: no such folder")
        self.root = root
        if (root / "training").is_dir():
            self.root = root / "training"
        self._level = LEVELS[level]
        self._keep_dont_care = keep_dont_care
        given = image_finder.folder_of_images(self.root, images)
        found = self._first(IMAGES)
        if given:
            found = image_lists.below(self.root, given)
        labels = self._first(LABELS)
        if not found or not labels:
            raise CaffeError(f"{self.root}: no folders {IMAGES[0]} and {LABELS[0]}")
        self._images = found
        self._labels = labels

    def _first(self, folders: tuple[str, ...]) -> str | None:
        """Return the first of these folders that exists."""
        for folder in folders:
            if (self.root / folder).is_dir():
                return folder
        return None

    def items(self) -> list[Item]:
        """Return an item for every text file, by name. Raises CaffeError where there is none."""
        folder = self.root / self._labels
        found = sorted(folder.glob("*.txt"))
        if not found:
            raise CaffeError(f"{folder}: no annotation (*.txt) there")
        return [self._item(path.stem) for path in found]

    def _item(self, name: str, place: str | None = None) -> Item:
        """Return the item of an image's number, or of its file's name."""
        stem = name
        if image_lists.has_image_extension(name):
            stem = Path(name).stem
        image = self._image(f"{self._images}/{stem}")
        return Item(image, f"{self._labels}/{stem}.txt", place)

    def _image(self, stem: str) -> str:
        """Return the image of a name without extension; a .png where there is none.

        Raises CaffeError where there are several.
        """
        image = image_lists.with_extension(self.root, stem)
        if (self.root / image).is_file():
            return image
        return f"{stem}.png"

    def _set_folders(self) -> list[Path]:
        return [self.root / "ImageSets", self.root.parent / "ImageSets"]

    def sets(self) -> list[str]:
        """Return names of the lists in ImageSets."""
        found: set[str] = set()
        for folder in self._set_folders():
            found.update(path.stem for path in folder.glob("*.txt"))
        return sorted(found)

    def read_list(self, name: str) -> list[Item]:
        """Return the items of a list: image numbers, or images with annotations.

        Raises CaffeError with file and line.
        """
        places = [Path(name), self.root / name]
        places += [folder / f"{name}.txt" for folder in self._set_folders()]
        path = image_lists.find(name, places, self.sets())
        return image_lists.read_items(path, self._item)

    def file(self, item: Item) -> str:
        """Return the text file of an item."""
        return str(self.root / item.annotation)

    def read(self, item: Item) -> Annotation:
        """Return the annotation of an image. Raises ParseError with file and line."""
        path = self.root / item.annotation
        lines = image_lists.read_lines(path, "a KITTI annotation")
        found = read_each(lambda line: _object(path, *line, self._level), lines)
        if not self._keep_dont_care:
            found = [kept for kept in found if kept.name != DONT_CARE]
        return Annotation(0, 0, found)


def _object(path: Path, number: int, line: str, level: Level) -> Object:
    """Return the object of a line. Raises ParseError."""
    words = line.split()
    if len(words) not in (15, 16):
        fault = f"{len(words)} words where 15 should be: {WORDS}"
        raise ParseError(str(path), fault, number)
    name, *rest = words
    try:
        name = fields.class_name(name)
        truncated, occluded, _, *box = map(fields.number, rest[:7])
    except ValueError as error:
        given = fields.excerpt(str(error))
        fault = f"{given}, where a number should be"
        raise ParseError(str(path), fault, number) from None
    small = box[3] - box[1] < level.height
    hidden = occluded > level.occlusion or truncated > level.truncation
    difficult = small or hidden or name == DONT_CARE
    return fields.make_object(name, difficult, box, number)


def _open(
    folder: Path,
    level: str = "hard",
    dont_care: str = "drop",
    images: Path | str | None = None,
) -> Kitti:
    """Return the data set in a folder.

    level: of LEVELS.
    dont_care: "drop" or "keep".
    images: as Kitti takes it.
    """
    return Kitti(folder, level, dont_care == "keep", images)


def _looks_like(path: Path) -> bool:
    """Return whether a folder has KITTI's folders, and objects in the first text files."""
    try:
        source = Kitti(path)
        return any(source.read(item).objects for item in source.items()[:FEW])
    except CaffeError:
        return False


KIND = Kind(
    name="kitti",
    position=5,
    title="a folder of KITTI's object benchmark",
    notes="""
DIR, or DIR/training, has image_2/000000.png and label_2/000000.txt. A LIST is a file of such
numbers, here or in DIR/ImageSets. Objects beyond the benchmark's --level of difficulty (box
height, occlusion, truncation) are difficult; DontCare regions are left out, or kept as difficult
objects of a class DontCare.
""",
    examples="""
data_prep kitti KITTI --train-list train --test-list val --classes Car,Cyclist --out data/kitti
data_prep kitti KITTI --level moderate --out data/kitti/train_lmdb
""",
    folder="folder with image_2 and label_2",
    open=_open,
    layout="""
DIR/training/label_2/000000.txt   Car 0.00 0 -1.58 587.0 173.3 614.1 200.1 1.65 1.67 3.64 …
DIR/training/image_2/000000.png
""",
    looks_like=_looks_like,
    options=(
        IMAGES_OPTION,
        Option(
            "level",
            "objects beyond it are difficult (default: hard)",
            choices=tuple(LEVELS),
            default="hard",
        ),
        Option(
            "dont_care",
            "what becomes of DontCare regions (default: drop)",
            choices=("drop", "keep"),
            default="drop",
        ),
    ),
)
register(KIND)
