"""Faults to put into a VOC-style folder, and the command that looks for them."""

from __future__ import annotations

from pathlib import Path

from data_prep.cli import main
from ssd_common.command import run_command
from tests.data_prep.support import XML

BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"
USUAL = BOX.format(4, 5, 20, 25)
OBJECT = XML.split("</size>")[1].split("</annotation>")[0].strip().format(name="cat")

# By name: the box in a 64x48 image, the heading of its kind, the line about it,
# and the line with --fix clip (None: check mends nothing).
BOXES = {
    "beyond": (
        (4, 5, 80, 25),
        "boxes outside their image",
        "is outside the image of 64x48",
        "cut to 4 5 64 25",
    ),
    "negative": (
        (-4, -5, 20, 25),
        "boxes outside their image",
        "is outside the image of 64x48",
        "cut to 0 0 20 25",
    ),
    "far": (
        (70, 5, 80, 25),
        "boxes outside their image",
        "is outside the image of 64x48",
        "left out",
    ),
    "inverted": (
        (20, 5, 4, 25),
        "inverted boxes",
        "is inverted",
        "corners put in order: 4 5 20 25",
    ),
    "empty": ((4, 5, 4, 25), "boxes without area", "is without area", "left out"),
    "sub-pixel": (
        (4, 5, 4.5, 25),
        "boxes less than a pixel wide or high",
        "is less than a pixel wide or high",
        "left out",
    ),
    "fraction": (
        (4.5, 5, 20, 25),
        "boxes not in whole pixels",
        "is not in whole pixels (kept as it is; the fork's tool reads 0)",
        None,
    ),
    "normalised": (
        (0.25, 0.5, 0.75, 1),
        "boxes in fractions of the image, not in pixels",
        "is in fractions of the image, not in pixels",
        "scaled to 16.0 24.0 48.0 48",
    ),
    "beyond_1": (
        (0.25, 0.5, 1.25, 1),
        "boxes in fractions of the image, not in pixels",
        "is in fractions of the image, not in pixels",
        "scaled to 16.0 24.0 64 48",
    ),
}


def check(*argv: object) -> int:
    return run_command("data_prep", main, ["check", "voc", *map(str, argv)])


def change(folder: Path, old: str, new: str) -> None:
    """Put another text into the second annotation, whose box is on line 5."""
    file = folder / "Annotations/1.xml"
    before = file.read_text()
    file.write_text(before.replace(old, new))
    assert file.read_text() != before
