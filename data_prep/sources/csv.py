"""Tables: a row for each box, with the image's name in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_prep.sources import carried, csv_lists, fields, image_finder, image_lists, open_images
from data_prep.sources.bundle import Bundle
from data_prep.sources.carried import Gathered
from data_prep.sources.csv_rows import Row, read_rows
from data_prep.sources.image_finder import IMAGES
from data_prep.sources.image_places import ImagePlaces
from data_prep.sources.kind import Kind, Option, register
from data_prep.sources.source import NO_ALIASES, Annotation, Finding, Item, Object
from ssd_common.errors import CaffeError, ParseError, UsageError


class Csv(Bundle):
    """A folder with tables of boxes, or one table.

    Boxes are in fractions of the image if none of a table's numbers is above 1.

    images: the folder with the images; None for the usual ones.
    class_name: of all boxes, for tables without classes.
    """

    suffixes = (".csv", ".tsv")
    patterns = (open_images.FIFTYONE, f"*/{open_images.FIFTYONE}")
    classes: list[str] | None = None
    aliases = NO_ALIASES

    def __init__(
        self, root: Path, images: Path | str | None = None, class_name: str | None = None
    ) -> None:
        super().__init__(root)
        if self._only and self._only.as_posix().endswith(f"/{open_images.FIFTYONE}"):
            self.root = self.root.parent
        self._images = image_finder.folder_of_images(self.root, images)
        self._class_name = class_name

    def split_of(self, path: Path) -> str:
        """Return the name of a table's split: its own, but that of Open Images' is in its name."""
        if path.as_posix().endswith(f"/{open_images.FIFTYONE}"):
            return path.parent.parent.name
        return open_images.split_of(path) or super().split_of(path)

    def candidates(self) -> list[Path]:
        """Return the tables of boxes of the folder, leaving out lists of images."""
        found = [path for path in super().candidates() if not open_images.is_other_table(path)]
        return [path for path in found if not csv_lists.is_list(path)] or found

    def read_list(self, name: str) -> list[Item]:
        """Return the images of a table, or of a list of images, which may be a table of one column.

        Raises CaffeError as Bundle.read_list does.
        """
        names = [name, *(f"{name}{suffix}" for suffix in self.suffixes)]
        for path in (Path(name), *(self.root / each for each in names)):
            if name not in self.files() and path.is_file() and csv_lists.is_list(path):
                return self._listed(path)
        return super().read_list(name)

    def lines(self, path: Path) -> list[tuple[str, list[str]]]:
        """Return the place and the words of each line of a list. Raises CaffeError."""
        if csv_lists.is_list(path):
            return csv_lists.read_list(path)
        return super().lines(path)

    @property
    def own_files(self) -> dict[Path, str]:
        """The tables of the folder, and what it means that a link leads to one."""
        found = super().own_files
        for path in self.candidates():
            names = open_images.name_files(self.root, path)
            found |= dict.fromkeys(names, "it names the classes")
        return found

    def load(self, path: Path) -> list[Item]:
        """Return the items of one table, an image each, in the order of their first rows.

        Raises ParseError with the row at fault. A fault of a single box is an error only when its
          image is read.
        """
        # By image: line, width and height, and the rows; less than half the memory of lists.
        rows: dict[str, bytearray] = {}
        largest = 0.0
        classes: set[str] = set()
        for line, (name, box, size) in self._rows(path):
            if name not in rows:
                rows[name] = bytearray(json.dumps([line, *size]), "ascii")
            if not box:
                continue
            packed = json.dumps(box, separators=(",", ":"))
            rows[name] += b"," + packed.encode()
            if isinstance(box, list):
                largest = max(largest, *map(abs, box[2:6]))
                classes.add(box[0])
        if not rows:
            raise ParseError(str(path), "a table without a row")
        self._findings[self.below(path)] = list(_numbers_for_names(path, classes))
        fractions = 0 < largest <= 1 + fields.SLACK
        return self._items_of(path, rows, fractions)

    def _rows(self, path: Path) -> Iterator[tuple[int, Row]]:
        """Yield line and content of each row, with Open Images' classes by their names."""
        names: dict[str, str] | None = None
        for line, row in read_rows(path, self._class_name):
            box = row.box
            if box and isinstance(box, list) and open_images.is_identifier(box[0]):
                if names is None:
                    names = open_images.read_names(open_images.name_files(self.root, path))
                box[0] = names.get(box[0], box[0])
            yield line, row

    def _items_of(self, path: Path, rows: dict[str, bytearray], fractions: bool) -> list[Item]:
        """Return the items of a table's rows; takes the rows out of them."""
        places = ImagePlaces(self.root, rows, self._folders(path), self._images)
        file_name = self.below(path)
        gathered = Gathered()
        for name in list(rows):
            head, _, boxes = rows.pop(name).decode().partition("]")
            line, width, height = json.loads(f"{head}]")
            place = places.find(name, line)
            content = carried.pack((width, height), boxes, fractions, place.remarks)
            gathered.add(Item(place.image, file_name, content=content), name, place, line)
        return gathered.items()

    def _folders(self, path: Path) -> list[str]:
        """Return where the images of a table may be, relative to the root, the likeliest first."""
        beside = self.below(path.parent)
        split = self.split_of(path)
        usual = ["", beside, "images", f"{beside}/images", split, f"images/{split}", "JPEGImages"]
        others = ["data", "imgs", "img"]
        usual += [f"{split}/images", f"{split}/data", *others]
        return usual + [f"{other}/{split}" for other in others]

    def read(self, item: Item) -> Annotation:
        """Return the annotation of an image. Raises ParseError with the row that is wrong."""
        found = carried.unpack(item.content)
        objects = found.objects(_object, self.file(item))
        width, height = found.width, found.height
        if found.fractions and objects:
            if not width or not height:
                width, height = image_lists.size_of(self.root / item.image)
            if not width:
                return Annotation(0, 0, [])
            objects = [_scaled(one, (width, height)) for one in objects]
        return Annotation(width, height, objects, tuple(found.remarks))


def _numbers_for_names(path: Path, classes: set[str]) -> Iterator[Finding]:
    """Say so where a table's classes are numbers."""
    if classes and all(map(fields.is_whole, classes)):
        first = ", ".join(sorted(classes)[:5])
        yield Finding("numbered", str(path), f"classes are numbers: {first}")


def _object(row: list[Any]) -> Object:
    """Return the object of a row as an item carries it."""
    name, difficult, xmin, ymin, xmax, ymax, line = row
    return fields.make_object(name, bool(difficult), (xmin, ymin, xmax, ymax), line)


def _scaled(found: Object, size: tuple[int, int]) -> Object:
    """Return an object with its box, in fractions of the image, scaled to pixels."""
    box = fields.to_pixels(found[2:6], size)
    return fields.make_object(found.name, found.difficult, box, found.line)


def _open(folder: Path, images: Path | str | None = None, class_name: str | None = None) -> Csv:
    """Return the tables of a folder, or a table.

    images, class_name: as Csv takes them.
    Raises UsageError for a class's name that nobody could read.
    """
    if class_name is None:
        return Csv(folder, images)
    try:
        return Csv(folder, images, fields.class_name(class_name))
    except ValueError as error:
        raise UsageError(f"--class: {error}") from None


def _looks_like(path: Path) -> bool:
    """Return whether a folder has tables whose first row can be read, or a file is one."""
    try:
        files = [file for file in Csv(path).files().values() if file.suffix in Csv.suffixes]
    except CaffeError:
        return False
    return any(_is_table(file, name) for file in files for name in (None, "object"))


def _is_table(path: Path, class_name: str | None) -> bool:
    """Return whether the first row of a file can be read."""
    try:
        return next(read_rows(path, class_name), None) is not None
    except (CaffeError, OSError):
        return False


KIND = Kind(
    name="csv",
    position=3,
    title="a table of boxes (CSV)",
    notes="""
DIR holds one or more tables NAME.csv (comma, semicolon or tab) and the images, or
NAME/_annotations.csv as Roboflow writes it; or name one table. The header tells the columns:
filename,width,height,class,xmin,ymin,xmax,ymax as for TensorFlow, Open Images'
ImageID,…,XMin,XMax,YMin,YMax in fractions, x,y or x_center,y_center and the box's width and height,
bbox with [x, y, width, height] in it, and other usual names, in any order. Without a header:
image,xmin,ymin,xmax,ymax,class as for keras-retinanet, image,class,xmin,ymin,xmax,ymax, or
TensorFlow's order. A row with no more than an image is an image without objects. A LIST is such a
NAME, a table, or a file of image names, as text or as a table of one column. Open Images as it is
downloaded: train-annotations-bbox.csv and train/, with the names of class-descriptions*.csv.
""",
    examples="""
data_prep csv PHOTOS --test-share 0.2 --out data/mine
data_prep csv PHOTOS --train-list train --test-list test --out data/mine  # PHOTOS/train.csv, …
data_prep csv boxes.csv --class wheat --out data/mine/train_lmdb
data_prep csv OPEN_IMAGES --train-list train --test-list validation --out data/oi
""",
    folder="folder with tables and images, or one table",
    open=_open,
    options=(
        IMAGES,
        Option(
            "class_name",
            "the class of all boxes, for tables without a column of classes",
            metavar="NAME",
            flag="--class",
        ),
    ),
    layout="""
DIR/boxes.csv          filename,width,height,class,xmin,ymin,xmax,ymax
DIR/a.jpg
""",
    looks_like=_looks_like,
)
register(KIND)
