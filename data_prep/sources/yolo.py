"""YOLO: a text file for each image, a line for each box.

A line has class number, centre and sides, in fractions of the image.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from data_prep.sources import fields, image_lists, yolo_names
from data_prep.sources.kind import Kind, Option, register
from data_prep.sources.source import NO_ALIASES, Annotation, Item, Remark, read_each
from ssd_common.errors import CaffeError, ParseError

# Rounding alone takes no fraction above this.
FAR = 1.5
# What a line is by the count of its numbers after the class; with any other, an outline.
SHAPES = {4: "", 8: "turned box"}


class Yolo:
    """A folder of images with YOLO's text files.

    names_file: a file of class names; None for the folder's own.
    Raises CaffeError where the folder or its class names are missing.
    """

    whole_pixels = False
    aliases = NO_ALIASES

    def __init__(self, root: Path, names_file: Path | None = None) -> None:
        self.root = root
        if not root.is_dir():
            raise CaffeError(f"{root}: no such folder")
        self._names = yolo_names.read(root, names_file)
        self._names_given = names_file is not None

    @property
    def own_files(self) -> dict[Path, str]:
        """The file of class names that the folder itself has or names, and what it is for."""
        if self._names_given:
            return {}
        reason = "the data set names it for its classes: --names takes it, --confine does not"
        return {self._names.file: reason}

    @property
    def classes(self) -> list[str]:
        """Names of classes by their numbers, from 0."""
        return self._names.classes

    def items(self) -> list[Item]:
        """Return an item for every image, by name. Raises CaffeError where there is none."""
        folder = self.root / "images"
        if not folder.is_dir():
            folder = self.root
        return self._items_in(folder)

    def _items_in(self, folder: Path) -> list[Item]:
        """Return an item for every image of a folder and below. Raises CaffeError without any."""
        found = image_lists.images_below(folder)
        if not found:
            raise CaffeError(f"{folder}: no image there")
        return [self._item(self._relative(path)) for path in found]

    def sets(self) -> list[str]:
        """Return names of the splits in data.yaml or obj.data, and of folders with images."""
        found = set(self._names.sets)
        for path in (self.root / "images").glob("*"):
            if path.is_dir():
                found.add(path.name)
        for path in self.root.glob("*/images"):
            found.add(path.parent.name)
        return sorted(found)

    def read_list(self, name: str) -> list[Item]:
        """Return the items of a split, a folder or a file of image paths.

        Raises CaffeError with file and line.
        """
        split = yolo_names.SPLITS.get(name, name)
        items = []
        for place in self._names.sets.get(split, ()):
            items += self._below(self._names.folder, place)
        if items:
            return items
        for folder in (f"images/{name}", f"{name}/images"):
            if (self.root / folder).is_dir():
                return self._below(self.root, folder)
        places = (Path(name), self.root / name)
        path = image_lists.find(name, places, self.sets())
        return self._listed(path)

    def _below(self, folder: Path, place: str) -> list[Item]:
        """Return the items of a folder of images or of a list, as data.yaml names them.

        place: relative to the folder, or to the data set's.
        """
        bare = place.removeprefix("./")
        # Roboflow's ../train/images lies beside data.yaml.
        while bare.startswith("../"):
            bare = bare[3:]
        for path in (folder / place, self.root / place, folder / bare, self.root / bare):
            if os.path.isdir(path):
                return self._items_in(path)
            if os.path.isfile(path):
                return self._listed(path)
        given = fields.excerpt(place)
        raise CaffeError(f"{self._names.file}: no folder or list '{given}'")

    def _listed(self, path: Path) -> list[Item]:
        """Return the items of a file of image paths."""
        items = []
        for place, words in image_lists.read_list(path):
            image = words[0].removeprefix("./")
            item = self._item(self._find_image(image, path.parent))
            item = item._replace(place=place)
            if len(words) == 2:
                item = item._replace(annotation=words[1])
            items.append(item)
        return items

    def _find_image(self, image: str, folder: Path) -> str:
        """Find an image that a list names: from the root, the list's folder or images."""
        for path in (self.root, folder, self.root / "images"):
            if (path / image).is_file():
                return self._relative(path / image)
        return self._relative(self.root / image)

    def _relative(self, path: Path) -> str:
        return image_lists.below(self.root, path)

    @staticmethod
    def _item(image: str) -> Item:
        """Return the item of an image, whose text file is beside it or in `labels`.

        Beside images/a.jpg is images/a.txt, or labels/a.txt as darknet and Ultralytics have it: the
        last `images` of a path counts.
        """
        labels = image
        head, middle, tail = f"/{image}".rpartition("/images/")
        if middle:
            labels = f"{head}/labels/{tail}"
            if not image.startswith("/"):
                labels = labels[1:]
        return Item(image, Path(labels).with_suffix(".txt").as_posix())

    def file(self, item: Item) -> str:
        """Return the text file of an item."""
        return str(self._label_file(item))

    def _label_file(self, item: Item) -> Path:
        """Return the text file of an item: beside its image only where there is no other."""
        path = self.root / item.annotation
        beside = (self.root / item.image).with_suffix(".txt")
        if beside.is_file() and not path.is_file():
            return beside
        return path

    def read(self, item: Item) -> Annotation:
        """Return the annotation of an image; no objects where it has no text file.

        Raises ParseError with file and line.
        """
        path = self._label_file(item)
        if not path.is_file():
            return Annotation(0, 0, [])
        lines = image_lists.read_lines(path, "a YOLO text file")
        found = read_each(lambda line: self._box(path, *line), lines)
        if not found:
            return Annotation(0, 0, [])
        width, height = image_lists.size_of(self.root / item.image)
        if not width or not height:
            return Annotation(0, 0, [])
        objects = []
        remarks = []
        for number, name, box, kind in found:
            corners = fields.to_pixels(box, (width, height))
            objects.append(fields.make_object(name, False, corners, number))
            if kind:
                message = f"{kind}: the box around it is taken"
                remarks.append(Remark("enclosed", number, message, kind, name))
        return Annotation(width, height, objects, tuple(remarks))

    def has_numbers(self, item: Item) -> bool:
        """Return whether an item's text file begins with five numbers or more."""
        path = self._label_file(item)
        if not path.is_file():
            return False
        _, first = next(image_lists.read_lines(path, "a YOLO text file"), (0, ""))
        words = first.split()
        return len(words) >= 5 and all(map(fields.is_number, words))

    def _box(self, path: Path, number: int, line: str) -> tuple[int, str, list[float], str]:
        """Return number, class, corners (fractions) and shape of a line. Raises ParseError.

        The shape is "" for an upright box.
        """
        try:
            index, *numbers = map(fields.number, line.split())
        except ValueError:
            given = fields.excerpt(" ".join(line.split()))
            wanted = "'class x y width height' should be, all numbers"
            fault = f"'{given}' where {wanted}"
            raise ParseError(str(path), fault, number) from None
        fault = self._fault(index, numbers)
        if fault:
            raise ParseError(str(path), fault, number)
        kind = SHAPES.get(len(numbers), "outline")
        return number, self.classes[int(index)], _corners(numbers), kind

    def _fault(self, index: float, numbers: Sequence[float]) -> str:
        """Return what is wrong with the numbers of a line; "" for nothing."""
        if len(numbers) == 5:
            return "a class and 5 numbers where 4 should be (is this a file of detections?)"
        if len(numbers) != 4 and (len(numbers) < 6 or len(numbers) % 2):
            return f"a class and {len(numbers)} numbers where 4 should be: x y width height"
        count = len(self.classes)
        if not isinstance(index, int) or not 0 <= index < count:
            file = self._names.file
            known = f"the {count} names of {file} go from 0 to {count - 1}"
            return f"class {index}, but {known}"
        for x in numbers:
            if abs(x) > FAR:
                wanted = "YOLO has x, y, width and height from 0 to 1"
                return f"{x} is no fraction of the image ({wanted})"
        return ""


def _corners(numbers: list[float]) -> list[float]:
    """Return the corners of a box by centre and sides, or around an outline (fractions)."""
    if len(numbers) > 4:
        across = numbers[::2]
        down = numbers[1::2]
        return [min(across), min(down), max(across), max(down)]
    x, y, width, height = numbers
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def _open(folder: Path, names: Path | str | None = None) -> Yolo:
    """Return the data set in a folder.

    names: a file of class names; None for the folder's own.
    """
    if names:
        return Yolo(folder, Path(names))
    return Yolo(folder)


def _looks_like(path: Path) -> bool:
    """Return whether a folder has class names, and images with text files of numbers."""
    try:
        source = Yolo(path)
        return any(map(source.has_numbers, source.items()))
    except CaffeError:
        return False


KIND = Kind(
    name="yolo",
    position=4,
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
    layout="""
DIR/data.yaml          names: [person, car]   (or classes.txt, obj.names)
DIR/labels/train/a.txt 1 0.5 0.5 0.2 0.3      (or four corners, or an outline)
DIR/images/train/a.jpg
""",
    looks_like=_looks_like,
    options=(
        Option(
            "names",
            "class names (default: data.yaml, obj.names or classes.txt in DIR)",
            type=Path,
            metavar="FILE",
        ),
    ),
)
register(KIND)
