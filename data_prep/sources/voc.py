"""VOC-style folders: lists of images, and where the XML annotation of each lies."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from data_prep.sources import image_finder, image_lists, json_lines
from data_prep.sources.image_finder import IMAGES as IMAGES_OPTION
from data_prep.sources.kind import Kind, register
from data_prep.sources.source import NO_ALIASES, UNLABELLED, Annotation, Finding, Item
from data_prep.sources.voc_images import Images, stem_of
from data_prep.sources.voc_lists import (
    is_of_one_class,
    lists_of_each_class,
    moved,
    one_class_finding,
)
from data_prep.sources.voc_xml import read_annotation
from ssd_common.errors import CaffeError

# Without the ._*.xml that macOS leaves on other disks.
XML_FILES = "[!.]*.xml"
IMAGES = "JPEGImages"
ANNOTATIONS = "Annotations"
SETS = "ImageSets/Main"
IMAGE_FOLDERS = (IMAGES, "images", "Images", "")
ANNOTATION_FOLDERS = (ANNOTATIONS, "annotations/xmls", "annotations", "")
# Where images may be, in small letters, for a folder of annotations beside it that has none.
BESIDE = ("jpegimages", "images", "image", "imgs", "img", "data", "photos", "pictures", "frames")


class Layout(NamedTuple):
    """Where images and annotations lie.

    images, annotations: folders relative to the data set's, with a slash; may have folders inside.
    known: the images of the former.
    stems: names of annotations without extension.
    """

    images: str
    annotations: str
    known: Images
    stems: list[str]

    def item(self, stem: str, place: str | None = None, listed: str = "") -> Item:
        """Return the item of an annotation's name without extension.

        listed: the image as a list names it.
        Raises ValueError where its image may be another.
        """
        name = self.known.find(stem, listed) or f"{stem}.jpg"
        image = f"{self.images}{name}"
        annotation = f"{self.annotations}{stem}.xml"
        return Item(image, annotation, place)


def _slashed(*folders: str) -> str:
    return "".join(f"{folder}/" for folder in folders if folder)


class Folder:
    """A VOC-style folder, or a folder of several, for lists that name each file.

    images: the folder with the images; None for the usual ones.
    Raises CaffeError where there is none.
    """

    whole_pixels = True
    classes: list[str] | None = None
    aliases = NO_ALIASES

    def __init__(self, root: Path, images: Path | str | None = None) -> None:
        self.root = root
        self.findings: list[Finding] = []
        if not root.is_dir():
            raise CaffeError(f"{root}: no such folder")
        self._images = image_finder.folder_of_images(root, images)

    def _layout(self, part: str = "") -> Layout | None:
        """Find the layout of the folder, or of its folder `part`; None if it has no annotation."""
        base = self.root / part
        for folder in ANNOTATION_FOLDERS:
            files = _xml_files(base, folder)
            if files:
                break
        else:
            return None
        stems = [stem_of(path.relative_to(base / folder)) for path in files]
        images, found = self._images_for(part, folder)
        inner = [path.relative_to(self.root / images) for path in found]
        return Layout(
            images=_slashed(images),
            annotations=_slashed(part, folder),
            known=Images(inner, base / folder, stems),
            stems=stems,
        )

    def _images_for(self, part: str, annotations: str) -> tuple[str, list[Path]]:
        """Find the folder of the images of a folder's annotations, and the images.

        part: the folder, relative to the root.
        annotations: their folder in it, "" for itself.
        """
        if self._images:
            folder = self._images / part
            if not folder.is_dir():
                folder = self._images
            below = image_lists.below(self.root, folder).removeprefix(".")
            return below, image_lists.images_below(folder)
        base = self.root / part
        images = next(name for name in IMAGE_FOLDERS if (base / name).is_dir())
        found = _image_files(base / images, below=bool(images or annotations))
        beside = ""
        if not found and part:
            beside = next(self._beside(part), "")
        if beside:
            return beside, image_lists.images_below(self.root / beside)
        return _slashed(part, images).rstrip("/"), found

    def _beside(self, part: str) -> Iterator[str]:
        """Yield the folders of images beside one of annotations: imgs/train beside xmls/train."""
        words = Path(part).parts
        for depth in reversed(range(len(words))):
            rest = words[depth + 1 :]
            for folder in self._folders("/".join(words[:depth])):
                beside = Path(folder, *rest).as_posix()
                is_usual = Path(folder).name.lower() in BESIDE
                if is_usual and beside != part and image_lists.images_below(self.root / beside):
                    yield beside

    def _layouts(self, part: str = "") -> Iterator[Layout]:
        """Yield the layouts of the folder, or of its folder `part`, and of those below."""
        layout = self._layout(part)
        if layout:
            yield layout
        # An Annotations folder has the annotations of the folders below, too.
        if not layout or layout.annotations == _slashed(part):
            for name in self._folders(part):
                yield from self._layouts(name)

    def _folders(self, part: str = "") -> list[str]:
        """List the folders in the folder, or in its folder `part`, by name.

        It leaves out links to folders that contain the link.
        """
        base = self.root / part
        found = []
        for path in sorted(base.iterdir()):
            if not path.is_dir() or path.name[0] == ".":
                continue
            if not base.resolve().is_relative_to(path.resolve()):
                found.append(path.relative_to(self.root).as_posix())
        return found

    @functools.cached_property
    def _own(self) -> Layout:
        """The folder's own layout, or the only one below; as in VOC where it has no annotation."""
        own = self._layout()
        if own:
            return own
        found = list(self._layouts())
        if len(found) == 1:
            return found[0]
        return Layout(f"{IMAGES}/", f"{ANNOTATIONS}/", Images([], self.root, []), [])

    def item(self, name: str, place: str | None = None) -> Item:
        """Return the item of an image's name, with or without folder and extension.

        place: the list's `file:line`.
        Raises CaffeError where it may be the item of several images.
        """
        own = self._own
        try:
            return own.item(self._annotated(name), place, name)
        except ValueError as error:
            raise CaffeError(f"{place or self.root}: {name}: {error}") from None

    def _annotated(self, name: str) -> str:
        """Return the name without extension of the annotation of an image, as a list names it."""
        known = self._own.known
        bare = name
        stem = name
        if image_lists.has_image_extension(name):
            bare = stem_of(Path(name))
            stem = Path(bare).name
        for word in (name, bare, stem):
            found = known.annotation_of(word)
            if found:
                return found
        for word in (name, bare):
            if word in known:
                return word
        return stem

    def _all(self, part: str = "") -> list[Item]:
        """Return an item for each annotation of the folder, or of `part`, and below, by name.

        Raises CaffeError where annotations may be of several images.
        """
        items = []
        errors = []
        for layout in self._layouts(part):
            for stem in layout.stems:
                try:
                    items.append(layout.item(stem))
                except ValueError as error:
                    file = self.root / f"{layout.annotations}{stem}.xml"
                    errors.append(f"{file}: {error}")
        if len(errors) > 1:
            errors[0] += f" (and {len(errors) - 1} more like it)"
        if errors:
            raise CaffeError(errors[0])
        return items

    def items(self) -> list[Item]:
        """Return every annotation of the folder and of those below, by name.

        Raises CaffeError if there is none.
        """
        items = self._all()
        if not items:
            fault = f"no annotation (*.xml) there or in its folder {ANNOTATIONS}"
            raise CaffeError(f"{self.root}: {fault} (--list takes them from elsewhere)")
        return items

    def read(self, item: Item) -> Annotation:
        """Return the annotation of an image; an empty one where none is published.

        Raises as read_annotation.
        """
        if item.annotation == UNLABELLED:
            return Annotation(0, 0, [])
        return read_annotation(self.file(item))

    def file(self, item: Item) -> str:
        """Return the XML file of an item."""
        return os.path.join(self.root, item.annotation)

    def __getstate__(self) -> dict[str, object]:
        """Return everything but the layout, a long list that other processes do not need."""
        state = dict(vars(self))
        state.pop("_own", None)
        return state

    def sets(self) -> list[str]:
        """Return names of image sets, or of inner folders with annotations, as train and valid."""
        files = (self.root / SETS).glob("*.txt")
        named = sorted(path.stem for path in files)
        if named:
            return named
        usual = (*IMAGE_FOLDERS, *ANNOTATION_FOLDERS)
        found = []
        for folder in self._folders():
            if folder not in usual and next(self._layouts(folder), None):
                found.append(folder)
        return found

    def read_list(self, name: str) -> list[Item]:
        """Return the items of a list.

        It is a file (here or in the folder), the name of one in ImageSets/Main, or a folder of
        annotated images. A line is `image annotation` (relative to the folder; a tab between them
        where a name has spaces), or an image's name alone, as in ImageSets/Main. The lists of one
        class there have lines `image 1`, and 0 or -1; all of their images are taken. Where there
        are but these, as car_train and dog_train, train is all of them.

        Raises CaffeError with file and line.
        """
        own = self.root / SETS / f"{name}.txt"
        candidates = (Path(name), self.root / name, own)
        is_file = any(path.is_file() for path in candidates)
        if not is_file and (self.root / name).is_dir():
            items = self._all(name.rstrip("/"))
            if items:
                return items
        parts = lists_of_each_class(self.root / SETS, name)
        if parts and not is_file:
            once: dict[str, Item] = {}
            for item in (item for part in parts for item in self._listed(part)):
                once.setdefault(item.image, item)
            return list(once.values())
        return self._listed(image_lists.find(name, candidates, self.sets()))

    def _listed(self, path: Path) -> list[Item]:
        """Return the items of a list's file. Raises CaffeError with file and line."""
        rows = image_lists.read_list(path)
        if is_of_one_class(path, rows, self.root, self.root / SETS):
            self.findings.append(one_class_finding(path, rows))
            return [self.item(words[0], place) for place, words in rows]
        rows, finding = moved(rows, self.root)
        if finding:
            self.findings.append(finding)
        return image_lists.items_of(rows, self.item)


def _image_files(folder: Path, below: bool) -> list[Path]:
    """List the image files of a folder and, with `below`, of the folders in it, by name."""
    if below:
        return image_lists.images_below(folder)
    return image_lists.images_in(folder)


def _xml_files(base: Path, folder: str) -> list[Path]:
    """Return the XML files of a data set's folder of annotations, by name.

    folder: in base; "" for base itself, whose inner folders have layouts of their own.
    """
    if folder:
        return sorted((base / folder).rglob(XML_FILES))
    return sorted(base.glob(XML_FILES))


def _looks_like(path: Path) -> bool:
    """Return whether a folder has VOC's XML files, by the start of the first."""
    if not path.is_dir():
        return False
    source = Folder(path)
    for layout in source._layouts():
        first = source.root / f"{layout.annotations}{layout.stems[0]}.xml"
        if re.search(r"<annotation[\s>]", json_lines.start(first)):
            return True
    return False


KIND = Kind(
    name="voc",
    position=1,
    title="a VOC-style folder",
    notes="""
DIR has JPEGImages and Annotations, or images and annotations; or photographs with their XML files
beside them, as LabelImg saves them; all that also in folders below, such as train and valid;
or a folder of XML files beside imgs, data and the like. A LIST is ImageSets/Main/NAME.txt by its
NAME, such a folder, or a file with lines `image annotation` relative to DIR, or an image's name
alone. Without lists every annotation is taken.
Lists of one class, as car_train, have all images of a set: --classes car keeps those with a car.
LMDBs for training and testing come with a dataset.json, such as data/voc2007/dataset.json, which
`netgen build ID --dataset` takes.
""",
    examples="""
data_prep voc PHOTOS --test-share 0.2 --out data/mine
data_prep voc PHOTOS --list test.txt --labelmap labelmap.prototxt --out data/mine/test_lmdb
data_prep voc VOC2007 --train-list trainval --test-list test --labelmap voc --out data/voc2007
""",
    folder="folder with images and their XML files",
    open=Folder,
    options=(IMAGES_OPTION,),
    layout="""
DIR/Annotations/a.xml  <annotation> … <object><name>car</name> <bndbox>…
DIR/JPEGImages/a.jpg   or both beside each other
""",
    looks_like=_looks_like,
)
register(KIND)
