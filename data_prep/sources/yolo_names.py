"""Class names and splits of YOLO's data sets.

These are in data.yaml, obj.data, obj.names or classes.txt.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from data_prep.sources import fields, image_lists
from data_prep.sources.yaml_file import Text, YamlFile
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
NAMES = "names: [person, car]"
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
    file = YamlFile(path)
    names = _yaml_names(file)
    count = file.text("nc")
    if count and count.text != str(len(names)):
        given = fields.excerpt(count.text)
        raise file.fault(f"nc is {given}, but there are {len(names)} names", count.line)
    classes = [_class_name(file, name) for name in names]
    folder = path.parent
    base = file.text("path")
    if base and os.path.isdir(folder / base.text):
        folder /= base.text
    return Names(classes, _sets(file), path, folder)


def _yaml_names(file: YamlFile) -> list[Text]:
    """Return the class names of data.yaml by number. Raises ParseError where it has none."""
    form = file.form("names")
    if not form:
        raise file.fault(f"no class names in it ({NAMES})")
    if form == "scalar":
        given = fields.excerpt(file.texts("names")[0].text)
        raise file.fault(f"names: '{given}' where a list should be ({NAMES})", file.line("names"))
    if form == "mapping":
        names = _by_number(file)
    else:
        names = file.texts("names")
    if not names:
        raise file.fault(f"no class names in it ({NAMES})", file.line("names"))
    return names


def _by_number(file: YamlFile) -> list[Text]:
    """Return class names in the order of their numbers. Raises ParseError for numbers with gaps."""
    pairs = file.mapping("names")
    numbered = {int(key.text): name for key, name in pairs if fields.is_whole(key.text)}
    wanted = list(range(len(numbered)))
    if len(numbered) != len(pairs) or sorted(numbered) != wanted:
        given = fields.excerpt(", ".join(key.text for key, _ in pairs))
        fault = f"names should be numbered from 0 without gaps, not {given}"
        raise file.fault(fault, file.line("names"))
    return [numbered[i] for i in wanted]


def _class_name(file: YamlFile, name: Text) -> str:
    """Return a class's name as label maps can have it. Raises ParseError."""
    try:
        return fields.class_name(name.text)
    except ValueError as error:
        raise file.fault(str(error), name.line) from None


def _sets(file: YamlFile) -> dict[str, list[str]]:
    """Return the folders or lists of each split that data.yaml names."""
    sets: dict[str, list[str]] = {}
    for key, name in SPLITS.items():
        places = [place.text for place in file.texts(key)]
        if places:
            sets.setdefault(name, places)
    return sets
