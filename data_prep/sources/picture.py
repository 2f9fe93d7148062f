"""What an annotation file says of one image, whatever its format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from data_prep.sources import fields
from data_prep.sources.kind import Option
from data_prep.sources.source import Annotation, Object, Remark, Unreadable
from ssd_common.errors import ParseError

Row = TypeVar("Row")

DIFFICULT = "difficult"
# For the kinds whose objects have attributes or flags.
DIFFICULT_IF = Option(
    "difficult_if",
    f"an attribute or flag, such as occluded, that makes an object difficult like the one called"
    f" {DIFFICULT}; may be repeated",
    metavar="NAME",
    repeated=True,
)


class Shape(NamedTuple):
    """One shape of an annotation file.

    name: of its class.
    box: xmin, ymin, xmax, ymax (pixels).
    kind: "polygon", "turned box", …; "" for an upright box.
    """

    name: str
    box: Sequence[float]
    difficult: bool = False
    kind: str = ""


class LeftOut(NamedTuple):
    """A shape that no object is made of.

    kind: of the remark that says so, "left-out" or "ignored".
    what: it is, in words.
    """

    what: str
    name: str = ""
    kind: str = "left-out"


class Picture:
    """The annotation of one image.

    name: the image as the file names it.
    line: where the file begins to speak of it, from 1.
    width, height: of the image (pixels), 0 where the file does not say.
    waiting: rows whose shapes need the size of the image itself, as JSON has them; the format's
      `read` takes them.
    """

    def __init__(self, name: str, line: int = 1, width: int = 0, height: int = 0) -> None:
        self.name = name
        self.line = line
        self.width = width
        self.height = height
        self.objects: list[Object] = []
        self.remarks: list[Remark] = []
        self.errors: list[tuple[int, str]] = []
        self.waiting: list[Any] = []

    def take(
        self,
        read: Callable[[Row], Shape | LeftOut | None],
        row: Row,
        line: int,
        place: str = "",
    ) -> None:
        """Keep what `read` makes of a row of the file, or the ValueError that it raises.

        line: of the row.
        place: names the row in errors, where a line may have several: "shapes[0]".
        """
        try:
            found = read(row)
            if found:
                self._keep(found, line)
        except ValueError as error:
            message = str(error)
            if place:
                message = f"{place}: {message}"
            self.errors.append((line, message))

    def _keep(self, found: Shape | LeftOut, line: int) -> None:
        """Keep a shape. Raises ValueError for the name of a class that nobody could read."""
        if isinstance(found, LeftOut):
            remark = Remark(found.kind, line, f"{found.what}: left out", found.what, found.name)
            self.remarks.append(remark)
            return
        name = fields.class_name(found.name)
        self.objects.append(fields.make_object(name, found.difficult, found.box, line))
        if found.kind:
            message = f"{found.kind}: the box around it is taken"
            self.remarks.append(Remark("enclosed", line, message, found.kind, name))

    def merge(self, other: Picture) -> None:
        """Add what the file says of the image at another place."""
        if not self.width or not self.height:
            self.width, self.height = other.width, other.height
        self.objects += other.objects
        self.remarks += other.remarks
        self.errors += other.errors
        self.waiting += other.waiting
        message = f"'{fields.excerpt(other.name)}' is also at line {self.line}"
        self.remarks.append(Remark("merged", other.line, message))

    def pack(self) -> str:
        """Return it as text, for an item that carries its annotation."""
        values = (
            self.name,
            self.line,
            self.width,
            self.height,
            self.objects,
            self.remarks,
            self.errors,
            self.waiting,
        )
        return json.dumps(values, separators=(",", ":"))

    @classmethod
    def unpack(cls, text: str) -> Picture:
        """Return the picture that pack wrote."""
        name, line, width, height, objects, remarks, errors, waiting = json.loads(text)
        found = cls(name, line, width, height)
        found.objects = [Object(*values) for values in objects]
        found.remarks = [Remark(*values) for values in remarks]
        found.errors = [(number, message) for number, message in errors]
        found.waiting = waiting
        return found

    def annotation(self, file: str, image: str = "") -> Annotation:
        """Return the annotation.

        file: the annotation's, for errors.
        image: names the image in errors, where one file holds the annotations of many.
        Raises ParseError for a fault, Unreadable for several.
        """
        prefix = ""
        if image:
            prefix = f"{image}: "
        errors = [ParseError(file, f"{prefix}{message}", line) for line, message in self.errors]
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise Unreadable(errors)
        return Annotation(self.width, self.height, self.objects, tuple(self.remarks))


def number(record: Mapping[str, Any], key: str) -> float:
    """Return a number of a record: an object of a JSON text, or the attributes of XML.

    Raises ValueError, with the key, where there is none.
    """
    if key not in record:
        raise ValueError(f"no {key}")
    value = record[key]
    try:
        return fields.number(str(value))
    except ValueError:
        raise ValueError(f"{key} is {quoted(value)}, not a number") from None


def numbers(record: Mapping[str, Any], *keys: str) -> list[float]:
    """Return several numbers of a record, as number does."""
    return [number(record, key) for key in keys]


def point(value: Any) -> tuple[float, float]:
    """Return the point of a list [x, y]. Raises ValueError for anything else."""
    if isinstance(value, list) and len(value) == 2:
        x, y = numbers(dict(zip("xy", value, strict=True)), "x", "y")
        return x, y
    raise ValueError(f"{quoted(value)} where a point [x, y] should be")


def side(record: Mapping[str, Any], key: str) -> int:
    """Return a side of an image (pixels), 0 where a record has no such number."""
    try:
        found = int(number(record, key))
    except ValueError:
        return 0
    return max(found, 0)


def text(record: Mapping[str, Any], *keys: str) -> str:
    """Return the first of these keys' text that a record has.

    Raises ValueError where it has none of them, and for one that is no text.
    """
    for key in keys:
        value = record.get(key)
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            return str(value)
        if value is not None:
            raise ValueError(f"{key} is {quoted(value)}, not a text")
    raise ValueError(f"no {' or '.join(keys)}")


def quoted(value: Any) -> str:
    """Quote a value of a file for a message: its start, as JSON."""
    return fields.excerpt(json.dumps(value))


def is_set(value: Any) -> bool:
    """Return whether a flag's value, of any type, says yes."""
    return str(value).strip().lower() in ("1", "true", "yes")


def is_difficult(flags: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Return whether any of the flags with these names (in small letters) is set."""
    return any(key.lower() in names and is_set(value) for key, value in flags.items())


def flag_names(more: str | Iterable[str] | None) -> list[str]:
    """Return the names of flags that make an object difficult, in small letters.

    more: DIFFICULT_IF's value: names beside DIFFICULT, one text of them with commas, or None.

    A list, since a set has another order in each process, and a build goes on after a kill only if
    its source is pickled to the same bytes.
    """
    if isinstance(more, str):
        more = [more]
    words = [word.strip().lower() for text in more or () for word in text.split(",")]
    return list(dict.fromkeys([DIFFICULT, *filter(None, words)]))
