"""Class names of YOLO's data sets, in data.yaml, obj.data, obj.names or classes.txt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from data_prep.sources import fields, image_lists, yolo_splits
from data_prep.sources.yaml_file import Text, YamlFile
from data_prep.sources.yolo_places import tails
from data_prep.sources.yolo_splits import Splits
from ssd_common.errors import CaffeError, ParseError
from ssd_common.files import read_regular

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
YAML_FILES = ("*.yaml", "*.yml")
# Where such files also lie, with any name; files that one pattern finds must say the same.
PATTERNS = (
    "*.data",
    "*.names",
    "data/*.data",
    "cfg/*.data",
    "data/*.names",
    "_darknet.labels",
    "*/_darknet.labels",
    "*/classes.txt",
    "*/*/classes.txt",
)
NAMES = "names: [person, car]"
# Of the YAML files that are looked into: more of them, or larger ones, are no files of class names.
MOST_FILES = 50
LARGEST = 1 << 20  # bytes


class Names(NamedTuple):
    """Class names of a data set, by number.

    file: where they are from.
    splits: what the data set's files say beside them.
    """

    classes: list[str]
    file: Path
    splits: Splits


def read(root: Path, given: Path | None) -> Names:
    """Return the class names of the folder root.

    given: the file that has them; None to look for it.
    Raises CaffeError where there is none.
    """
    if given and not given.is_file():
        raise CaffeError(f"{given}: no such file of class names")
    found = _read_file(given or _own_file(root), root)
    if found.splits:
        return found
    return found._replace(splits=_own_splits(root) or found.splits)


def reordered(root: Path, names: Names) -> Iterator[Path]:
    """Yield the folder's other files that number the same class names in another way."""
    for path in (root / name for name in FILES):
        if not path.is_file() or path == names.file:
            continue
        try:
            other = _read_file(path, root).classes
        except CaffeError:
            continue
        if other != names.classes and sorted(other) == sorted(names.classes):
            yield path


def _read_file(path: Path, root: Path) -> Names:
    """Return the class names that a file has. Raises CaffeError."""
    if path.suffix in (".yaml", ".yml"):
        file = YamlFile(path)
        return Names(_from_yaml(file), path, yolo_splits.from_yaml(file))
    if path.suffix == ".data":
        return _from_data(path, root)
    return Names(_lines(path), path, yolo_splits.none(path))


def _own_splits(root: Path) -> Splits | None:
    """Return what the folder's own files say of splits, None for nothing that can be read."""
    patterns = ("data.y*ml", "*.yaml", "*.yml", "*.data", "data/*.data")
    for path in (path for pattern in patterns for path in sorted(root.glob(pattern))):
        try:
            found = yolo_splits.read(path)
        except CaffeError:
            continue
        if found:
            return found
    return None


def _own_file(root: Path) -> Path:
    """Return the folder's file of class names. Raises CaffeError where it has none."""
    for path in _own_files(root):
        return path
    known = "data.yaml, obj.names or classes.txt; --names takes them from elsewhere"
    for path in _with_names(root, ("*/*.yaml",))[:1]:
        known = f"is {path.parent} meant? It has {path.name}"
    raise CaffeError(f"{root}: no class names ({known})")


def _own_files(root: Path) -> Iterator[Path]:
    """Yield the folder's files of class names, the likeliest first.

    Raises CaffeError where files of one kind do not say the same.
    """
    for folder in (root, root / "data"):
        for name in FILES:
            if (folder / name).is_file():
                yield folder / name
        yield from _only_one(root, _with_names(folder, YAML_FILES))
    for pattern in PATTERNS:
        yield from _only_one(root, [path for path in sorted(root.glob(pattern)) if path.is_file()])


def _only_one(root: Path, paths: list[Path]) -> list[Path]:
    """Return the first of files of one kind. Raises CaffeError where others differ from it."""
    contents = {read_regular(path) for path in paths}
    if len(contents) > 1:
        found = ", ".join(image_lists.below(root, path) for path in paths[:4])
        fault = f"several files of class names ({found}); choose with --names"
        raise CaffeError(f"{root}: {fault}")
    return paths[:1]


def _with_names(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """Return the YAML files that have class names; none where there are as many as annotations."""
    paths = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    if len(paths) > MOST_FILES:
        return []
    return [path for path in paths if _has_names(path)]


def _has_names(path: Path) -> bool:
    """Return whether a YAML file has class names, not the settings of a training."""
    try:
        if path.stat().st_size > LARGEST:
            return False
        return YamlFile(path).form("names") in ("sequence", "mapping")
    except (CaffeError, OSError):
        return False


def _lines(path: Path) -> list[str]:
    """Return the class names of a file with one a line. Raises CaffeError."""
    found = []
    for number, line in image_lists.read_lines(path, "a list of class names"):
        found.append(_class_name(path, Text(line, number)))
    if not found:
        raise CaffeError(f"{path}: no class names in it")
    return found


def _class_name(path: Path, name: Text) -> str:
    """Return a class's name as label maps can have it. Raises ParseError."""
    try:
        return fields.class_name(name.text)
    except ValueError as error:
        raise ParseError(str(path), str(error), name.line) from None


def _from_data(path: Path, root: Path) -> Names:
    """Read darknet's obj.data. Raises CaffeError."""
    values = yolo_splits.read_data(path)
    listed = values.get("names", Text("obj.names", 1))
    for folder in (path.parent, root):
        for tail in tails(listed.text):
            if (folder / tail).is_file():
                classes = _lines(folder / tail)
                return Names(classes, folder / tail, yolo_splits.from_data(path, values))
    given = fields.excerpt(listed.text)
    raise ParseError(str(path), f"no file of class names '{given}'", listed.line)


def _from_yaml(file: YamlFile) -> list[str]:
    """Return the class names of Ultralytics' and Roboflow's data.yaml. Raises ParseError."""
    names = _yaml_names(file)
    count = file.text("nc")
    if count and count.text != str(len(names)):
        given = fields.excerpt(count.text)
        raise file.fault(f"nc is {given}, but there are {len(names)} names", count.line)
    return [_class_name(file.path, name) for name in names]


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
