"""LabelMe's JSON: a file for each image, with rectangles, polygons, circles and lines.

Source: labelmeai/labelme, labelme/label_file.py, labelme/utils/shape.py (also for group_id);
X-AnyLabeling writes the same with shapes of its own ("rotation") and a key `difficult`.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from data_prep.sources import fields, image_finder, image_lists, json_lines, outlines, picture
from data_prep.sources.image_finder import IMAGES, Finder
from data_prep.sources.kind import Kind, register
from data_prep.sources.outlines import Box
from data_prep.sources.picture import LeftOut, Picture, Shape, quoted
from data_prep.sources.source import NO_ALIASES, Annotation, Item
from ssd_common.errors import CaffeError, ParseError
from ssd_common.files import open_regular

FOLDERS = ("", "images", "JPEGImages", "img")  # where images may be, beside where files say
CHUNK = 1 << 16  # bytes read first; then ever more
FEW = 20  # files that show what a folder is
_IMAGE_PATH = re.compile(rb'"imagePath"\s*:\s*("(?:[^"\\]|\\.)*")')
IGNORED = "__ignore__"  # as LabelMe's own converters have it
POINT = ("point", "points")
POINTS = {"rectangle": (2, 4), "circle": (2,), "mask": (2,)}  # how many a shape has


class LabelMe:
    """A folder with LabelMe's JSON files, beside the images or elsewhere.

    images: the folder with the images; None for where the files say.
    difficult_if: flags beside `difficult` that make an object difficult.
    Raises CaffeError where the folder is missing.
    """

    whole_pixels = False
    classes: list[str] | None = None
    aliases = NO_ALIASES

    def __init__(
        self,
        root: Path,
        images: Path | None = None,
        difficult_if: str | Iterable[str] | None = None,
    ) -> None:
        if not root.is_dir():
            raise CaffeError(f"{root}: no such folder")
        self.root = root
        self._images = image_finder.folder_of_images(root, images)
        self._difficult_if = picture.flag_names(difficult_if)

    def items(self) -> list[Item]:
        """Return an item for every JSON file of LabelMe's, by name.

        Raises CaffeError where there is none.
        """
        return self._below(self.root)

    def _below(self, folder: Path) -> list[Item]:
        """Return the items of a folder and of those below.

        Raises CaffeError without any, and where two are of one image.
        """
        found = [path for path in sorted(folder.rglob("[!.]*.json")) if recognises(path)]
        if not found:
            raise CaffeError(f"{folder}: no annotation (*.json) of LabelMe's there or below")
        finder = Finder(self.root, FOLDERS, self._images)
        items = [self._item(path, finder) for path in found]
        self._check_images(items)
        return items

    def _check_images(self, items: Iterable[Item]) -> None:
        """Raise CaffeError where two files name one image: each would lack the other's objects."""
        known: dict[str, Item] = {}
        for item in items:
            first = known.setdefault(item.image, item)
            if first is not item and (self.root / item.image).is_file():
                fault = f"its imagePath leads to {item.image}, as that of {first.annotation} does"
                raise CaffeError(f"{self.file(item)}: {fault}")

    def _item(self, path: Path, finder: Finder, place: str | None = None) -> Item:
        """Return the item of a JSON file."""
        image = self._image(path, finder)
        annotation = image_lists.below(self.root, path)
        return Item(image, annotation, place)

    def _image(self, path: Path, finder: Finder) -> str:
        """Return the image of a JSON file: its imagePath's, or that of its own name."""
        given = _image_path(path) or path.stem
        if self._images:
            return self._found(given, finder)
        if given == path.stem:
            own = image_lists.below(self.root, path.with_suffix(""))
            return image_lists.with_extension(self.root, own)
        for image in (path.parent / given, path.parent / Path(given).name):
            if image.is_file():
                return image_lists.below(self.root, Path(os.path.normpath(image)))
        return self._found(given, finder)

    def _found(self, given: str, finder: Finder) -> str:
        """Return the image that a finder finds, or where it should be."""
        try:
            return finder.find(given).image
        except ValueError:
            return Path(given).name

    def sets(self) -> list[str]:
        """Return the names of the inner folders with JSON files, as train and val."""
        found = []
        for folder in sorted(self.root.iterdir()):
            if folder.is_dir() and any(map(recognises, folder.rglob("[!.]*.json"))):
                found.append(folder.name)
        return found

    def read_list(self, name: str) -> list[Item]:
        """Return the items of an inner folder, or of a file of image names.

        Raises CaffeError with file and line.
        """
        if (self.root / name).is_dir():
            return self._below(self.root / name)
        path = image_lists.find(name, (Path(name), self.root / name), self.sets())
        known: dict[str, Item] = {}
        for item in self.items():
            for key in (item.image, Path(item.image).name, Path(item.annotation).stem):
                known.setdefault(key, item)

        def listed(image: str, place: str) -> Item:
            item = known.get(image) or known.get(Path(image).name)
            if not item:
                raise CaffeError(f"{place}: no annotation of an image '{image}'")
            return item._replace(place=place)

        return image_lists.read_items(path, listed)

    def file(self, item: Item) -> str:
        """Return the JSON file of an item."""
        return str(self.root / item.annotation)

    def read(self, item: Item) -> Annotation:
        """Return the annotation of an image. Raises ParseError with file and line."""
        path = self.root / item.annotation
        whole = json_lines.read(path)
        if not isinstance(whole, dict) or not isinstance(whole.get("shapes"), list):
            fault = f"{quoted(whole)} where an object with a list of shapes should be"
            raise ParseError(str(path), fault, 1)
        if whole.get("imageData") and not (self.root / item.image).is_file():
            fault = f"its image {item.image} is missing, but is in its imageData"
            raise ParseError(str(path), f"{fault} (labelme_export_json writes it out)", 1)
        width = picture.side(whole, "imageWidth")
        height = picture.side(whole, "imageHeight")
        found = Picture(item.image, 1, width, height)
        for index, rows in _objects(whole["shapes"]):
            found.take(self._object, rows, getattr(rows[0], "line", 1), f"shapes[{index}]")
        return found.annotation(str(path))

    def _object(self, rows: list[Any]) -> Shape | LeftOut:
        """Return the shape of an object: of its only row, or around all. Raises ValueError."""
        shapes = [self._shape(row) for row in rows]
        boxes = [shape for shape in shapes if isinstance(shape, Shape)]
        if len(boxes) < 2:
            return shapes[0]
        corners = [corner for shape in boxes for corner in (shape.box[:2], shape.box[2:])]
        box = outlines.around([(x, y) for x, y in corners])
        difficult = any(shape.difficult for shape in boxes)
        return Shape(boxes[0].name, box, difficult, "group of shapes")

    def _shape(self, row: Any) -> Shape | LeftOut:
        """Return the shape of a row of `shapes`. Raises ValueError."""
        if not isinstance(row, dict):
            raise ValueError(f"{quoted(row)} where an object with label and points should be")
        label = picture.text(row, "label")
        form = row.get("shape_type") or "polygon"  # LabelMe 2 had no other
        if form in POINT:
            return LeftOut("point", label)
        if label == IGNORED:
            return LeftOut(label, label, "ignored")
        values = row.get("points")
        if not isinstance(values, list):
            raise ValueError(f"points are {quoted(values)}, not a list")
        box = _box(str(form), [picture.point(value) for value in values])
        kind = str(form)
        if kind == "rectangle":
            kind = ""
        return Shape(label, box, self._is_difficult(row), kind)

    def _is_difficult(self, row: Mapping[str, Any]) -> bool:
        """Return whether a shape's flags, or the shape itself, say that it is difficult."""
        flags = {key: row[key] for key in self._difficult_if if key in row}
        if isinstance(row.get("flags"), dict):
            flags.update(row["flags"])
        return picture.is_difficult(flags, self._difficult_if)


def _objects(rows: list[Any]) -> Iterator[tuple[int, list[Any]]]:
    """Yield the rows of each object, and the index of the first.

    Shapes of one label and group_id are parts of one object; points are none.
    """
    found: dict[tuple[str, str] | int, tuple[int, list[Any]]] = {}
    for index, row in enumerate(rows):
        key: tuple[str, str] | int = index
        grouped = isinstance(row, dict) and row.get("group_id") is not None
        if grouped and row.get("shape_type") not in POINT:
            key = (str(row.get("label")), str(row["group_id"]))
        found.setdefault(key, (index, []))[1].append(row)
    yield from found.values()


def _box(form: str, points: list[outlines.Point]) -> Box:
    """Return the box around a shape. Raises ValueError."""
    wanted = POINTS.get(form)
    if wanted and len(points) not in wanted:
        raise ValueError(f"a {form} with {len(points)} points, not {wanted[0]}")
    if form == "circle":
        centre, other = points
        radius = math.dist(centre, other)
        return outlines.ellipse(centre, (radius, radius))
    return outlines.around(points)


def _image_path(path: Path) -> str:
    """Return a file's imagePath, with slashes; "" where it has none that can be read.

    Reads no further than there: the image itself follows in most files.
    """
    data = b""
    try:
        with open_regular(path) as file:
            while chunk := file.read(max(CHUNK, len(data))):
                data += chunk
                found = _IMAGE_PATH.search(data)
                if found:
                    name = fields.image_name(json.loads(found[1]))
                    # Some versions name the JSON itself.
                    return name if image_lists.has_image_extension(name) else ""
    except (CaffeError, OSError, ValueError):
        pass
    return ""


def recognises(path: Path) -> bool:
    """Return whether a JSON file is LabelMe's, by its start."""
    if not json_lines.has_keys(path, "{", "shapes"):
        return False
    return json_lines.has_keys(path, "{", "imagePath|imageData|points|version|shape_type")


def _looks_like(path: Path) -> bool:
    """Return whether a folder has JSON files of LabelMe's among the first."""
    if not path.is_dir():
        return False
    return any(map(recognises, islice(path.rglob("[!.]*.json"), FEW)))


KIND = Kind(
    name="labelme",
    position=9,
    title="a folder of LabelMe's JSON",
    notes="""
DIR has NAME.json beside its image or elsewhere, also in folders below; imagePath says which image
it is, relative to the file. Polygons, circles, lines and turned boxes become the boxes around them;
points are left out. Shapes of one label and group_id are parts of one object. It is difficult if
its flag `difficult`, or one of --difficult-if, is set. A LIST is an inner folder, or a file of
image names.
""",
    examples="""
data_prep labelme PHOTOS --test-share 0.2 --out data/mine
data_prep labelme PHOTOS --train-list train --test-list val --out data/mine
""",
    folder="folder with images and LabelMe's JSON files",
    open=LabelMe,
    options=(IMAGES, picture.DIFFICULT_IF),
    layout="""
DIR/a.json             {"shapes": [{"label": "car", "points": …}], "imagePath": "a.jpg", …}
DIR/a.jpg
""",
    looks_like=_looks_like,
)
register(KIND)
