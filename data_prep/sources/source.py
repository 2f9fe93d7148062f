"""What every kind of data set offers: a list of annotated images, and the annotation of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol, TypeVar

from ssd_common.errors import CaffeError, ParseError

T = TypeVar("T")
Row = TypeVar("Row")

NO_ALIASES: Mapping[str, str] = MappingProxyType({})
# In a list, in place of an annotation: an image of a test set whose labels are not published.
UNLABELLED = "0"


class Item(NamedTuple):
    """One image and its annotation.

    image: path relative to the data set's folder, or absolute; its key in the LMDB
    annotation: what the source finds the annotation by
    place: the list's `file:line`, or None
    name: in name_size files; None for the image's name without extension
    content: the annotation itself, in the source's own words, where one file holds those of many
      images
    """

    image: str
    annotation: str
    place: str | None = None
    name: str | None = None
    content: str | None = None


class Object(NamedTuple):
    """One object of an annotation.

    Box: pixels as the file has them, whole ones as int; line: of its box in the file.
    """

    name: str
    difficult: bool
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    line: int


class Annotation(NamedTuple):
    """The annotation of one image; width and height in pixels, 0 where the file does not say."""

    width: int
    height: int
    objects: list[Object]


class Unreadable(CaffeError):
    """An annotation with several things that cannot be read. errors: each of them."""

    def __init__(self, errors: list[ParseError]) -> None:
        super().__init__(f"{errors[0]} (and {len(errors) - 1} more in it)")
        self.errors = errors


def read_each(read: Callable[[Row], T], rows: Iterable[Row]) -> list[T]:
    """What read makes of each row of an annotation.

    Raises Unreadable, or the ParseError itself where it refuses a single row.
    """
    found, errors = list[T](), list[ParseError]()
    for row in rows:
        try:
            found.append(read(row))
        except ParseError as error:
            errors.append(error)
    if errors:
        raise errors[0] if len(errors) == 1 else Unreadable(errors)
    return found


class Source(Protocol):
    """A data set.

    Goes by pickle to other processes, which call read alone: it must be small or find things by
    itself there.

    root: the folder that images are relative to
    whole_pixels: the fork's tool reads only whole numbers from its annotations
    classes: names in the order of a label map to be made, known once the items are; None for those
      that occur, by name
    """

    root: Path
    whole_pixels: bool

    @property
    def classes(self) -> list[str] | None:
        """Names in the order of their labels; None for those that occur, by name."""
        ...

    @property
    def aliases(self) -> Mapping[str, str]:
        """Labels to classes, for maps that go by labels, as the fork's coco_voc_map.txt."""
        ...

    def items(self) -> list[Item]:
        """Every annotated image, in the order that it has in an LMDB.

        Raises CaffeError if there is none.
        """
        ...

    def read_list(self, name: str) -> list[Item]:
        """The items of a list: a file, or the name of one of sets().

        Raises CaffeError with file and line.
        """
        ...

    def sets(self) -> list[str]:
        """Names of lists that the data set itself has."""
        ...

    def read(self, item: Item) -> Annotation:
        """The annotation of an image.

        Raises ParseError with file and line, Unreadable with several of them, or FileNotFoundError.
        """
        ...

    def file(self, item: Item) -> str:
        """What messages name as the file of an item's annotation."""
        ...


def list_line(item: Item) -> str:
    """An item as read_list and the fork's tools read it."""
    between = "\t" if " " in item.image + item.annotation else " "
    return f"{item.image}{between}{item.annotation}"
