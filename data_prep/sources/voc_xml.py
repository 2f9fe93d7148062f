"""VOC's XML: the annotation of one image in a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree
from xml.parsers import expat

from data_prep.sources import fields
from data_prep.sources.source import Annotation, Object, Remark, read_each
from data_prep.sources.xml_text import as_utf8
from ssd_common.errors import CaffeError, ParseError
from ssd_common.files import read_regular

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_annotation(path: str | Path) -> Annotation:
    """Return the VOC annotation in a file.

    Only an object's own name, difficult and bndbox count, not those of its parts; of several boxes
    the last, as in the SSD fork. Two readings differ from the fork's: a coordinate with a fraction
    keeps it, where the fork reads 0; and a difficult flag counts also after the box, where the fork
    forgets it.

    Raises ParseError with file and line; OSError if it cannot be opened.
    Source: weiliu89/caffe (ssd), src/caffe/util/io.cpp, ReadXMLToAnnotatedDatum.
    """
    data = read_regular(path)
    plain = _read_plain(data)
    if plain:
        return plain
    root, note = parse_xml(path, data)
    remarks = []
    if note:
        remarks.append(Remark("encoding", 1, note, note))
    if root.tag != "annotation":
        wanted = f"<{root.tag}> where <annotation> should be"
        fault = f"not a VOC annotation: {wanted}"
        raise ParseError(str(path), fault, root.line)
    width = height = 0
    size = root.find("size")
    if size:
        width = int(_number(path, size, "width", 0))
        height = int(_number(path, size, "height", 0))
    elements = [child for child in root.children if child.tag == "object"]
    objects = read_each(lambda element: _object(path, element), elements)
    for element in elements:
        remarks += _several(element)
    return Annotation(width, height, objects, tuple(remarks))


def _read_plain(data: bytes) -> Annotation | None:
    """Read a file without faults or peculiarities, in half the time.

    Returns None for any other file, which needs the parser that knows its lines.
    """
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    elements = root.findall("object")
    if root.tag != "annotation" or data.count(b"<bndbox") != len(elements):
        return None
    # Expat counts a carriage return alone as a line, too.
    if b"<!" in data or data.count(b"\r") != data.count(b"\r\n"):
        return None
    at = 0
    line = 1
    objects = []
    for element in elements:
        start = data.index(b"<bndbox", at)
        line += data.count(b"\n", at, start)
        at = start + 1
        found = _plain_object(element, line)
        if not found:
            return None
        objects.append(found)
    size = root.find("size")
    if size is None:
        return Annotation(0, 0, objects)
    width = size.findtext("width", "0")
    height = size.findtext("height", "0")
    digits = width + height
    if not width.isdecimal() or not height.isdecimal() or len(digits) > 16:
        return None
    return Annotation(int(width), int(height), objects)


def _plain_object(element: ElementTree.Element, line: int) -> Object | None:
    """Return the object of an element without faults or peculiarities; None for any other.

    line: of its box.
    """
    name = element.findtext("name", "").strip()
    box = element.find("bndbox")
    if len(element.findall("name")) != 1:
        return None
    if box is None or not name or not name.isprintable():
        return None
    sides = [box.findtext(corner, "") for corner in CORNERS]
    try:
        xmin, ymin, xmax, ymax = map(fields.number, sides)
    except ValueError:
        return None
    difficult = element.findtext("difficult", "").strip() == "1"
    return Object(name, difficult, xmin, ymin, xmax, ymax, line)


def said_image(path: Path) -> PurePosixPath:
    """Return what an annotation says of its image: `folder/filename`, "." where it says nothing.

    Without the folders that software writes into <filename>, with backslashes or without.
    """
    try:
        root, _ = parse_xml(path, read_regular(path))
    except (CaffeError, OSError):
        return PurePosixPath()
    words = []
    for tag in ("folder", "filename"):
        element = root.find(tag) or Element(tag, 0)
        words.append(element.text.strip().replace("\\", "/").rpartition("/")[2])
    folder, name = words
    if not name:
        return PurePosixPath()
    return PurePosixPath(folder, name)


class Element:
    """An XML element that knows its line, from 1."""

    __slots__ = ("_texts", "children", "line", "tag")

    def __init__(self, tag: str, line: int) -> None:
        self.tag = tag
        self.line = line
        self.children: list[Element] = []
        self._texts: list[str] = []

    @property
    def text(self) -> str:
        """All text in the element, without that of its children."""
        return "".join(self._texts)

    def add_text(self, text: str) -> None:
        """Add a piece of text. A piece stands between any two children: there can be many."""
        self._texts.append(text)

    def find(self, tag: str) -> Element | None:
        """Return the first child of a tag; None where there is none."""
        for child in self.children:
            if child.tag == tag:
                return child
        return None


def parse_xml(path: str | Path, data: bytes) -> tuple[Element, str]:
    """Return the root element of a file's content, and a note on its encoding.

    A file that is not as the standard has it is read as the fork's own reader does: in an encoding
    that it does not declare, after a blank line, or with an ampersand that stands for itself.

    Returns as_utf8's note, "" where none is needed. Raises ParseError with file and line.
    """
    try:
        return _parsed(data), ""
    except (expat.ExpatError, ValueError, LookupError):  # an encoding that expat does not have
        converted, note = as_utf8(data)
    try:
        return _parsed(converted, "utf-8"), note
    except expat.ExpatError as error:
        fault = f"not well-formed XML: {expat.ErrorString(error.code)}"
        raise ParseError(str(path), fault, error.lineno) from None


def _parsed(data: bytes, encoding: str | None = None) -> Element:
    """Return the root element.

    encoding: None for the one that data declares.
    Raises ExpatError, and ValueError or LookupError for an encoding that the parser does not have.
    """
    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    stack = [Element("", 0)]

    def start(tag: str, _: dict[str, str]) -> None:
        element = Element(tag, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def end(_: str) -> None:
        stack.pop()

    def text(value: str) -> None:
        stack[-1].add_text(value)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.Parse(data, True)
    return stack[0].children[0]


def _several(element: Element) -> Iterator[Remark]:
    """Yield remarks on an object that has several boxes, or names."""
    names = [child.text.strip() for child in element.children if child.tag == "name"]
    boxes = [child.line for child in element.children if child.tag == "bndbox"]
    name = names[0]
    if len(boxes) > 1:
        message = f"object '{name}' has {len(boxes)} boxes: the last is taken"
        yield Remark("several", boxes[-1], message, name=name)
    if len(set(names)) > 1:
        message = f"object '{name}' is also called '{fields.excerpt(names[-1])}', which is left out"
        yield Remark("several", element.line, message, name=name)


def _object(path: str | Path, element: Element) -> Object:
    """Return the object of an element. Raises ParseError."""
    name = element.find("name")
    if name is None or not name.text.strip():
        raise ParseError(str(path), "object without a name", element.line)
    try:
        class_name = fields.class_name(name.text)
    except ValueError as error:
        raise ParseError(str(path), str(error), name.line) from None
    boxes = [child for child in element.children if child.tag == "bndbox"]
    if not boxes:
        fault = f"object '{class_name}' without a bndbox"
        raise ParseError(str(path), fault, element.line)
    box = boxes[-1]
    xmin, ymin, xmax, ymax = (_number(path, box, corner) for corner in CORNERS)
    flag = element.find("difficult")
    difficult = flag is not None and flag.text.strip() == "1"
    return Object(class_name, difficult, xmin, ymin, xmax, ymax, box.line)


def _number(path: str | Path, parent: Element, tag: str, default: float | None = None) -> float:
    """Return the number in a child, the default where there is no such child. Raises ParseError."""
    element = parent.find(tag)
    if element is None and default is not None:
        return default
    if element is None:
        fault = f"{parent.tag} without {tag}"
        raise ParseError(str(path), fault, parent.line)
    try:
        return fields.number(element.text)
    except ValueError:
        given = fields.excerpt(element.text.strip())
        fault = f"{tag} is '{given}', not a number"
        raise ParseError(str(path), fault, element.line) from None
