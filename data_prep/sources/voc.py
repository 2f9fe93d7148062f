"""VOC-style folders: lists of images, and the XML annotation of each."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.parsers import expat

from data_prep.images.encoding import IMAGE_NAMES
from data_prep.sources import image_lists
from data_prep.sources.kind import Kind
from data_prep.sources.source import NO_ALIASES, UNLABELLED, Annotation, Item, Object, read_each
from ssd_common.errors import CaffeError, ParseError

CORNERS = ("xmin", "ymin", "xmax", "ymax")
XML_FILES = "[!.]*.xml"  # without the ._*.xml that macOS leaves on other disks
IMAGES, ANNOTATIONS, SETS = "JPEGImages", "Annotations", "ImageSets/Main"
IMAGE_FOLDERS, ANNOTATION_FOLDERS = (IMAGES, "images", "Images", ""), (ANNOTATIONS, "annotations/xmls", "annotations", "")


class Element:
    """An XML element that knows its line."""

    __slots__ = ("children", "line", "tag", "text")

    def __init__(self, tag: str, line: int) -> None:
        self.tag, self.line, self.text = tag, line, ""
        self.children: list[Element] = []

    def find(self, tag: str) -> Element | None:
        """The first child of a tag; None where there is none."""
        return next((c for c in self.children if c.tag == tag), None)


def parse_xml(path: str | Path, data: bytes) -> Element:
    """The root element of a file's content. Raises ParseError with file and line."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    stack = [Element("", 0)]

    def start(tag: str, _: dict[str, str]) -> None:
        element = Element(tag, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def end(_: str) -> None:
        stack.pop()

    def text(value: str) -> None:
        stack[-1].text += value

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ParseError(str(path), f"not well-formed XML: {expat.ErrorString(error.code)}", error.lineno) from None
    except (ValueError, LookupError) as error:  # an encoding that Python does not have
        raise ParseError(str(path), f"not readable as XML: {error}", 1) from None
    return stack[0].children[0]


def read_annotation(path: str | Path) -> Annotation:
    """The VOC annotation in a file.

    Raises ParseError with file and line; OSError if it cannot be opened.

    Only an object's own name, difficult and bndbox count, not those of its parts. Two readings
    differ from the SSD fork's (src/caffe/util/io.cpp, ReadXMLToAnnotatedDatum): a coordinate with a
    fraction keeps it, where the fork reads 0; and a difficult flag counts also after the box, where
    the fork forgets it.
    """
    with open(path, "rb") as file:
        data = file.read()
    if plain := _read_plain(data):
        return plain
    root = parse_xml(path, data)
    if root.tag != "annotation":
        raise ParseError(str(path), f"not a VOC annotation: <{root.tag}> where <annotation> should be", root.line)
    size = root.find("size")
    width, height = (int(_number(path, size, side, 0)) if size else 0 for side in ("width", "height"))
    return Annotation(width, height, read_each(lambda o: _object(path, o), (c for c in root.children if c.tag == "object")))


def _read_plain(data: bytes) -> Annotation | None:
    """The annotation of a file without faults or peculiarities, in half the time.

    None leaves the file to the parser that knows its lines.
    """
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    objects = root.findall("object")
    if root.tag != "annotation" or data.count(b"<bndbox") != len(objects) or b"\r" in data or b"<!" in data:
        return None
    at, line = 0, 1
    found = []
    for o in objects:
        name, box, difficult = o.findtext("name", "").strip(), o.find("bndbox"), o.findtext("difficult", "").strip() == "1"
        corners = [box.findtext(corner, "") for corner in CORNERS] if box is not None else [""]
        digits = [*map(len, corners)]
        if not name.isprintable() or not name or not "".join(corners).isdecimal() or not 0 < min(digits) <= max(digits) < 9:
            return None
        start = data.index(b"<bndbox", at)
        line += data.count(b"\n", at, start)
        at = start + 1
        xmin, ymin, xmax, ymax = map(int, corners)
        found.append(Object(name, difficult, xmin, ymin, xmax, ymax, line))
    size = root.find("size")
    width, height = (size.findtext(side, "0") if size is not None else "0" for side in ("width", "height"))
    if not width.isdecimal() or not height.isdecimal() or len(width + height) > 16:
        return None
    return Annotation(int(width), int(height), found)


def _object(path: str | Path, element: Element) -> Object:
    name, box, difficult = (element.find(tag) for tag in ("name", "bndbox", "difficult"))
    if name is None or not name.text.strip():
        raise ParseError(str(path), "object without a name", element.line)
    try:
        named = image_lists.class_name(name.text)
    except ValueError as error:
        raise ParseError(str(path), str(error), name.line) from None
    if box is None:
        raise ParseError(str(path), f"object '{named}' without a bndbox", element.line)
    xmin, ymin, xmax, ymax = (_number(path, box, corner) for corner in CORNERS)
    return Object(named, difficult is not None and difficult.text.strip() == "1", xmin, ymin, xmax, ymax, box.line)


def _number(path: str | Path, parent: Element, tag: str, default: float | None = None) -> float:
    element = parent.find(tag)
    if element is None and default is not None:
        return default
    if element is None:
        raise ParseError(str(path), f"{parent.tag} without {tag}", parent.line)
    try:
        return image_lists.number(element.text)
    except ValueError:
        raise ParseError(str(path), f"{tag} is '{image_lists.shown(element.text.strip())}', not a number", element.line) from None


class Layout(NamedTuple):
    """Where images and annotations lie.

    images, annotations: folders relative to the data set's, with a slash; may have folders inside
    names: of images by name without extension, with and without an inner folder, since LabelImg can
      save annotations in a place of their own
    stems: names of annotations without extension
    """

    images: str
    annotations: str
    names: dict[str, str]
    stems: list[str]


def _stem(name: Path) -> str:
    """A name without extension; with its folder."""
    return name.with_suffix("").as_posix()


def _slashed(*folders: str) -> str:
    return "".join(f"{folder}/" for folder in folders if folder)


class Folder:
    """A VOC-style folder, or one above several for lists that name each file.

    Raises CaffeError where there is none.
    """

    whole_pixels = True
    classes: list[str] | None = None
    aliases = NO_ALIASES

    def __init__(self, root: Path) -> None:
        self.root = root
        if not root.is_dir():
            raise CaffeError(f"{root}: no such folder")

    def _layout(self, part: str = "") -> Layout | None:
        """The layout of the folder, or of one in it; None if it has no annotation."""
        base = self.root / part
        for folder in ANNOTATION_FOLDERS:
            # Folders inside the data set's own folder have layouts of their own.
            found = (base / folder).rglob(XML_FILES) if folder else base.glob(XML_FILES)
            if files := sorted(found):
                break
        else:
            return None
        stems = [_stem(path.relative_to(base / folder)) for path in files]
        images = next(f for f in IMAGE_FOLDERS if (base / f).is_dir())
        list_images = image_lists.images_below if images or folder else image_lists.images_in
        inner = [path.relative_to(base / images) for path in list_images(base / images)]
        names = {_stem(name): name.as_posix() for name in inner}
        for stem, name in list(names.items()):
            names.setdefault(Path(stem).name, name)
        return Layout(_slashed(part, images), _slashed(part, folder), names, stems)

    def _layouts(self, part: str = "") -> Iterator[Layout]:
        """The layouts of the folder, or of one in it, and of those below."""
        layout = self._layout(part)
        if layout:
            yield layout
        if not layout or layout.annotations == _slashed(part):  # an Annotations folder has those of the folders below, too
            for name in self._folders(part):
                yield from self._layouts(name)

    def _folders(self, part: str = "") -> list[str]:
        """The folders in the folder or in one in it, but for links to folders that they are in."""
        base = self.root / part
        inner = (p for p in sorted(base.iterdir()) if p.is_dir() and p.name[0] != "." and not base.resolve().is_relative_to(p.resolve()))
        return [p.relative_to(self.root).as_posix() for p in inner]

    @functools.cached_property
    def _own(self) -> Layout:
        """The folder's own layout; as in VOC where it has no annotation."""
        return self._layout() or Layout(f"{IMAGES}/", f"{ANNOTATIONS}/", {}, [])

    def item(self, name: str, place: str | None = None) -> Item:
        """The item of an image's name, with or without folder and extension."""
        images, annotations, names, _ = self._own
        bare, stem = name, name
        if Path(name).suffix.lower() in IMAGE_NAMES:
            bare = _stem(Path(name))
            stem = Path(bare).name
        stem = next((s for s in (name, bare) if s in names), stem)
        return Item(f"{images}{names.get(stem, stem + '.jpg')}", f"{annotations}{stem}.xml", place)

    def _all(self, part: str = "") -> list[Item]:
        """An item for each annotation of the folder, or of one in it, and below, by name."""
        return [
            Item(f"{layout.images}{layout.names.get(s, s + '.jpg')}", f"{layout.annotations}{s}.xml")
            for layout in self._layouts(part)
            for s in layout.stems
        ]

    def items(self) -> list[Item]:
        """Every annotation of the folder and of those below, by name.

        Raises CaffeError if there is none.
        """
        items = self._all()
        if not items:
            said = f"no annotation (*.xml) there or in its folder {ANNOTATIONS}"
            raise CaffeError(f"{self.root}: {said} (--list takes them from elsewhere)")
        return items

    def read(self, item: Item) -> Annotation:
        """The annotation of an image; an empty one where none is published.

        Raises as read_annotation.
        """
        if item.annotation == UNLABELLED:
            return Annotation(0, 0, [])
        return read_annotation(self.file(item))

    def file(self, item: Item) -> str:
        """The XML file of an item."""
        return os.path.join(self.root, item.annotation)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_own"}  # a long list, and workers do without

    def sets(self) -> list[str]:
        """Names of the image sets, or of inner folders that are some, as train and valid."""
        parts = (f for f in self._folders() if f not in (*IMAGE_FOLDERS, *ANNOTATION_FOLDERS) and next(self._layouts(f), None))
        return sorted(p.stem for p in (self.root / SETS).glob("*.txt")) or list(parts)

    def read_list(self, name: str) -> list[Item]:
        """The items of a list.

        It is a file (here or in the folder), the name of one in ImageSets/Main, or a folder of
        annotated images. A line is `image annotation` (relative to the folder; a tab between them
        where a name has spaces), or an image's name alone, as in ImageSets/Main.

        Raises CaffeError with file and line.
        """
        candidates = (Path(name), self.root / name, self.root / SETS / f"{name}.txt")
        if not any(p.is_file() for p in candidates) and (self.root / name).is_dir() and (items := self._all(name.rstrip("/"))):
            return items
        path = image_lists.find(name, candidates, self.sets())
        return image_lists.read_items(path, self.item)


KIND = Kind(
    title="a VOC-style folder",
    notes="""
DIR has JPEGImages and Annotations, or images and annotations; or photographs with their XML files
beside them, as LabelImg saves them; all that also in folders below, such as train and valid. A
LIST is ImageSets/Main/NAME.txt by its NAME, such a folder, or a file with lines `image
annotation` relative to DIR, or an image's name alone. Without lists every annotation is taken.
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
)
