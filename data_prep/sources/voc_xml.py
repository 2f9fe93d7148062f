"""VOC's XML: the annotation of one image in a file."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from data_prep.sources import fields
from data_prep.sources.source import Annotation, Object, read_each
from ssd_common.errors import ParseError
from ssd_common.files import read_regular

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_annotation(path: str | Path) -> Annotation:
    """Return the VOC annotation in a file.

    Only an object's own name, difficult and bndbox count, not those of its parts. Two readings
    differ from the SSD fork's: a coordinate with a fraction keeps it, where the fork reads 0; and a
    difficult flag counts also after the box, where the fork forgets it.

    Raises ParseError with file and line; OSError if it cannot be opened.
    Source: weiliu89/caffe (ssd), src/caffe/util/io.cpp, ReadXMLToAnnotatedDatum.
    """
    data = read_regular(path)
    plain = _read_plain(data)
    if plain:
        return plain
    root = parse_xml(path, data)
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
    return Annotation(width, height, objects)


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
    if box is None or not name or not name.isprintable():
        return None
    try:
        xmin, ymin, xmax, ymax = (fields.number(box.findtext(corner, "")) for corner in CORNERS)
    except ValueError:
        return None
    difficult = element.findtext("difficult", "").strip() == "1"
    return Object(name, difficult, xmin, ymin, xmax, ymax, line)


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


def parse_xml(path: str | Path, data: bytes) -> Element:
    """Return the root element of a file's content. Raises ParseError with file and line."""
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
        stack[-1].add_text(value)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        fault = f"not well-formed XML: {expat.ErrorString(error.code)}"
        raise ParseError(str(path), fault, error.lineno) from None
    except (ValueError, LookupError) as error:  # an encoding that Python does not have
        raise ParseError(str(path), f"not readable as XML: {error}", 1) from None
    return stack[0].children[0]


def _object(path: str | Path, element: Element) -> Object:
    """Return the object of an element. Raises ParseError."""
    name = element.find("name")
    if name is None or not name.text.strip():
        raise ParseError(str(path), "object without a name", element.line)
    try:
        class_name = fields.class_name(name.text)
    except ValueError as error:
        raise ParseError(str(path), str(error), name.line) from None
    box = element.find("bndbox")
    if box is None:
        fault = f"object '{class_name}' without a bndbox"
        raise ParseError(str(path), fault, element.line)
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
