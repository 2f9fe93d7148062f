"""CreateML's JSON: a list of images, each with its objects by centre and sides (pixels).

Source: Apple, MLObjectDetector.AnnotationType.boundingBox, "Formatting a Bounding Box JSON
Annotation File", for pixels from the top left corner, its defaults; Roboflow's exports name the
keys "image" and "annotations".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_prep.sources import json_lines, json_stream
from data_prep.sources.album import Album, recognised
from data_prep.sources.image_finder import IMAGES
from data_prep.sources.kind import Kind, register
from data_prep.sources.picture import Picture, Shape, numbers, quoted, text
from ssd_common.errors import ParseError

IMAGE = ("image", "imagefilename", "imageFilename")
ANNOTATIONS = ("annotations", "annotation")


class CreateMl(Album):
    """A folder with CreateML's JSON files and images, or one such file."""

    suffixes = (".json",)
    patterns = ("*/annotations.json",)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Return whether a JSON file is CreateML's, by its start."""
        tasks = json_lines.has_keys(path, "[", "data", "result|predictions")  # of Label Studio
        return not tasks and json_lines.has_keys(path, "[", "|".join(IMAGE), "|".join(ANNOTATIONS))

    def pictures(self, path: Path) -> Iterator[Picture]:
        """Yield what a file says of each image. Raises ParseError with file and line."""
        for _, index, line, record in json_stream.records(path):
            try:
                yield _picture(record, line)
            except ValueError as error:
                fault = f"image {index} of the list: {error}"
                raise ParseError(str(path), fault, line) from None


def _picture(record: Any, line: int) -> Picture:
    """Return the picture of a record. Raises ValueError for one that is none."""
    if not isinstance(record, dict):
        raise ValueError(f"{quoted(record)} where an object with image and annotations should be")
    found = Picture(text(record, *IMAGE), line)
    for key in ANNOTATIONS:
        if key in record:
            break
    else:
        raise ValueError(f"no {ANNOTATIONS[0]}")
    rows = record[key]
    if not isinstance(rows, list):
        raise ValueError(f"{key} is {quoted(rows)}, not a list")
    for index, row in enumerate(rows):
        found.take(_shape, row, getattr(row, "line", line), f"{key}[{index}]")
    return found


def _shape(row: Any) -> Shape:
    """Return the shape of an annotation. Raises ValueError."""
    if not isinstance(row, dict):
        raise ValueError(f"{quoted(row)} where an object with label and coordinates should be")
    place = row.get("coordinates")
    if not isinstance(place, dict):
        raise ValueError(f"coordinates are {quoted(place)}, not an object with x, y, width, height")
    x, y, width, height = numbers(place, "x", "y", "width", "height")
    box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    return Shape(text(row, "label"), box)


KIND = Kind(
    name="createml",
    position=15,
    title="a folder with CreateML's JSON",
    notes="""
DIR holds NAME.json and the images, or NAME/_annotations.createml.json as Roboflow writes it; or
name one JSON file. Coordinates are the centre and the sides of a box, in pixels from the top left
corner, which are CreateML's defaults. A LIST is such a NAME, or a text file of image names.
""",
    examples="""
data_prep createml PHOTOS --test-share 0.2 --out data/mine
data_prep createml PHOTOS --train-list train --test-list valid --out data/mine
""",
    folder="folder with JSON files and images, or one JSON file",
    open=CreateMl,
    options=(IMAGES,),
    layout="""
DIR/annotations.json   [{"image": "a.jpg", "annotations": [{"label": "car", "coordinates": {…}}]}]
DIR/a.jpg
""",
    looks_like=recognised(CreateMl),
)
register(KIND)
