"""Lists of a VOC-style folder: those of one class, and those whose paths begin elsewhere."""

from __future__ import annotations

import glob
from pathlib import Path, PurePosixPath

from data_prep.sources.source import Finding

# A line's place, and its words: an image, and perhaps its annotation.
Row = tuple[str, list[str]]


def is_of_one_class(path: Path, rows: list[Row], root: Path, sets: Path) -> bool:
    """Return whether a list says of each image whether a class is in it: 1, 0 (hard) or -1.

    Lists for classification, and those of images without a published annotation, have paths.

    sets: the folder of lists by name, which have no paths.
    """
    for _, (image, *numbers) in rows:
        if "/" in image or numbers not in (["1"], ["0"], ["-1"]):
            return False
    if path.parent == sets:
        return True
    return not any((root / words[0]).is_file() for _, words in rows)


def lists_of_each_class(folder: Path, name: str) -> list[Path]:
    """Return the lists of every class of a set, as car_train and dog_train are of train.

    VoTT writes no others; each has all images of the set.
    """
    return sorted(folder.glob(f"?*_{glob.escape(name)}.txt"))


def one_class_finding(path: Path, rows: list[Row]) -> Finding:
    """Return what a report shall say of a list of one class."""
    having = sum(words[1] == "1" for _, words in rows)
    message = f"{having} of its {len(rows)} images are said to have the class; all are taken"
    return Finding("class-list", str(path), message)


def moved(rows: list[Row], root: Path) -> tuple[list[Row], Finding | None]:
    """Return lines with paths from a folder, and what a report shall say where they were others.

    Paths of another machine, and those that begin with the folder's own name, or with a slash as
    the fork's tool takes them, lead to the same files without what comes before. It is taken from
    the first line, if its image is found so.
    """
    pairs = [(place, words) for place, words in rows if len(words) == 2]
    if not pairs:
        return rows, None
    place, first = pairs[0]
    prefixes = [_prefix(word, root) for word in first]
    if not prefixes[0]:
        return rows, None
    found: list[Row] = []
    for row_place, words in rows:
        stripped = [
            _without(word, prefix, root) for word, prefix in zip(words, prefixes, strict=False)
        ]
        found.append((row_place, stripped))
    message = f"its paths begin with {prefixes[0]}, which is left out: they are those of {root}"
    return found, Finding("list-paths", place, message)


def _prefix(word: str, root: Path) -> str:
    """Return what a path has before the one that leads to a file of the root; "" for nothing."""
    if (root / word).is_file():
        return ""
    parts = PurePosixPath(word).parts
    for number in range(1, len(parts)):
        tail = "/".join(parts[number:])
        if (root / tail).is_file():
            return word.removesuffix(tail)
    return ""


def _without(word: str, prefix: str, root: Path) -> str:
    """Return a path without a prefix, where it leads to no file with it."""
    if not prefix or not word.startswith(prefix) or (root / word).is_file():
        return word
    return word.removeprefix(prefix)
