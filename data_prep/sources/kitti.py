"""KITTI's object benchmark: a text file for each image, a line for each object."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from data_prep.images.encoding import IMAGE_NAMES
from data_prep.sources import image_lists
from data_prep.sources.kind import Kind, Option
from data_prep.sources.source import NO_ALIASES, Annotation, Item, Object, read_each
from ssd_common.errors import CaffeError, ParseError

DONT_CARE = "DontCare"
IMAGES, LABELS = ("image_2", "images", "image_02"), ("label_2", "labels", "label_02")


class Level(NamedTuple):
    """What a level of difficulty still takes in.

    height: of a box, in pixels, at least
    occlusion, truncation: at most
    """

    height: float
    occlusion: float
    truncation: float


# The benchmark's development kit, readme and evaluate_object.cpp.
LEVELS = {
    "easy": Level(40, 0, 0.15),
    "moderate": Level(25, 1, 0.3),
    "hard": Level(25, 2, 0.5),
    "all": Level(0, float("inf"), float("inf")),
}


class Kitti:
    """A folder of KITTI's object benchmark. level: of LEVELS, beyond which objects are difficult.

    Raises CaffeError where there is none.
    """

    whole_pixels = False
    classes: list[str] | None = None
    aliases = NO_ALIASES

    def __init__(self, root: Path, level: str = "hard", keep_dont_care: bool = False) -> None:
        if not root.is_dir():
            raise CaffeError(f"{root}: no such folder")
        inner = root / "training"
        self.root = inner if inner.is_dir() else root
        self._level, self._keep_dont_care = LEVELS[level], keep_dont_care
        self._images, self._labels = self._first(IMAGES), self._first(LABELS)
        if not self._images or not self._labels:
            raise CaffeError(f"{self.root}: no folders {IMAGES[0]} and {LABELS[0]}")

    def _first(self, folders: tuple[str, ...]) -> str | None:
        """The first of these folders that is there."""
        return next((folder for folder in folders if (self.root / folder).is_dir()), None)

    def items(self) -> list[Item]:
        """An item for every text file, by name. Raises CaffeError where there is none."""
        found = [p.stem for p in sorted((self.root / str(self._labels)).glob("*.txt"))]
        if not found:
            raise CaffeError(f"{self.root / str(self._labels)}: no annotation (*.txt) there")
        return [self._item(name) for name in found]

    def _item(self, name: str, place: str | None = None) -> Item:
        stem = Path(name).stem if Path(name).suffix.lower() in IMAGE_NAMES else name
        images = (f"{self._images}/{stem}{extension}" for extension in (".png", *IMAGE_NAMES))
        image = next((i for i in images if (self.root / i).is_file()), f"{self._images}/{stem}.png")
        return Item(image, f"{self._labels}/{stem}.txt", place)

    def _set_folders(self) -> list[Path]:
        return [self.root / "ImageSets", self.root.parent / "ImageSets"]

    def sets(self) -> list[str]:
        """Names of the lists in ImageSets."""
        return sorted({p.stem for folder in self._set_folders() for p in folder.glob("*.txt")})

    def read_list(self, name: str) -> list[Item]:
        """The items of a list: image numbers, or images with annotations.

        Raises CaffeError with file and line.
        """
        places = (Path(name), self.root / name, *(f / f"{name}.txt" for f in self._set_folders()))
        path = image_lists.find(name, places, self.sets())
        return image_lists.read_items(path, self._item)

    def file(self, item: Item) -> str:
        """The text file of an item."""
        return str(self.root / item.annotation)

    def read(self, item: Item) -> Annotation:
        """The annotation of an image. Raises ParseError with file and line."""
        path = self.root / item.annotation
        lines = image_lists.read_lines(path, "a KITTI annotation")
        found = read_each(lambda line: _object(path, line[0], line[1].split(), self._level), lines)
        return Annotation(0, 0, [o for o in found if self._keep_dont_care or o.name != DONT_CARE])


def _object(path: Path, line: int, words: list[str], level: Level) -> Object:
    if len(words) not in (15, 16):
        fields = "type truncated occluded alpha left top right bottom, and 7 of the object in space"
        raise ParseError(str(path), f"{len(words)} words where 15 should be: {fields}", line)
    name, *rest = words
    try:
        name = image_lists.class_name(name)
        truncated, occluded, _, *box = (image_lists.number(w) for w in rest[:7])
    except ValueError as error:
        raise ParseError(str(path), f"{image_lists.shown(str(error))}, where a number should be", line) from None
    beyond = box[3] - box[1] < level.height or occluded > level.occlusion or truncated > level.truncation
    return image_lists.placed(name, beyond or name == DONT_CARE, box, line)


def _open(folder: Path, level: str = "hard", dont_care: str = "drop") -> Kitti:
    """The data set in a folder. level: of LEVELS; dont_care: "drop" or "keep"."""
    return Kitti(folder, level, keep_dont_care=dont_care == "keep")


KIND = Kind(
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
    options=(
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
