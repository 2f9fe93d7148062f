"""name_size files: a line `name height width` for every test image, in test order."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ssd_common.errors import ParseError
from ssd_common.files import PathLike

SUFFIX = "_name_size.txt"  # behind the name of a list, as in test_name_size.txt


class NameSize(NamedTuple):
    """An image's name in result files, and its height and width in pixels."""

    name: str
    height: int
    width: int


def read(path: PathLike) -> list[NameSize]:
    """Every image of a name_size file. Raises ParseError, naming the line, and for a file that names none."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ParseError(str(path), error.strerror or "is not text") from None
    except UnicodeDecodeError:
        raise ParseError(str(path), "is not text") from None
    images = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        image = parse_line(line)
        if image is None:
            raise ParseError(str(path), f"expected 'name height width', found '{line.strip()}'", number)
        images.append(image)
    if not images:
        raise ParseError(str(path), "names no image")
    return images


def parse_line(line: str) -> NameSize | None:
    """The image of one line; None where the line is not `name height width`, three words, the last two whole numbers."""
    words = line.split()
    if len(words) != 3 or not (words[1].isdecimal() and words[2].isdecimal()):
        return None
    return NameSize(words[0], int(words[1]), int(words[2]))


def format_line(name: str, height: int, width: int) -> str:
    """The line of an image, with its line break. White space in a name becomes underscores: Caffe reads the file word by word."""
    return f"{'_'.join(name.split())} {height} {width}\n"
