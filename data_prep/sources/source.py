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

    image: path relative to the data set's folder, or absolute; its key in the LMDB.
    annotation: tells the source where to find the annotation.
    place: the list's `file:line`, or None.
    name: in name_size files; None for the image's name without extension.
    content: the annotation itself, in the source's own form, where one file holds the annotations
      of many images.
    """

    image: str
    annotation: str
    place: str | None = None
    name: str | None = None
    content: str | None = None


class Object(NamedTuple):
    """One object of an annotation.

    xmin, ymin, xmax, ymax: its box as the file has it (pixels, whole ones as int).
    line: of its box in the file, from 1.
    """

    name: str
    difficult: bool
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    line: int


class Remark(NamedTuple):
    """Something that a report shall say about an annotation that could be read.

    kind: of data_prep.checks.faults.FAULT_KINDS: "enclosed", "left-out", "ignored", …
    line: in the annotation's file, from 1.
    message: what it is, in words.
    subject: remarks of one kind and subject count as one in a short report.
    name: class that it is about; "" where it is about none.
    """

    kind: str
    line: int
    message: str
    subject: str = ""
    name: str = ""


class Finding(NamedTuple):
    """Something that a report shall say about a data set, beside what it says of each annotation.

    kind: of data_prep.checks.faults.FAULT_KINDS.
    place: `file:line`, or a file.
    """

    kind: str
    place: str
    message: str


class Annotation(NamedTuple):
    """The annotation of one image; width and height in pixels, 0 where the file does not say.

    remarks: what a report shall say of it.
    """

    width: int
    height: int
    objects: list[Object]
    remarks: tuple[Remark, ...] = ()


class Unreadable(CaffeError):
    """An annotation with several faults that keep it from being read.

    errors: one for each fault.
    """

    def __init__(self, errors: list[ParseError]) -> None:
        super().__init__(f"{errors[0]} (and {len(errors) - 1} more in it)")
        self.errors = errors


def read_each(read: Callable[[Row], T], rows: Iterable[Row]) -> list[T]:
    """Return what `read` makes of each row of an annotation.

    Raises the ParseError of read where it refuses one row, Unreadable where it refuses several.
    """
    found: list[T] = []
    errors: list[ParseError] = []
    for row in rows:
        try:
            found.append(read(row))
        except ParseError as error:
            error.__context__ = None  # it and the traceback hold the frames, and what they read
            errors.append(error.with_traceback(None))
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise Unreadable(errors)
    return found


class Source(Protocol):
    """A data set.

    A build pickles it for other processes, which only call read: it must be small, or find things
    by itself there.

    It may have `findings`, a sequence of Finding, complete after `items` or `read_list`.

    root: the folder that images are relative to.
    whole_pixels: whether the fork's tool reads only whole numbers from its annotations.
    """

    root: Path
    whole_pixels: bool

    @property
    def classes(self) -> list[str] | None:
        """Names of classes in the order of their labels, known after `items` or `read_list`.

        None where the data set lists none: its classes are then those that occur, by name.
        """
        ...

    @property
    def aliases(self) -> Mapping[str, str]:
        """Labels to classes, for maps that go by labels, as the fork's coco_voc_map.txt."""
        ...

    def items(self) -> list[Item]:
        """Return every annotated image, in the order that it has in an LMDB.

        Raises CaffeError if there is none.
        """
        ...

    def read_list(self, name: str) -> list[Item]:
        """Return the items of a list: a file, or the name of one of sets().

        Raises CaffeError with file and line.
        """
        ...

    def sets(self) -> list[str]:
        """Return names of the data set's own lists."""
        ...

    def read(self, item: Item) -> Annotation:
        """Return the annotation of an image.

        Raises ParseError with file and line, Unreadable with several of them, or FileNotFoundError.
        """
        ...

    def file(self, item: Item) -> str:
        """Return the file that messages name for an item's annotation."""
        ...


def list_line(item: Item) -> str:
    """Write an item as read_list and the fork's tools read it, with a tab for names with spaces."""
    if " " in item.image + item.annotation:
        return f"{item.image}\t{item.annotation}"
    return f"{item.image} {item.annotation}"
