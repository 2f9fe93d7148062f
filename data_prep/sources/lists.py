"""What the sources share: lists of images, numbers as annotations have them, names that an LMDB can keep."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from caffe_ir.errors import CaffeError, suggest
from data_prep.image import IMAGE_NAMES


def find(name: str, candidates: Iterable[Path], sets: list[str]) -> Path:
    """The first of candidates that is a file. Raises CaffeError with the nearest of sets for a name that has none."""
    for path in candidates:
        if path.is_file():
            return path
    known = f"; there are {', '.join(sets)}" if sets else ""
    raise CaffeError(f"{name}: no such list{suggest(name, sets) or known}")


def read_lines(path: Path, what: str) -> Iterator[tuple[int, str]]:
    """Number, from 1, and text of each line that is not blank. Raises CaffeError for a file that is no text or has no line."""
    empty = True
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if stripped := line.strip():
                    empty = False
                    yield number, stripped
    except UnicodeDecodeError:
        raise CaffeError(f"{path}: not {what}, but no UTF-8 text") from None
    if empty:
        raise CaffeError(f"{path}: {what} is empty")


def words_of(line: str, place: str) -> list[str]:
    """The one or two words of a list's line: an image, and its annotation. Raises CaffeError for more."""
    words = [w.strip() for w in line.split("\t")] if "\t" in line else line.split()
    if len(words) > 2:
        raise CaffeError(f"{place}: {len(words)} words where 'image annotation' should be (with a tab if names have spaces)")
    return words


def images_below(folder: Path) -> Iterator[Path]:
    """Every image file of a folder and the folders in it, by name."""
    return (p for p in sorted(folder.rglob("*")) if p.suffix.lower() in IMAGE_NAMES and p.is_file())


def number(text: str) -> float:
    """A number, whole ones as int. Raises ValueError for text that is none, and for infinite ones."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return int(value) if value.is_integer() else value


def image_name(name: str) -> str:
    """An image's path as Caffe's lists can have it. Raises ValueError, saying why, for one that they cannot."""
    name = name.strip()
    if not name:
        raise ValueError("an image without a name")
    if not name.isprintable():
        raise ValueError(f"image name {name[:80]!r} has characters that cannot be printed")
    return name.replace("\\", "/").removeprefix("./")
