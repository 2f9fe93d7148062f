"""Open Images' files beside its tables of boxes: which they are, and the names of its classes.

Source: storage.googleapis.com/openimages/web, "Download" and "Data Formats"; voxel51/fiftyone,
fiftyone/utils/openimages.py, for how FiftyOne lays it out.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data_prep.sources import text_file

# A class's machine identifier.
_MID = re.compile(r"/[a-z]/\w+$")
_BOXES = re.compile(r"(?:[\w.]+-)*(train|validation|test)-(?:annotations|detection)-bbox(?:-\w+)?$")
_OTHER_TABLES = re.compile(
    r"class-descriptions|imagelabels|images-(boxable-)?with-|object-segmentation|-vrd\b"
)
FIFTYONE = "labels/detections.csv"
NAMES = "*class-descriptions*.csv"
FIFTYONE_NAMES = "metadata/classes.csv"


def is_other_table(path: Path) -> bool:
    """Return whether a table, by its name, has no boxes, but is what belongs to them."""
    return bool(_OTHER_TABLES.search(path.name))


def is_identifier(name: str) -> bool:
    """Return whether a class's name is a machine identifier, such as /m/0k4j."""
    return bool(_MID.match(name))


def split_of(path: Path) -> str:
    """Return the split of a table of boxes; "" for a name that is not Open Images'.

    It is `train` of oidv6-train-annotations-bbox.csv.
    """
    found = _BOXES.match(path.stem)
    if found:
        return found[1]
    return ""


def name_files(root: Path, table: Path) -> list[Path]:
    """Return the files with the names of a table's classes, those of the boxable ones first."""
    folders = [table.parent, root]
    if table.as_posix().endswith(f"/{FIFTYONE}"):
        folders.append(table.parent.parent)
    found: list[Path] = []
    for folder in dict.fromkeys(folders):
        found += [*sorted(folder.glob(NAMES)), *folder.glob(FIFTYONE_NAMES)]
    return sorted(found, key=lambda path: "boxable" not in path.name)


def read_names(files: list[Path]) -> dict[str, str]:
    """Return the classes' names by identifier; the first file that has one counts.

    A name that several identifiers of a file have names none of them: they would be one class.
    Raises ParseError for a file that is no table.
    """
    found: dict[str, str] = {}
    for file in files:
        rows = list(_rows(file))
        counts = Counter(name for _, name in rows)
        for identifier, name in rows:
            if counts[name] == 1:
                found.setdefault(identifier, name)
    return found


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the identifier and the name of each class of a file. Raises ParseError."""
    with text_file.opened(path, "a table of classes' names", newline="") as file:
        for row in csv.reader(file):
            words = [word.strip() for word in row]
            if len(words) >= 2 and is_identifier(words[0]) and words[1]:
                yield words[0], words[1]
