"""VOC-style folders: lists of images, and the XML annotation of each."""

from __future__ import annotations

import argparse
import functools
import os
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from caffe_ir.errors import CaffeError, ParseError
from data_prep.image import IMAGE_NAMES
from data_prep.source import NO_ALIASES, UNLABELLED, Annotation, Item, Object
from data_prep.sources import lists

HELP = "a VOC-style folder"
EPILOG = """A list has lines `image annotation` relative to DIR, or an image's name alone; ImageSets/Main/NAME.txt goes by NAME.
Without lists every annotation in DIR/Annotations is taken.

examples:
  data_prep voc PHOTOS --list test.txt --labelmap labelmap.prototxt --out data/mine/test_lmdb
  data_prep voc VOC2007 --train-list trainval --test-list test --labelmap voc --out data/voc2007
The second also writes data/voc2007/dataset.json, for `netgen build ID --dataset data/voc2007/dataset.json`."""
CORNERS = ("xmin", "ymin", "xmax", "ymax")
IMAGES, ANNOTATIONS, SETS = "JPEGImages", "Annotations", "ImageSets/Main"


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder with JPEGImages and Annotations")


def open_source(args: argparse.Namespace) -> Folder:
    return Folder(args.folder)


class Element:
    """An XML element that knows its line."""

    __slots__ = ("children", "line", "tag", "text")

    def __init__(self, tag: str, line: int) -> None:
        self.tag, self.line, self.text = tag, line, ""
        self.children: list[Element] = []

    def find(self, tag: str) -> Element | None:
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
    """The VOC annotation in a file. Raises ParseError with file and line; OSError if it cannot be opened.

    Only an object's own name, difficult and bndbox count, not those of its parts. Two readings differ from the SSD fork's
    (src/caffe/util/io.cpp, ReadXMLToAnnotatedDatum): a coordinate with a fraction keeps it, where the fork reads 0; and a
    difficult flag counts also after the box, where the fork forgets it.
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
    return Annotation(width, height, [_object(path, o) for o in root.children if o.tag == "object"])


def _read_plain(data: bytes) -> Annotation | None:
    """The annotation of a file without faults or peculiarities, in half the time; None leaves it to the parser that knows its lines."""
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
        if not name.isprintable() or not name or not all(c.isdecimal() and len(c) < 9 for c in corners):
            return None
        start = data.index(b"<bndbox", at)
        line += data.count(b"\n", at, start)
        at = start + 1
        xmin, ymin, xmax, ymax = map(int, corners)
        found.append(Object(name, difficult, xmin, ymin, xmax, ymax, line))
    size = root.find("size")
    width, height = (size.findtext(side, "0") if size is not None else "0" for side in ("width", "height"))
    return Annotation(int(width), int(height), found) if width.isdecimal() and height.isdecimal() and len(width + height) < 17 else None


def _object(path: str | Path, element: Element) -> Object:
    name, box, difficult = (element.find(tag) for tag in ("name", "bndbox", "difficult"))
    if name is None or not name.text.strip():
        raise ParseError(str(path), "object without a name", element.line)
    try:
        named = lists.class_name(name.text)
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
        return lists.number(element.text)
    except ValueError:
        raise ParseError(str(path), f"{tag} is '{lists.shown(element.text.strip())}', not a number", element.line) from None


class Folder:
    """A VOC-style folder, or one above several for lists that name each file. Raises CaffeError where there is none."""

    whole_pixels = True
    classes: list[str] | None = None
    aliases = NO_ALIASES

    def __init__(self, root: Path) -> None:
        self.root = root
        if not root.is_dir():
            raise CaffeError(f"{root}: no such folder")

    @functools.cached_property
    def _images(self) -> dict[str, str]:
        """Name without extension to name, of every image."""
        for part in (IMAGES, ANNOTATIONS):
            if not (self.root / part).is_dir():
                raise CaffeError(f"{self.root / part}: no such folder (a VOC-style folder has {IMAGES} and {ANNOTATIONS})")
        return {p.stem: p.name for p in sorted((self.root / IMAGES).iterdir()) if p.suffix.lower() in IMAGE_NAMES}

    def item(self, name: str, place: str | None = None) -> Item:
        """The item of an image's name without folder and extension."""
        return Item(f"{IMAGES}/{self._images.get(name, name + '.jpg')}", f"{ANNOTATIONS}/{name}.xml", place)

    def items(self) -> list[Item]:
        """Every annotation of the folder, by name. Raises CaffeError if there is none."""
        items = [self.item(p.stem) for p in sorted((self.root / ANNOTATIONS).glob("*.xml"))]
        if not items:
            raise CaffeError(f"{self.root / ANNOTATIONS}: no annotation (*.xml) there (--list takes them from elsewhere)")
        return items

    def read(self, item: Item) -> Annotation:
        return Annotation(0, 0, []) if item.annotation == UNLABELLED else read_annotation(self.file(item))

    def file(self, item: Item) -> str:
        return os.path.join(self.root, item.annotation)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_images"}  # a long list, and workers do without

    def sets(self) -> list[str]:
        """Names of the folder's own image sets."""
        return sorted(p.stem for p in (self.root / SETS).glob("*.txt"))

    def read_list(self, name: str) -> list[Item]:
        """The items of a list: a file (here or in the folder), or the name of one in ImageSets/Main.

        A line is `image annotation` (relative to the folder; a tab between them where a name has spaces), or an image's
        name alone, as in ImageSets/Main. Raises CaffeError with file and line.
        """
        path = lists.find(name, (Path(name), self.root / name, self.root / SETS / f"{name}.txt"), self.sets())
        return [
            self.item(words[0], place) if len(words) == 1 else Item(words[0], words[1], place) for place, words in lists.read_list(path)
        ]
