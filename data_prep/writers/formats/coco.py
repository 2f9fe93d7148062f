"""COCO: a JSON file for each split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TextIO

from data_prep.checks.faults import Fault
from data_prep.sources.fields import float32
from data_prep.writers.formats import pixels
from data_prep.writers.formats.classes import Classes
from data_prep.writers.formats.format import Box, Format, Photo, register


class Coco:
    """Writes annotations/instances_SPLIT.json and a folder of images for each split.

    Ids of categories are the labels. A difficult object is a crowd (iscrowd), as the fork has it.
    """

    def __init__(self, root: Path, classes: Classes) -> None:
        self._root = root
        self._classes = classes
        self._folder = root
        self._images: list[str] = []
        self._annotations = 0
        self._file: TextIO | None = None
        (root / "annotations").mkdir()

    def begin(self, split: str) -> None:
        """Begin a split's file, with its annotations; the rest follows them."""
        self._end()
        self._folder = self._root / "images" / split
        self._folder.mkdir(parents=True)
        self._images = []
        self._annotations = 0
        path = self._root / "annotations" / f"instances_{split}.json"
        self._file = path.open("w", encoding="utf-8")
        self._file.write('{"annotations": [')

    def add(self, photo: Photo) -> list[Fault]:
        """Write an image and its annotations. COCO can say all of them."""
        assert self._file
        (self._folder / photo.name).write_bytes(photo.data)
        image_id = len(self._images) + 1
        size = (photo.width, photo.height)
        record = {"id": image_id, "file_name": photo.name, "width": size[0], "height": size[1]}
        self._images.append(_line(record))
        for box in photo.boxes:
            separator = ",\n"
            if not self._annotations:
                separator = "\n"
            self._annotations += 1
            x, y, width, height = _box(box, size)
            record = {
                "id": self._annotations,
                "image_id": image_id,
                "category_id": self._category(box),
                "bbox": [x, y, width, height],
                "area": round(width * height, 4),
                "iscrowd": int(box.difficult),
                "segmentation": [],
            }
            self._file.write(separator + _line(record))
        return []

    def _category(self, box: Box) -> int:
        """Return the id of a box's category."""
        self._classes.name(box.label)
        return box.label

    def _end(self) -> None:
        """End the file of a split."""
        if not self._file:
            return
        names = sorted(self._classes.names.items())
        categories = [{"id": label, "name": name, "supercategory": "none"} for label, name in names]
        listed = ",\n".join(map(_line, categories))
        images = ",\n".join(self._images)
        self._file.write(f'\n], "categories": [\n{listed}\n], "images": [\n{images}\n]}}\n')
        self._file.close()
        self._file = None

    def finish(self) -> None:
        """End the last split's file."""
        self._end()


def _line(record: object) -> str:
    return json.dumps(record, ensure_ascii=False)


def _box(box: Box, size: tuple[int, int]) -> list[float]:
    """Return x, y, width, height of a box. size: of the image (pixels)."""
    starts = []
    lengths = []
    for low, high, side in zip(box.corners[:2], box.corners[2:], size, strict=True):
        start = pixels.pixel(low, side, float32)
        starts.append(start)
        lengths.append(pixels.length(start, high, side))
    return [*starts, *lengths]


register(
    Format(
        "coco",
        "COCO's JSON",
        """
DIR/annotations/instances_train.json, DIR/images/train/a.jpg
""",
        Coco,
    )
)
