"""Annotations as items carry them, where one file holds the annotations of many images."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from data_prep.sources import fields
from data_prep.sources.image_finder import contradict
from data_prep.sources.image_places import Place
from data_prep.sources.source import Item, Object, Remark, read_each
from ssd_common.errors import ParseError

# A row of a file, which its kind knows how to read, or `line:fault`.
Row = list[Any] | str


class Carried(NamedTuple):
    """The annotation of one image.

    width, height: of the image (pixels), 0 where the file does not say.
    fractions: boxes are in fractions of the image.
    """

    width: int
    height: int
    fractions: bool
    remarks: list[Remark]
    rows: list[Row]

    def objects(
        self, read: Callable[[list[Any]], Object], file: str, image: str = ""
    ) -> list[Object]:
        """Return what `read` makes of each row.

        file: the annotation's, for errors.
        image: begins what they say; "" for the fault alone.
        Raises ParseError, Unreadable for several.
        """

        def read_row(row: Row) -> Object:
            if isinstance(row, str):
                line, _, fault = row.partition(":")
                raise ParseError(file, f"{image}{fault}", int(line))
            return read(row)

        return read_each(read_row, self.rows)


def pack(size: tuple[int, int], rows: str, fractions: bool, remarks: tuple[Remark, ...]) -> str:
    """Return an annotation as an item carries it.

    size: width and height.
    rows: each as JSON, after a comma.
    """
    head = json.dumps([*size, int(fractions), remarks], separators=(",", ":"))
    return head + rows


def unpack(content: str | None) -> Carried:
    """Return the annotation that pack packed."""
    (width, height, fractions, remarks), *rows = json.loads(f"[{content}]")
    return Carried(width, height, bool(fractions), [Remark(*one) for one in remarks], rows)


def as_row(line: int, fault: str) -> str:
    """Return a fault as a row."""
    return json.dumps(f"{line}:{fault}")


class Gathered:
    """The items of one annotation file: one for each image file, however often it is named."""

    def __init__(self) -> None:
        self._by_image: dict[str, Item] = {}
        # The names that led to images, and the images that were found by their names alone.
        self._names: dict[str, str] = {}
        self._guessed: set[str] = set()

    def add(self, item: Item, name: str, place: Place, line: int) -> None:
        """Keep an item; one of an image that is there already adds its objects to it.

        name: of the image, as the file has it.
        line: of the file, where it names the image.
        """
        image = item.image
        content = item.content or ""
        if place.fault:
            content += "," + as_row(line, place.fault)
        if place.remarks:
            self._guessed.add(image)
        first = self._by_image.get(image)
        if first is None:
            self._by_image[image] = item._replace(content=content)
            self._names[image] = name
        elif image in self._guessed and contradict(self._names[image], name):
            both = f"'{fields.excerpt(self._names[image])}' and '{fields.excerpt(name)}'"
            row = as_row(line, f"{both} would both be {image}")
            self._by_image[image] = first._replace(content=f"{first.content},{row}")
        else:
            said = Remark("merged", line, f"'{fields.excerpt(name)}' is there a second time")
            merged = _merged(first.content or "", content, said)
            self._by_image[image] = first._replace(content=merged)

    def items(self) -> list[Item]:
        """Return the items, in the order of the first that named each image."""
        return list(self._by_image.values())


def _merged(first: str, second: str, said: Remark) -> str:
    """Return two annotations of one image as one. said: a remark on it."""
    one, two = unpack(first), unpack(second)
    size = (one.width, one.height)
    if not all(size):
        size = (two.width, two.height)
    rows = "".join("," + json.dumps(row, separators=(",", ":")) for row in one.rows + two.rows)
    return pack(size, rows, one.fractions, (*one.remarks, said))
