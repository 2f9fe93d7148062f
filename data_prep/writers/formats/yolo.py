"""YOLO: a text file for each image, and data.yaml."""

from __future__ import annotations

import json
from pathlib import Path

from data_prep.checks.faults import Fault
from data_prep.writers.formats import pixels
from data_prep.writers.formats.classes import Classes
from data_prep.writers.formats.format import Box, Format, Photo, register

# Splits that data.yaml names, and which of an export's splits each may be, the likeliest first.
SPLITS = {"train": ("train", "trainval"), "val": ("val", "valid", "test"), "test": ("test",)}
NEEDED = ("train", "val")  # Ultralytics refuses data.yaml without these


class Yolo:
    """Writes images/SPLIT, labels/SPLIT and data.yaml."""

    def __init__(self, root: Path, classes: Classes) -> None:
        self._root = root
        self._classes = classes
        self._splits: list[str] = []

    def begin(self, split: str) -> None:
        """Begin a split's folders."""
        self._splits.append(split)
        for folder in ("images", "labels"):
            (self._root / folder / split).mkdir(parents=True)

    def add(self, photo: Photo) -> list[Fault]:
        """Write an image and its text file. Returns a fault for each difficult object."""
        split = self._splits[-1]
        (self._root / "images" / split / photo.name).write_bytes(photo.data)
        size = (photo.width, photo.height)
        lines = "".join(self._line(box, size) for box in photo.boxes)
        labels = self._root / "labels" / split / f"{Path(photo.name).stem}.txt"
        labels.write_text(lines, encoding="utf-8")
        faults = []
        for box in photo.boxes:
            if box.difficult:
                message = f"a difficult '{self._classes.name(box.label)}' is like any other"
                faults.append(Fault("not-difficult", photo.key, message))
        return faults

    def _line(self, box: Box, size: tuple[int, int]) -> str:
        xmin, ymin, xmax, ymax = box.corners
        x, width = pixels.centre_and_length(xmin, xmax, size[0])
        y, height = pixels.centre_and_length(ymin, ymax, size[1])
        return f"{self._classes.index(box.label)} {x} {y} {width} {height}\n"

    def finish(self) -> None:
        """Write data.yaml."""
        lines = []
        for split, candidates in SPLITS.items():
            found = [name for name in candidates if name in self._splits]
            if split in NEEDED:
                found += self._splits[:1]
            if found:
                lines.append(f"{split}: {json.dumps(f'images/{found[0]}', ensure_ascii=False)}\n")
        lines.append(f"nc: {len(self._classes.names)}\nnames:\n")
        for index, name in enumerate(self._classes.names.values()):
            lines.append(f"  {index}: {json.dumps(name, ensure_ascii=False)}\n")
        (self._root / "data.yaml").write_text("".join(lines), encoding="utf-8")


register(
    Format(
        "yolo",
        "YOLO's text files",
        """
DIR/data.yaml
DIR/images/train/a.jpg, DIR/labels/train/a.txt
""",
        Yolo,
    )
)
