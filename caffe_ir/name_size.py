"""name_size files: a line `name height width` for every test image, in test order."""

from __future__ import annotations

from typing import NamedTuple

from ssd_common.errors import ParseError, printable
from ssd_common.files import PathLike, read_bytes

_MOST_DIGITS = 20  # of height and width together; Python refuses to read thousands
SUFFIX = "_name_size.txt"  # follows the name of a list, as in test_name_size.txt


class NameSize(NamedTuple):
    """An image's name in result files, and its height and width in pixels."""

    name: str
    height: int
    width: int


def read(path: PathLike) -> list[NameSize]:
    """Read every image of a name_size file.

    A name has any bytes but white space, as in the fork: those that are not UTF-8 are there as
    os.fsdecode gives them.
    Raises ParseError, naming the line, where a line has another form; also where the file is
    missing or names no image.
    """
    images = []
    for number, words in enumerate(read_bytes(path).splitlines(), 1):
        line = words.decode("utf-8", "surrogateescape")
        if not words.strip():
            continue
        image = parse_line(line)
        if image is None:
            raise ParseError(
                str(path),
                f"expected 'name height width', found '{printable(line.strip())}'",
                number,
            )
        images.append(image)
    if not images:
        raise ParseError(str(path), "names no image")
    return images


def parse_line(line: str) -> NameSize | None:
    """Read the image of one line, `name height width`.

    Returns None unless the line has three words and the last two are whole numbers.
    """
    words = line.encode("utf-8", "surrogateescape").split()  # at the spaces of ASCII alone
    if len(words) != 3:
        return None
    name, height, width = (word.decode("utf-8", "surrogateescape") for word in words)
    if not (height.isdecimal() and width.isdecimal()):
        return None
    if len(height + width) > _MOST_DIGITS:
        return None
    return NameSize(name, int(height), int(width))


def format_line(name: str, height: int, width: int) -> str:
    """Return the line of an image, with its line break.

    Underscores replace the white space in a name, because Caffe reads the file word by word.
    """
    one_word = "_".join(name.split())
    return f"{one_word} {height} {width}\n"
