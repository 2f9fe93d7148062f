"""What the sources share: lists of images, places of images, numbers and names."""

from __future__ import annotations

import codecs
import functools
import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from data_prep.images.encoding import IMAGE_NAMES
from data_prep.images.image_header import read_header
from data_prep.sources.source import Item, Object
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

NO_TEXT = "it is neither UTF-8 nor UTF-16 text (save it as UTF-8, or: iconv -f CP1252 -t UTF-8)"
LARGEST = 1e9  # pixels
LONGEST = 1000  # characters of an image's path
PROBES = 20  # images that are looked for before a folder counts as not theirs
SLACK = 1e-4  # by which a box in rounded fractions may leave its image


def find(name: str, candidates: Iterable[Path], sets: list[str]) -> Path:
    """The first of candidates that is a file.

    Raises CaffeError with the nearest of sets for a name that has none.
    """
    for path in candidates:
        if path.is_file():
            return path
    known = f"; there are {', '.join(sets)}" if sets else ""
    raise CaffeError(f"{name}: no such list{suggest(name, sets) or known}")


def encoding(path: Path) -> str:
    """How a text file is encoded: UTF-16 where it begins so, as Excel's "Unicode text", else UTF-8.

    Raises OSError.
    """
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def read_lines(path: Path, what: str) -> Iterator[tuple[int, str]]:
    """Number, from 1, and text of each line that is not blank.

    Raises CaffeError for a file that is no text, OSError.
    """
    try:
        with path.open(encoding=encoding(path)) as file:
            for number, line in enumerate(file, 1):
                if stripped := line.strip():
                    yield number, stripped
    except UnicodeDecodeError:
        raise CaffeError(f"{path}: not {what}: {NO_TEXT}") from None


def read_list(path: Path) -> list[tuple[str, list[str]]]:
    """Place, `file:line`, and one or two words of each line: an image, and its annotation.

    Raises CaffeError.
    """
    found = []
    for number, line in read_lines(path, "a list"):
        words = [w.strip() for w in line.split("\t")] if "\t" in line else line.split()
        if len(words) > 2:
            wanted = "'image annotation' should be (with a tab if names have spaces)"
            raise CaffeError(f"{path}:{number}: {len(words)} words where {wanted}")
        try:
            found.append((f"{path}:{number}", [image_name(w) for w in words]))
        except ValueError as error:
            raise CaffeError(f"{path}:{number}: {error}") from None
    if not found:
        raise CaffeError(f"{path}: the list is empty")
    return found


def read_items(path: Path, item: Callable[[str, str], Item]) -> list[Item]:
    """The items of a list.

    item: makes the item of an image's name alone, and of its place in the list
    Raises CaffeError with file and line.
    """
    found = []
    for place, words in read_list(path):
        if len(words) == 1:
            found.append(item(words[0], place))
        else:
            found.append(Item(words[0], words[1], place))
    return found


def below(root: Path, path: Path) -> str:
    """A path as items have it: relative to the root where it lies below it, else absolute."""
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    return path.absolute().as_posix()


def split(items: list[Item], share: float, seed: int) -> tuple[list[Item], list[Item]]:
    """Items for training and a share of them for testing, both in their order.

    Drawn by seed and image name, so that photographs which are added later hardly move others.
    Raises CaffeError for fewer than two.
    """
    if len(items) < 2:
        raise CaffeError("one image alone cannot be both for training and for testing")
    keys = [hashlib.sha256(f"{seed} {item.image}".encode()).digest() for item in items]
    drawn = sorted(range(len(items)), key=keys.__getitem__)
    count = min(max(round(share * len(items)), 1), len(items) - 1)
    test = set(drawn[:count])
    train = [item for i, item in enumerate(items) if i not in test]
    return train, [items[i] for i in sorted(test)]


def is_image(name: str) -> bool:
    """Whether a file of this name is an image, and no hidden one, such as macOS's ._*.jpg."""
    return name[0] != "." and Path(name).suffix.lower() in IMAGE_NAMES


def images_below(folder: Path) -> list[Path]:
    """Every image file of a folder and of the folders in it, by name."""
    return [p for p in sorted(folder.rglob("*")) if is_image(p.name)]


def images_in(folder: Path) -> list[Path]:
    """Every image file of a folder itself, by name."""
    return [p for p in sorted(folder.iterdir()) if is_image(p.name)]


def locate(root: Path, names: Iterable[str], folders: Iterable[str]) -> tuple[str, str]:
    """Folder and extension that lead from the root to the first image found; "", "" if none is.

    The folder ends with a slash; the extension is "" where names have one.

    names: as an annotation file has them
    folders: where images might be, the likeliest first
    """
    probed = list(islice(names, PROBES))
    bare = bool(probed) and not any(Path(n).suffix.lower() in IMAGE_NAMES for n in probed)
    for folder in folders:
        prefix = "" if folder in ("", ".") else f"{folder}/"
        for extension in IMAGE_NAMES if bare else ("",):
            if any((root / f"{prefix}{n}{extension}").is_file() for n in probed):
                return prefix, extension
    return "", ".jpg" if bare else ""


def number(text: str) -> float:
    """A number of pixels, whole ones as int.

    Raises ValueError for text that is none, and for what no image has.
    """
    value = float(text)
    if not abs(value) < LARGEST or "_" in text:  # NaN is not less, either
        raise ValueError(text)
    return int(value) if value.is_integer() else value


def single(x: float) -> float:
    """x in single precision, in which the fork adds corner and side."""
    return struct.unpack("f", struct.pack("f", x))[0]


def shown(text: str) -> str:
    """A piece of a file for a message: one short line without what a terminal would not print."""
    words = "".join(c if c.isprintable() else "·" for c in text[:60])
    return f"{words}…" if len(text) > 60 else words


@functools.lru_cache(maxsize=4096)
def class_name(name: str) -> str:
    """A class's name as label maps and messages can have it.

    Raises ValueError, saying why, for one that they cannot.
    """
    name = name.strip()
    if not name:
        raise ValueError("a class without a name")
    if not name.isprintable():
        raise ValueError(f"class name '{shown(name)}' has characters that cannot be printed")
    return name


@functools.lru_cache(maxsize=64)
def image_name(name: str) -> str:
    """An image's path as Caffe's lists can have it.

    Raises ValueError, saying why, for one that they cannot.
    """
    name = name.strip()
    if not name:
        raise ValueError("an image without a name")
    if not name.isprintable():
        raise ValueError(f"image name '{shown(name)}' has characters that cannot be printed")
    if len(name) > LONGEST or any(len(part.encode()) > 255 for part in name.split("/")):
        raise ValueError(f"image name '{shown(name)}' is too long for a file")
    name = name.replace("\\", "/").removeprefix("./")
    if name.endswith(("/", "..")) or name in ("", "."):
        raise ValueError(f"'{name}' is no image, but a folder")
    return name


def placed(name: str, difficult: bool, box: Iterable[float], line: int) -> Object:
    """The object whose box has these four corners, whole numbers among them as int."""
    xmin, ymin, xmax, ymax = (int(x) if x == int(x) else x for x in box)
    return Object(name, difficult, xmin, ymin, xmax, ymax, line)


def size_of(image: Path) -> tuple[int, int]:
    """(width, height) of an image file, for boxes in fractions of it.

    (0, 0) where it cannot be read; the error is told when the image itself is read.
    """
    from data_prep.images.image import read_image  # noqa: PLC0415  OpenCV, which help does without

    try:
        if header := read_header(image.read_bytes()):
            height, width = header.upright
            return width, height
        decoded = read_image(image)
    except (CaffeError, OSError):
        return 0, 0
    return decoded.width, decoded.height


def scaled(box: Iterable[float], size: tuple[int, int]) -> list[float]:
    """A box in fractions of its image, in pixels.

    A box that leaves the image by no more than the last digit's rounding ends at the image's edge.
    """
    within = [edge if abs(x - (edge := min(max(x, 0), 1))) <= SLACK else x for x in box]
    return [x * side for x, side in zip(within, size * 2, strict=True)]
