"""Class names and splits of YOLO's data sets.

These are in data.yaml, obj.data, obj.names or classes.txt.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from data_prep.sources import fields, image_lists
from data_prep.sources.simple_yaml import Value, read_yaml
from ssd_common.errors import CaffeError, ParseError

FILES = (
    "data.yaml",
    "data.yml",
    "dataset.yaml",
    "obj.data",
    "obj.names",
    "classes.txt",
    "labels/classes.txt",
    "predefined_classes.txt",
)
SPLITS = {"train": "train", "val": "val", "valid": "val", "test": "test"}


class Names(NamedTuple):
    """Class names and splits of a data set.

    classes: by number.
    sets: name of a split to folders or lists.
    file: where the classes are from.
    folder: where paths of sets start.
    """

    classes: list[str]
    sets: dict[str, list[str]]
    file: Path
    folder: Path


def read(root: Path, given: Path | None) -> Names:
    """Return class names and splits of the folder root.

    given: the file that has the names; None to look for it.
    Raises CaffeError where there is none.
    """
    if given and not given.is_file():
        raise CaffeError(f"{given}: no such file of class names")
    path = given or _own_file(root)
    if path.suffix in (".yaml", ".yml"):
        return _from_yaml(path)
    if path.suffix == ".data":
        return _from_data(path, root)
    return Names(_lines(path), {}, path, path.parent)


def _own_file(root: Path) -> Path:
    """Return the folder's file of class names. Raises CaffeError where it has none, or several."""
    for name in FILES:
        if (root / name).is_file():
            return root / name
    others = sorted(root.glob("*.yaml")) + sorted(root.glob("*.names"))
    if len(others) != 1:
        known = "data.yaml, obj.names or classes.txt; --names takes them from elsewhere"
        raise CaffeError(f"{root}: no class names ({known})")
    return others[0]


def _lines(path: Path) -> list[str]:
    """Return the class names of a file with one a line. Raises CaffeError."""
    lines = image_lists.read_lines(path, "a list of class names")
    return _checked([line for _, line in lines], path)


def _checked(classes: list[str], path: Path) -> list[str]:
    """Return class names as label maps can have them. Raises CaffeError."""
    try:
        found = [fields.class_name(name) for name in classes]
    except ValueError as error:
        raise CaffeError(f"{path}: {error}") from None
    if not found:
        raise CaffeError(f"{path}: no class names in it")
    return found


def _from_data(path: Path, root: Path) -> Names:
    """Read darknet's obj.data: lines `names = data/obj.names`, `train = data/train.txt`."""
    values = {}
    for number, line in image_lists.read_lines(path, "a file of darknet's"):
        key, equals, value = line.partition("=")
        if not equals:
            fault = f"'{fields.excerpt(line)}' where 'key = value' should be"
            raise ParseError(str(path), fault, number)
        values[key.strip()] = value.strip()
    listed = values.get("names", "obj.names")
    places = (path.parent / listed, root / listed, path.parent / Path(listed).name)
    file = next((place for place in places if os.path.isfile(place)), None)
    if file is None:
        given = fields.excerpt(listed)
        raise CaffeError(f"{path}: no file of class names '{given}'")
    sets = {}
    for key, value in values.items():
        if key in SPLITS and value:
            sets[SPLITS[key]] = [value]
    return Names(_lines(file), sets, file, path.parent)


def _from_yaml(path: Path) -> Names:
    """Read Ultralytics' and Roboflow's data.yaml."""
    values = read_yaml(path)
    classes = values.get("names")
    if isinstance(classes, dict):
        classes = _by_number(classes, path)
    if not isinstance(classes, list):
        raise ParseError(str(path), "no class names in it (names: [person, car])")
    count = values.get("nc", str(len(classes)))
    if count != str(len(classes)):
        given = fields.excerpt(str(count))
        fault = f"nc is {given}, but there are {len(classes)} names"
        raise ParseError(str(path), fault)
    folder = path.parent
    base = values.get("path")
    if isinstance(base, str) and os.path.isdir(folder / base):
        folder /= base
    return Names(_checked(classes, path), _sets(values), path, folder)


def _by_number(names: Mapping[str, str], path: Path) -> list[str]:
    """Return class names in the order of their numbers. Raises ParseError for numbers with gaps."""
    numbered = {int(key): name for key, name in names.items() if fields.is_whole(key)}
    wanted = list(range(len(numbered)))
    if len(numbered) != len(names) or sorted(numbered) != wanted:
        given = fields.excerpt(", ".join(names))
        fault = f"names should be numbered from 0 without gaps, not {given}"
        raise ParseError(str(path), fault)
    return [numbered[i] for i in wanted]


def _sets(values: Mapping[str, Value]) -> dict[str, list[str]]:
    """Return the folders or lists of each split that data.yaml names."""
    sets: dict[str, list[str]] = {}
    for key, name in SPLITS.items():
        value = values.get(key)
        if not value or isinstance(value, dict):
            continue
        if isinstance(value, str):
            value = [value]
        sets[name] = value
    return sets
