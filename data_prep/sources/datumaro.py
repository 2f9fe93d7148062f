"""Every format that Datumaro reads: MOT, VoTT, Open Images, Mapillary, Supervisely and many more.

Source: open-edge-platform/datumaro, src/datumaro/components/{dataset,annotation,media}.py.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

from data_prep.sources import image_finder, image_lists, picture
from data_prep.sources.image_finder import IMAGES, Finder
from data_prep.sources.kind import Kind, Option, register
from data_prep.sources.outlines import around
from data_prep.sources.picture import LeftOut, Picture, Shape
from data_prep.sources.source import NO_ALIASES, Annotation, Item
from ssd_common.errors import CaffeError
from ssd_common.files import as_file_name, write_atomic
from ssd_common.installation import missing_package
from ssd_common.suggest import suggest

FOLDERS = ("", "images", "data", "JPEGImages", "img", "img1")
# Attributes of objects that the evaluations of some formats pass over.
PASSED_OVER = ("is_crowd", "iscrowd", "ignored")
OUTLINES = ("polygon", "polyline", "mask", "ellipse", "rotated_bbox", "cuboid_2d")
PARTS = ("polygon", "mask")  # of one object there may be several
SHORT = {"mot": "mot_seq"}
OF_TENSORFLOW = "tf_detection_api"


class Datumaro:
    """A folder that Datumaro reads.

    Coordinates have two decimals, as Datumaro rounds them.

    format: one of Datumaro's; None for the one that it finds by itself.
    images: the folder with the images; None for where the format says.
    unpack: a folder for images that are inside other files, as in Arrow's; None to refuse these.
    difficult_if: attributes beside `difficult` and PASSED_OVER that make an object difficult.
    Raises CaffeError where the folder, or Datumaro, is missing.
    """

    whole_pixels = False
    aliases = NO_ALIASES

    def __init__(
        self,
        root: Path,
        format: str | None = None,
        images: Path | None = None,
        unpack: Path | None = None,
        difficult_if: str | Iterable[str] | None = None,
    ) -> None:
        if not root.exists():
            raise CaffeError(f"{root}: no such folder or file")
        self._path = root
        self.root = root
        if root.is_file():
            self.root = root.parent
        self._format = _format(root, format)
        self._images = image_finder.folder_of_images(self.root, images)
        self._unpack = unpack
        self._difficult_if = [*picture.flag_names(difficult_if), *PASSED_OVER]
        self._subsets: dict[str, list[Item]] = {}
        self._labels: list[str] = []
        self._used: dict[str, None] = {}  # in an order that each process has

    def __getstate__(self) -> dict[str, object]:
        """Return everything but the items, which other processes do not need."""
        return {**vars(self), "_subsets": {}}

    @property
    def classes(self) -> list[str] | None:
        """The labels that objects have, in their order; known after the first items."""
        return [name for name in self._labels if name in self._used] or None

    def items(self) -> list[Item]:
        """Return every image. Raises CaffeError, with what Datumaro says."""
        return [item for items in self._read().values() for item in items]

    def sets(self) -> list[str]:
        """Return the names of Datumaro's subsets."""
        return sorted(self._read())

    def read_list(self, name: str) -> list[Item]:
        """Return the items of a subset, or of a file of image names.

        Raises CaffeError with file and line.
        """
        subsets = self._read()
        if name in subsets:
            return subsets[name]
        path = image_lists.find(name, (Path(name), self.root / name), self.sets())
        known: dict[str, Item] = {}
        for item in self.items():
            for key in (Path(item.image).stem, Path(item.image).name, item.image):
                known.setdefault(key, item)
        found = []
        for place, (image, *_) in image_lists.read_list(path):
            if image not in known:
                near = suggest(image, islice(known, 4000))
                raise CaffeError(f"{place}: no image '{image}' in the data set{near}")
            found.append(known[image]._replace(place=place))
        return found

    def file(self, item: Item) -> str:
        """Return the place of an item in the data set."""
        return str(self.root / item.annotation)

    def read(self, item: Item) -> Annotation:
        """Return the annotation of an image. Raises ParseError with what is wrong."""
        return Picture.unpack(item.content or "").annotation(self.file(item), item.image)

    def _read(self) -> dict[str, list[Item]]:
        """Return the items of each subset, read once."""
        if not self._subsets:
            self._subsets = self._load()
        return self._subsets

    def _load(self) -> dict[str, list[Item]]:
        """Read the data set. Raises CaffeError, with what Datumaro says."""
        library = _library()
        finder = Finder(self.root, FOLDERS, self._images)
        found: dict[str, list[Item]] = {}
        try:
            with _quiet():
                dataset = library.Dataset.import_from(str(self._path), self._format)
                self._labels = _labels(dataset)
                for element in dataset:
                    item = self._item(element, finder)
                    found.setdefault(element.subset, []).append(item)
        except CaffeError:
            raise
        except Exception as error:  # its plugins raise whatever comes
            raise CaffeError(_words(self._path, self._format, error)) from None
        if not found:
            raise CaffeError(f"{self._path}: no image in it, read as {self._format}")
        return found

    def _item(self, element: Any, finder: Finder) -> Item:
        """Return the item of one of Datumaro's. Raises CaffeError."""
        place = f"{self._format}#{element.subset}/{element.id}"
        image = self._image(element, finder)
        found = Picture(image)
        media = element.media
        if media is not None and getattr(media, "has_size", False):
            found.height, found.width = media.size
        for rows in _objects(element.annotations):
            found.take(self._shape, rows, 1)
        self._used.update(dict.fromkeys(one.name for one in found.objects))
        return Item(image, place, content=found.pack())

    def _image(self, element: Any, finder: Finder) -> str:
        """Return where the image of an item is. Raises CaffeError for one inside another file."""
        media = element.media
        path = getattr(media, "path", "")
        if path and Path(path).is_file():
            return self._below(Path(path))
        if media is not None and not path and media.has_data:
            return self._unpacked(element)
        given = element.id
        if path:
            given = self._below(Path(path)).removeprefix("file:")  # VoTT's
        try:
            for name in (given, element.id):
                image = finder.find(name).image
                if (self.root / image).is_file():
                    return image
        except ValueError as error:
            raise CaffeError(f"{self._path}: image {element.id}: {error}") from None
        return given

    def _below(self, path: Path) -> str:
        """Return a path relative to the root where it lies below it, else absolute."""
        return image_lists.below(self.root.absolute(), path.absolute())

    def _unpacked(self, element: Any) -> str:
        """Write an image that is inside another file, and return where. Raises CaffeError."""
        if not self._unpack:
            remedy = "--unpack FOLDER writes them there"
            raise CaffeError(f"{self._path}: images are inside the data set's files; {remedy}")
        extension = element.media.ext or ".png"
        name = as_file_name(f"{element.subset}/{element.id}")
        target = self._unpack / f"{name}{extension}"
        if not target.is_file():
            self._unpack.mkdir(parents=True, exist_ok=True)
            data = element.media.bytes
            if data is None:
                encoded = BytesIO()
                element.media.save(encoded, ext=extension)
                data = encoded.getvalue()
            write_atomic(target, data)
        return self._below(target)

    def _shape(self, rows: list[Any]) -> Shape | LeftOut:
        """Return the shape around the parts of an object. Raises ValueError."""
        first = rows[0]
        kind = first.type.name
        label = ""
        if getattr(first, "label", None) is not None:
            label = self._labels[first.label]
        if kind != "bbox" and kind not in OUTLINES:
            return LeftOut(kind.replace("_", " "), label)
        if not label:
            raise ValueError(f"a {kind} without a label")
        corners = []
        for row in rows:
            x, y, width, height = map(float, row.get_bbox())
            corners += [(x, y), (x + width, y + height)]
        difficult = picture.is_difficult(first.attributes, self._difficult_if)
        words = kind.replace("_", " ")
        if kind == "bbox":
            words = ""
        return Shape(label, [round(x, 2) for x in around(corners)], difficult, words)


def _objects(annotations: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield the annotations of each object: several outlines of one group are its parts."""
    found: dict[object, list[Any]] = {}
    for index, row in enumerate(annotations):
        key: object = index
        if row.group and row.type.name in PARTS:
            key = (row.group, row.id, row.type.name, row.label)
        found.setdefault(key, []).append(row)
    yield from found.values()


def _labels(dataset: Any) -> list[str]:
    """Return the names of a data set's labels."""
    for kind, categories in dataset.categories().items():
        if kind.name == "label":
            return [label.name for label in categories.items]
    return []


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside the block, Datumaro does not warn of what will change in it."""
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", kind)
        yield


def _library() -> Any:
    """Return the library. Raises CaffeError where it is missing."""
    try:
        return importlib.import_module("datumaro")
    except ModuleNotFoundError as error:
        raise CaffeError(missing_package("data_prep datumaro", error)) from None


def _format(path: Path, given: str | None) -> str:
    """Return the format that is meant, or that a data set has. Raises CaffeError."""
    _library()
    environment = importlib.import_module("datumaro.components.environment").Environment()
    known: Mapping[str, object] = environment.importers
    if given:
        name = SHORT.get(given, given)
        if name in known:
            return name
        if name == OF_TENSORFLOW:
            raise CaffeError(f"{name} needs TensorFlow: pip install 'datumaro[tf]'")
        near = suggest(name, known) or f" (one of {', '.join(sorted(known))})"
        raise CaffeError(f"Datumaro has no format '{given}'{near}")
    with _quiet():
        found = environment.detect_dataset(str(path))
    if len(found) == 1:
        return found[0]
    if found:
        raise CaffeError(f"{path}: name one with --format: it may be {', '.join(sorted(found))}")
    raise CaffeError(f"{path}: Datumaro knows it for none of its formats; name one with --format")


def _words(path: Path, name: str, error: BaseException) -> str:
    """Return what Datumaro says of a data set that it cannot read, the causes last."""
    said = []
    cause: BaseException | None = error
    while cause is not None:
        words = " ".join(str(cause).split()) or type(cause).__name__
        if words not in said:
            said.append(words)
        cause = cause.__cause__
    return f"{path}: Datumaro cannot read it as {name}: {': '.join(said)}"


KIND = Kind(
    name="datumaro",
    position=90,
    title="a data set in any format that Datumaro reads",
    notes="""
Datumaro is a library of its own: pip install 'ssd-zoo[formats]'. --format takes its names of
formats; without, Datumaro looks for itself. A LIST is one of its subsets, or a file of image names.
Outlines become the boxes around them; points and labels of whole images are left out. Coordinates
have two decimals, and errors name the image, not the line. Use the kinds of data_prep where there
is one. Objects are difficult by the attributes difficult, is_crowd and ignored (MOT's confidence
0), or those of --difficult-if.
""",
    examples="""
data_prep datumaro MOT17-02 --format mot --test-share 0.2 --out data/mot
data_prep datumaro EXPORT --format vott_json --out data/mine/train_lmdb
""",
    folder="folder or file with the data set",
    open=Datumaro,
    options=(
        Option(
            "format",
            "Datumaro's name of the format: mot, vott_json, open_images, mapillary_vistas, …",
            metavar="NAME",
        ),
        IMAGES,
        Option(
            "unpack",
            "folder for images that are inside other files",
            type=Path,
            metavar="FOLDER",
        ),
        picture.DIFFICULT_IF,
    ),
    layout="""
DIR/gt/gt.txt, DIR/img1/000001.jpg     MOT (mot)
DIR/NAME-export.json, DIR/a.jpg        VoTT (vott_json); and some 50 formats more
""",
)
register(KIND)
