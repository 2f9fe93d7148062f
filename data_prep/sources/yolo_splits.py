"""What the files of YOLO's data sets say of their splits and poses: data.yaml, or obj.data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from data_prep.sources import fields, image_lists
from data_prep.sources.yaml_file import Text, YamlFile
from data_prep.sources.yolo_lines import Pose
from ssd_common.errors import ParseError

# What files call a split, and its name here; of two names of one split the first counts.
SPLITS = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


class Splits(NamedTuple):
    """What a file says beside class names.

    folder: where its paths start.
    places: name of a split to its folders or lists, as the file has them.
    pose: the points after each box, None for none.
    """

    file: Path
    folder: Path
    places: dict[str, list[Text]]
    pose: Pose | None = None

    def __bool__(self) -> bool:
        """Whether the file says anything."""
        return bool(self.places or self.pose)


def none(path: Path) -> Splits:
    """Return what a file says that has class names alone."""
    return Splits(path, path.parent, {})


def from_yaml(file: YamlFile) -> Splits:
    """Return what a data.yaml says. Raises ParseError."""
    values = {key: file.texts(key) for key in SPLITS}
    return Splits(file.path, _base(file), _places(values), _pose(file))


def _base(file: YamlFile) -> Path:
    """Return where the paths of a data.yaml start: in its `path`, where that is there.

    YOLOv5's own files, in its folder `data`, have a `path` that starts in YOLOv5's folder.
    """
    folder = file.path.parent
    base = file.text("path")
    if base:
        for start in (folder, file.path.absolute().parent.parent):
            if os.path.isdir(start / base.text):
                return start / base.text
    return folder


def from_data(path: Path, values: Mapping[str, Text]) -> Splits:
    """Return what an obj.data says, whose values are given."""
    places = _places({key: [value] for key, value in values.items()})
    # Datumaro writes subsets of any name.
    for key, value in values.items():
        if key not in SPLITS and value.text.endswith(".txt"):
            places[key] = [value]
    return Splits(path, path.parent, places)


def read_data(path: Path) -> dict[str, Text]:
    """Read darknet's obj.data: lines `names = data/obj.names`, `train = data/train.txt`.

    Raises ParseError.
    """
    values = {}
    for number, line in image_lists.read_lines(path, "a file of darknet's"):
        if line[0] in "#;":
            continue
        key, equals, value = line.partition("=")
        if not equals:
            fault = f"'{fields.excerpt(line)}' where 'key = value' should be"
            raise ParseError(str(path), fault, number)
        values[key.strip()] = Text(value.strip(), number)
    return values


def read(path: Path) -> Splits:
    """Return what a file says, whatever its form. Raises ParseError."""
    if path.suffix in (".yaml", ".yml"):
        return from_yaml(YamlFile(path))
    if path.suffix == ".data":
        return from_data(path, read_data(path))
    return none(path)


def _places(values: Mapping[str, list[Text]]) -> dict[str, list[Text]]:
    """Return the places of each split, by its name here."""
    places: dict[str, list[Text]] = {}
    for key, name in SPLITS.items():
        given = [place for place in values.get(key, ()) if place.text.strip()]
        if given:
            places.setdefault(name, given)
    return places


def _pose(file: YamlFile) -> Pose | None:
    """Return the points of a data set of poses, None where it has none. Raises ParseError."""
    words = [word.text for word in file.texts("kpt_shape")]
    if not words:
        return None
    if len(words) == 2 and all(map(fields.is_whole, words)):
        points, values = map(int, words)
        if points > 0 and values in (2, 3):
            return Pose(points, values)
    given = fields.excerpt(", ".join(words))
    fault = f"kpt_shape: [{given}] where [points, 2 or 3] should be"
    raise file.fault(fault, file.line("kpt_shape"))
