"""Lines of YOLO's text files: a class and a box, an outline, or a box and the points of a pose.

Source: Ultralytics' documentation of data sets for detection, segmentation, oriented boxes and
poses (docs/en/datasets).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from data_prep.sources import fields
from data_prep.sources.source import Remark
from ssd_common.errors import ParseError

# Rounding alone takes no fraction above this.
FAR = 1.5
# What a line is by the count of its numbers after the class; with any other, an outline.
SHAPES = {4: "", 8: "turned box"}


class Pose(NamedTuple):
    """The points that follow each box of a data set of poses.

    points: their number.
    values: of each, 2, or 3 with its visibility.
    """

    points: int
    values: int

    def __str__(self) -> str:
        return f"[{self.points}, {self.values}]"

    @property
    def numbers(self) -> int:
        """The count of a line's numbers after its class."""
        return 4 + self.points * self.values


class Line(NamedTuple):
    """What a line says.

    number: of the line, from 1.
    corners: of its box, in fractions of the image.
    shape: "" for an upright box.
    """

    number: int
    name: str
    corners: Sequence[float]
    shape: str


class LineReader:
    """Reads lines of a data set's text files.

    classes: their names by number.
    names_file: where these are from, for messages.
    pose: None where lines have no points; a line of more than four numbers is an outline then.
    """

    def __init__(self, classes: list[str], names_file: Path, pose: Pose | None) -> None:
        self._classes = classes
        self._names_file = names_file
        self._pose = pose

    def read(self, path: Path, number: int, text: str) -> Line:
        """Return what a line says. Raises ParseError."""
        try:
            index, *numbers = map(fields.number, text.split())
        except ValueError:
            given = fields.excerpt(" ".join(text.split()))
            wanted = "'class x y width height' should be, all numbers"
            fault = f"'{given}' where {wanted}"
            raise ParseError(str(path), fault, number) from None
        fault = self._count_fault(len(numbers))
        if self._pose:
            numbers = numbers[:4]
        fault = fault or self._class_fault(index) or _far(numbers)
        if fault:
            raise ParseError(str(path), fault, number)
        shape = SHAPES.get(len(numbers), "outline")
        return Line(number, self._classes[int(index)], _corners(numbers), shape)

    def _count_fault(self, count: int) -> str:
        """Return what is wrong with the count of numbers after the class; "" for nothing."""
        if count == 4:
            return ""
        fault = f"a class and {count} numbers where 4 should be"
        if self._pose:
            if count == self._pose.numbers:
                return ""
            return f"{fault}, or {self._pose.numbers} with points (kpt_shape is {self._pose})"
        if count == 5:
            return f"{fault} (is this a file of detections?)"
        if count < 6:
            return f"{fault}: x y width height"
        if count % 2:
            return f"{fault}: x y width height (points of a pose? data.yaml's kpt_shape tells)"
        return ""

    def _class_fault(self, index: float) -> str:
        """Return what is wrong with the number of a class; "" for nothing."""
        count = len(self._classes)
        if isinstance(index, int) and 0 <= index < count:
            return ""
        known = f"the {count} names of {self._names_file} go from 0 to {count - 1}"
        return f"class {index}, but {known}"


def _far(numbers: Sequence[float]) -> str:
    """Return which number is no fraction of the image; "" for none."""
    for x in numbers:
        if abs(x) <= FAR:
            continue
        wanted = "YOLO has x, y, width and height from 0 to 1"
        if len(numbers) > 4:
            wanted += "; points of a pose? data.yaml's kpt_shape tells"
        return f"{x} is no fraction of the image ({wanted})"
    return ""


def _corners(numbers: list[float]) -> list[float]:
    """Return the corners of a box by centre and sides, or around an outline (fractions)."""
    if len(numbers) > 4:
        across = numbers[::2]
        down = numbers[1::2]
        return [min(across), min(down), max(across), max(down)]
    x, y, width, height = numbers
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def remarks(lines: Sequence[Line]) -> list[Remark]:
    """Return what a report shall say about the lines of a file."""
    found = []
    for line in lines:
        if line.shape:
            message = f"{line.shape}: the box around it is taken"
            found.append(Remark("enclosed", line.number, message, line.shape, line.name))
    plain = [line.number for line in lines if not line.shape]
    if found and plain:
        first, second = sorted((found[0].line, plain[0]))
        message = f"a box and an outline in one file (the other at line {first})"
        found.append(Remark("mixed", second, message))
    return found
