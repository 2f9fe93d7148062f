"""Reads CVAT's XML as a stream: images, tracks of videos, and the labels in its head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

from data_prep.sources import fields
from ssd_common.errors import ParseError
from ssd_common.files import open_regular

SHAPES = (
    "box",
    "polygon",
    "polyline",
    "points",
    "ellipse",
    "mask",
    "cuboid",
    "skeleton",
    "tag",
)
CHUNK = 1 << 20  # bytes parsed at a time


class Element(NamedTuple):
    """An element with what is in it.

    tag: "image", "track", or one of SHAPES.
    attributes: of the element.
    shapes: of an image or a track.
    flags: what the <attribute> children of a shape say, by name.
    """

    tag: str
    attributes: dict[str, str]
    line: int
    shapes: list[Element]
    flags: dict[str, str]


class Head:
    """What the head of a file says.

    labels: names of classes, in order; without those of skeletons' points and of whole images.
    size: of a video's frames (pixels), (0, 0) where it is not said.
    """

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.size = (0, 0)


class Reader:
    """Reads one file.

    head: what its head says, complete once the first element comes.
    """

    def __init__(self, path: Path) -> None:
        self.head = Head()
        self._path = path
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._character_data
        self._tags: list[str] = []
        self._text = ""
        self._attribute = ""
        self._label: dict[str, str] = {}
        self._size: dict[str, str] = {}
        self._open: list[Element] = []  # an image or a track, and a shape of it
        self._done: list[Element] = []

    def elements(self) -> Iterator[Element]:
        """Yield every image and track. Raises ParseError with file and line, OSError."""
        with open_regular(self._path) as file:
            while data := file.read(CHUNK):
                self._parse(data)
                yield from self._done
                self._done.clear()
        self._parse(b"", last=True)

    def _parse(self, data: bytes, *, last: bool = False) -> None:
        """Parse a piece of the file. Raises ParseError."""
        try:
            self._parser.Parse(data, last)
        except expat.ExpatError as error:
            fault = f"not well-formed XML: {expat.ErrorString(error.code)}"
            raise ParseError(str(self._path), fault, error.lineno) from None
        except (ValueError, LookupError) as error:  # an encoding that Python does not have
            raise ParseError(str(self._path), f"not readable as XML: {error}", 1) from None

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._tags and tag != "annotations":
            line = self._parser.CurrentLineNumber
            wanted = f"<{fields.excerpt(tag)}> where <annotations> should be"
            raise ParseError(str(self._path), f"not CVAT's XML: {wanted}", line)
        is_outer = self._tags == ["annotations"] and tag in ("image", "track")
        if is_outer or (len(self._open) == 1 and tag in SHAPES):
            line = self._parser.CurrentLineNumber
            self._open.append(Element(tag, attributes, line, [], {}))
        self._attribute = attributes.get("name", "")
        self._tags.append(tag)
        self._text = ""

    def _character_data(self, text: str) -> None:
        self._text += text

    def _end(self, tag: str) -> None:
        parents = tuple(self._tags[-3:-1])
        self._tags.pop()
        if self._open:
            self._end_inside(tag)
        elif parents == ("labels", "label"):
            self._label[tag] = self._text.strip()
        elif parents[-1:] == ("labels",):
            self._add_label()
        elif parents[-1:] == ("original_size",):
            self._size[tag] = self._text.strip()
            self.head.size = (_side(self._size, "width"), _side(self._size, "height"))

    def _end_inside(self, tag: str) -> None:
        """End an element in an image or a track, or that itself."""
        if tag == "attribute" and self._tags[-1] in SHAPES and len(self._open) == 2:
            self._open[-1].flags[self._attribute] = self._text.strip()
        if len(self._tags) == len(self._open) and tag == self._open[-1].tag:
            found = self._open.pop()
            if self._open:
                self._open[-1].shapes.append(found)
            else:
                self._done.append(found)

    def _add_label(self) -> None:
        """Keep a label of the head that is a class of objects."""
        name = self._label.get("name", "")
        is_class = self._label.get("type") != "tag" and not self._label.get("parent")
        if name and is_class and name not in self.head.labels:
            self.head.labels.append(name)
        self._label = {}


def _side(values: Mapping[str, str], key: str) -> int:
    """Return a side of the head's original_size, 0 for what is no such number."""
    value = values.get(key, "")
    if fields.is_whole(value) and len(value) < 7:
        return int(value)
    return 0
