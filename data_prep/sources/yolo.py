"""YOLO: a text file for each image, a line for each box.

A line has class number, centre and sides, in fractions of the image.
"""

from __future__ import annotations

from pathlib import Path

from data_prep.sources import fields, image_finder, image_lists, yolo_lines, yolo_names, yolo_splits
from data_prep.sources.image_finder import IMAGES
from data_prep.sources.kind import Kind, Option, register
from data_prep.sources.source import NO_ALIASES, Annotation, Finding, Item, read_each
from data_prep.sources.yolo_labels import Labels, has_numbers
from data_prep.sources.yolo_lines import LineReader
from data_prep.sources.yolo_lists import Lists
from data_prep.sources.yolo_places import Places, has_image
from data_prep.sources.yolo_splits import SPLITS
from ssd_common.errors import CaffeError, ParseError

# Files that users may name in place of their folder.
FILES = (".yaml", ".yml", ".data", ".names")


class Yolo:
    """A folder of images with YOLO's text files.

    names_file: a file of class names; None for the folder's own.
    images: the folder with the images, or with one for each split; None for the usual ones.
    Raises CaffeError where the folder or its class names are missing.
    """

    whole_pixels = False
    aliases = NO_ALIASES

    def __init__(
        self,
        root: Path,
        names_file: Path | None = None,
        images: Path | str | None = None,
    ) -> None:
        self.root = root
        if not root.is_dir():
            raise CaffeError(f"{root}: no such folder")
        self._images = image_finder.folder_of_images(root, images)
        self._names = yolo_names.read(root, names_file)
        self._names_given = names_file is not None
        splits = self._names.splits
        self._lines = LineReader(self._names.classes, self._names.file, splits.pose)
        self._places = Places(root, splits)
        self._lists = Lists(root, self._images or splits.folder)
        self._labels = Labels(root, self._images)
        self._moved: list[Finding] = []

    def __getstate__(self) -> dict[str, object]:
        """Return everything but what was found, which other processes do not need."""
        return {**vars(self), "_moved": []}

    @property
    def own_files(self) -> dict[Path, str]:
        """The files of class names and images that the folder has or names, and what each is."""
        found = {}
        if not self._names_given:
            reason = "the data set names it for its classes: --names takes it, --confine does not"
            found[self._names.file] = reason
        for places in self._places.found.values():
            for place in places:
                if place.path and place.path.is_file():
                    found[place.path] = "the data set names it as a list"
        return found

    @property
    def classes(self) -> list[str]:
        """Names of classes by their numbers, from 0."""
        return self._names.classes

    def items(self) -> list[Item]:
        """Return an item for every image, by name. Raises CaffeError where there is none."""
        folder = self._images or self.root / "images"
        if not folder.is_dir():
            folder = self.root
        items = self._items_in(folder)
        self._labels.add_all()
        return items

    def _items_in(self, folder: Path) -> list[Item]:
        """Return an item for every image of a folder and below. Raises CaffeError without any."""
        found = image_lists.images_below(folder)
        if not found:
            raise CaffeError(f"{folder}: no image there")
        return [self._item(image_lists.below(self.root, path)) for path in found]

    def sets(self) -> list[str]:
        """Return names of the splits in data.yaml or obj.data, and of folders with images."""
        found = set()
        for split, places in self._places.found.items():
            if all(place.path for place in places):
                found.add(split)
        folders = {path: path.name for path in (self.root / "images").glob("*/")}
        folders |= {path: path.parent.name for path in self.root.glob("*/images")}
        for path, name in folders.items():
            # A folder `valid` is the split `val`.
            if SPLITS.get(name) not in found and has_image(path):
                found.add(name)
        return sorted(found)

    def read_list(self, name: str) -> list[Item]:
        """Return the items of a split, a folder or a file of image paths.

        Raises CaffeError with file and line.
        """
        split = SPLITS.get(name, name)
        for known in (name, split):
            if self._images and has_image(self._images / known):
                return self._items_in(self._images / known)
        if split in self._places.found:
            return self._items_of(split)
        same = [key for key, known in SPLITS.items() if known == split and key != name]
        for known in (name, *same):
            for folder in (f"images/{known}", f"{known}/images", known):
                if has_image(self.root / folder):
                    return self._items_in(self.root / folder)
        own = [f"{inner}{known}.txt" for known in (name, *same) for inner in ("", "data/")]
        places = [Path(name), *(self.root / file for file in (name, *own))]
        path = image_lists.find(name, places, self.sets())
        return self._listed(path)

    def _items_of(self, split: str) -> list[Item]:
        """Return the items of a split that data.yaml or obj.data names."""
        file = self._names.splits.file
        items = []
        for given, path, moved in self._places.found[split]:
            text = fields.excerpt(given.text)
            if path is None:
                others = ", ".join(self.sets())
                fault = f"{split}: no folder with images and no list '{text}' in {self.root}"
                if others:
                    fault += f"; it has {others}"
                raise ParseError(str(file), fault, given.line)
            if moved:
                where = image_lists.below(self.root, path)
                message = f"{split}: '{text}' is taken to be {where}"
                self._moved.append(Finding("moved", f"{file}:{given.line}", message))
            if path.is_dir():
                items += self._items_in(path)
            else:
                items += self._listed(path)
        return items

    def _listed(self, path: Path) -> list[Item]:
        """Return the items of a file of image paths."""
        items = []
        for listed in self._lists.read(path):
            annotation = listed.annotation or self._labels.place(listed.image)
            items.append(listed._replace(annotation=annotation))
        return items

    def _item(self, image: str) -> Item:
        return Item(image, self._labels.place(image))

    @property
    def findings(self) -> list[Finding]:
        """What is to be said about the data set, once its items are known."""
        found = list(dict.fromkeys(self._moved + self._lists.findings))
        for number, name in enumerate(self.classes):
            first = self.classes.index(name)
            if first < number:
                message = f"classes {first} and {number} are both '{name}'"
                found.append(Finding("same-name", str(self._names.file), message))
        return found + self._reordered() + list(self._labels.orphans())

    def _reordered(self) -> list[Finding]:
        """Say which files number the classes in another way, where the user has chosen none."""
        if self._names_given:
            return []
        message = f"{self._names.file.name} has these classes in another order, and is taken"
        paths = yolo_names.reordered(self.root, self._names)
        return [Finding("reordered", str(path), message) for path in paths]

    def file(self, item: Item) -> str:
        """Return the text file of an item."""
        return str(self._labels.find(item))

    def read(self, item: Item) -> Annotation:
        """Return the annotation of an image; no objects where it has no text file.

        Raises ParseError with file and line.
        """
        path = self._labels.find(item)
        if not path.is_file():
            return Annotation(0, 0, [])
        lines = image_lists.read_lines(path, "a YOLO text file")
        found = read_each(lambda line: self._lines.read(path, *line), lines)
        if not found:
            return Annotation(0, 0, [])
        size = image_lists.size_of(self.root / item.image)
        if not all(size):
            return Annotation(0, 0, [])
        objects = []
        for line in found:
            corners = fields.to_pixels(line.corners, size)
            objects.append(fields.make_object(line.name, False, corners, line.number))
        return Annotation(*size, objects, tuple(yolo_lines.remarks(found)))

    def has_numbers(self, item: Item) -> bool:
        """Return whether an item's text file begins with five numbers or more."""
        return has_numbers(self._labels.find(item))


def _open(folder: Path, names: Path | str | None = None, images: Path | str | None = None) -> Yolo:
    """Return the data set in a folder, or of a data.yaml in it.

    names: a file of class names; None for the folder's own.
    images: as Yolo takes it.
    """
    if folder.is_file() and folder.suffix in FILES:
        names = names or folder
        folder = yolo_splits.read(folder).folder
    if names:
        return Yolo(folder, Path(names), images)
    return Yolo(folder, images=images)


def _looks_like(path: Path) -> bool:
    """Return whether a folder has class names, and images with text files of numbers."""
    try:
        source = _open(path)
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
data.yaml or obj.data (also where their paths are another machine's; a note says which folder is
taken), a folder images/LIST or LIST/images, or a file of image paths. An image without a text file
has no objects. A line of more than five numbers is an outline; its box is taken. Where data.yaml
has kpt_shape, it is a box and the points of a pose, which are left out.
""",
    examples="""
data_prep yolo PHOTOS --test-share 0.2 --out data/mine
data_prep yolo PHOTOS --train-list train --test-list val --out data/mine
data_prep yolo PHOTOS/data.yaml --list train --out data/mine/train_lmdb
data_prep yolo PHOTOS --names coco.names --out data/mine/train_lmdb
""",
    folder="folder with images and their text files, or its data.yaml",
    open=_open,
    layout="""
DIR/data.yaml          names: [person, car]   (or classes.txt, obj.names)
DIR/labels/train/a.txt 1 0.5 0.5 0.2 0.3      (or four corners, or an outline)
DIR/images/train/a.jpg
""",
    looks_like=_looks_like,
    options=(
        IMAGES,
        Option(
            "names",
            "class names (default: data.yaml, obj.names or classes.txt in DIR)",
            type=Path,
            metavar="FILE",
        ),
    ),
)
register(KIND)
