"""YOLO: a text file for each image, a line for each box.

A line has class number, centre and sides, in fractions of the image.
"""

from __future__ import annotations

import os
from pathlib import Path

from data_prep.sources import image_lists, yolo_names
from data_prep.sources.kind import Kind, Option
from data_prep.sources.source import NO_ALIASES, Annotation, Item, read_each
from ssd_common.errors import CaffeError, ParseError

FAR = 1.5  # beyond it a number is no fraction that got out of hand, but something else


class Yolo:
    """A folder of images with YOLO's text files. classes: in the order of their numbers.

    Raises CaffeError where there are none.
    """

    whole_pixels = False
    aliases = NO_ALIASES

    def __init__(self, root: Path, names_file: Path | None = None) -> None:
        self.root = root
        if not root.is_dir():
            raise CaffeError(f"{root}: no such folder")
        self._names = yolo_names.read(root, names_file)

    @property
    def classes(self) -> list[str]:
        """Names of classes by their numbers, from 0."""
        return self._names.classes

    def items(self) -> list[Item]:
        """An item for every image, by name. Raises CaffeError where there is none."""
        folder = self.root / "images"
        if not folder.is_dir():
            folder = self.root
        found = image_lists.images_below(folder)
        if not found:
            raise CaffeError(f"{folder}: no image there")
        return [self._item(p.relative_to(self.root).as_posix()) for p in found]

    def sets(self) -> list[str]:
        """Names of the splits in data.yaml or obj.data, and of folders with images."""
        inner = {p.name for p in (self.root / "images").glob("*") if p.is_dir()} | {p.parent.name for p in self.root.glob("*/images")}
        return sorted({*self._names.sets, *inner})

    def read_list(self, name: str) -> list[Item]:
        """The items of a split, a folder or a file of image paths.

        Raises CaffeError with file and line.
        """
        if places := self._names.sets.get(yolo_names.SPLITS.get(name, name)):
            return [item for place in places for item in self._below(self._names.folder, place)]
        for folder in (f"images/{name}", f"{name}/images"):
            if (self.root / folder).is_dir():
                return self._below(self.root, folder)
        return self._listed(image_lists.find(name, (Path(name), self.root / name), self.sets()))

    def _below(self, folder: Path, place: str) -> list[Item]:
        """The items of a folder of images or of a list, as data.yaml names them.

        place: relative to the folder, or to the data set's
        """
        bare = place.removeprefix("./")
        while bare.startswith("../"):  # Roboflow's ../train/images lies beside data.yaml
            bare = bare[3:]
        for path in (folder / place, self.root / place, folder / bare, self.root / bare):
            if os.path.isdir(path):
                if found := image_lists.images_below(path):
                    return [self._item(self._relative(p)) for p in found]
                raise CaffeError(f"{path}: no image there")
            if os.path.isfile(path):
                return self._listed(path)
        raise CaffeError(f"{self._names.file}: no folder or list '{image_lists.shown(place)}'")

    def _listed(self, path: Path) -> list[Item]:
        items = []
        for place, words in image_lists.read_list(path):
            image = words[0].removeprefix("./")
            places = (self.root / image, path.parent / image, self.root / "images" / image)
            near = next((p for p in places if p.is_file()), places[0])
            item = self._item(self._relative(near))._replace(place=place)
            if len(words) == 2:
                item = item._replace(annotation=words[1])
            items.append(item)
        return items

    def _relative(self, path: Path) -> str:
        return image_lists.below(self.root, path)

    @staticmethod
    def _item(image: str) -> Item:
        """The item of an image, whose text file is beside it or in `labels`.

        Beside images/a.jpg is images/a.txt, or labels/a.txt as darknet and Ultralytics have it: the
        last `images` of a path counts.
        """
        head, middle, tail = f"/{image}".rpartition("/images/")
        labels = f"{head}/labels/{tail}" if middle else f"/{image}"
        if not image.startswith("/") or not middle:
            labels = labels[1:]
        return Item(image, Path(labels).with_suffix(".txt").as_posix())

    def file(self, item: Item) -> str:
        """The text file of an item."""
        return str(self._label_file(item))

    def _label_file(self, item: Item) -> Path:
        beside = (self.root / item.image).with_suffix(".txt")
        path = self.root / item.annotation
        return beside if beside.is_file() and not path.is_file() else path

    def read(self, item: Item) -> Annotation:
        """The annotation of an image; no objects where it has no text file.

        Raises ParseError with file and line.
        """
        path = self._label_file(item)
        if not path.is_file():
            return Annotation(0, 0, [])
        lines = image_lists.read_lines(path, "a YOLO text file")
        found = read_each(lambda line: (line[0], *self._box(path, line[0], line[1].split())), lines)
        if not found:
            return Annotation(0, 0, [])
        size = image_lists.size_of(self.root / item.image)
        if not all(size):
            return Annotation(0, 0, [])
        return Annotation(*size, [image_lists.placed(name, False, image_lists.scaled(box, size), line) for line, name, box in found])

    def _box(self, path: Path, line: int, words: list[str]) -> tuple[str, list[float]]:
        """Class and corners, in fractions, of a line. Raises ParseError."""
        try:
            index, *numbers = (image_lists.number(w) for w in words)
        except ValueError:
            given = image_lists.shown(" ".join(words))
            said = f"'{given}' where 'class x y width height' should be, all numbers"
            raise ParseError(str(path), said, line) from None
        if len(numbers) == 5:
            raise ParseError(str(path), "a class and 5 numbers where 4 should be (is this a file of detections?)", line)
        if len(numbers) != 4 and (len(numbers) < 6 or len(numbers) % 2):
            raise ParseError(str(path), f"a class and {len(numbers)} numbers where 4 should be: x y width height", line)
        if not isinstance(index, int) or not 0 <= index < len(self.classes):
            count = len(self.classes)
            known = f"the {count} names of {self._names.file} go from 0 to {count - 1}"
            raise ParseError(str(path), f"class {index}, but {known}", line)
        if worst := next((x for x in numbers if abs(x) > FAR), None):
            wanted = "YOLO has x, y, width and height from 0 to 1"
            raise ParseError(str(path), f"{worst} is no fraction of the image ({wanted})", line)
        return self.classes[index], _corners(numbers)


def _corners(numbers: list[float]) -> list[float]:
    if len(numbers) > 4:
        return [min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])]
    x, y, width, height = numbers
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def _open(folder: Path, names: Path | str | None = None) -> Yolo:
    """The data set in a folder. names: a file of class names, None for the folder's own."""
    return Yolo(folder, Path(names) if names else None)


KIND = Kind(
    title="a folder of YOLO text files",
    notes="""
DIR has images/…/NAME.jpg and labels/…/NAME.txt, or both side by side. Class names come from
data.yaml, obj.data, obj.names or classes.txt, or from --names. A LIST is train, val or test of
data.yaml or obj.data, a folder images/LIST or LIST/images, or a file of image paths. An image
without a text file has no objects. A line of more than five numbers is an outline; its box is
taken.
""",
    examples="""
data_prep yolo PHOTOS --test-share 0.2 --out data/mine
data_prep yolo PHOTOS --train-list train --test-list val --out data/mine
data_prep yolo PHOTOS --names coco.names --out data/mine/train_lmdb
""",
    folder="folder with images and their text files",
    open=_open,
    options=(
        Option(
            "names",
            "class names (default: data.yaml, obj.names or classes.txt in DIR)",
            type=Path,
            metavar="FILE",
        ),
    ),
)
