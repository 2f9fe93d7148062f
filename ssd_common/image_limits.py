"""Which images are too large to decode: a few bytes may declare gigabytes of pixels."""

from __future__ import annotations

import argparse
import os

from ssd_common.arguments import positive
from ssd_common.errors import CaffeError

# More pixels than this Pillow refuses as well (twice its MAX_IMAGE_PIXELS).
DEFAULT = 178_956_970
# OpenCV reads this variable when it is loaded, worker processes inherit it.
VARIABLE = "OPENCV_IO_MAX_IMAGE_PIXELS"
LOG_VARIABLE = "OPENCV_LOG_LEVEL"

_PNG = b"\x89PNG\r\n\x1a\n"
# JPEG's markers of frames, SOF0 to SOF15: C4, C8 and CC mean something else.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))  # markers without a segment: TEM, RST0 to RST7
_LAST = frozenset((0xD9, 0xDA))  # end of image, start of scan: no frame follows


def add_flag(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add `--max-pixels`, for commands that decode images."""
    parser.add_argument(
        "--max-pixels",
        type=positive,
        metavar="N",
        help=f"refuse images that declare more pixels (default: {DEFAULT}, as Pillow)",
    )


def apply(args: argparse.Namespace) -> None:
    """Set the limit of a command that has `--max-pixels`, before it loads OpenCV.

    OpenCV's own lines about images that it cannot decode are left out: the command reports them,
    in one line each.
    """
    if not hasattr(args, "max_pixels"):
        return
    os.environ.setdefault(LOG_VARIABLE, "SILENT")
    if args.max_pixels:
        os.environ[VARIABLE] = str(args.max_pixels)
    else:
        os.environ.setdefault(VARIABLE, str(DEFAULT))


def most_pixels() -> int:
    """Return the greatest number of pixels that an image may have."""
    given = os.environ.get(VARIABLE, "")
    if given.isdecimal() and len(given) < 20:
        return int(given)
    return DEFAULT


def refuse_too_large(data: bytes) -> None:
    """Refuse a JPEG or PNG whose header declares more pixels than the limit.

    data: an image file's bytes; other formats pass.
    Raises CaffeError.
    """
    width, height = declared_size(data)
    if width * height > most_pixels():
        raise too_large(f"{width}x{height} pixels")


def too_large(what: str) -> CaffeError:
    """Return the error for an image. what: how large it is"""
    return CaffeError(f"{what} are more than {most_pixels()} (--max-pixels allows more)")


def declared_size(data: bytes) -> tuple[int, int]:
    """Return the width and height in a JPEG's or PNG's header; zeros where there is none.

    It finds a header wherever libjpeg and libpng do.
    """
    if data.startswith(_PNG):
        return _number(data, 16, 4), _number(data, 20, 4)
    if data.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    return 0, 0


def chunks_fit(data: bytes) -> bool:
    """Return whether every chunk of a PNG ends within the file; True for other formats.

    A decoder may allocate what a chunk declares before it reads it.
    """
    if not data.startswith(_PNG):
        return True
    at = len(_PNG)
    while at + 8 <= len(data):
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at += _number(data, at, 4) + 12
        if at > len(data):
            return False
    return True


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Return the size in a JPEG's frame. Bytes between segments are skipped, as by libjpeg."""
    at = data.find(b"\xff", 2)
    while 0 <= at < len(data) - 8:
        marker = data[at + 1]
        if marker in _FRAMES:
            return _number(data, at + 7, 2), _number(data, at + 5, 2)
        if marker in _LAST:
            break
        step = 1  # a fill byte, or a zero after 0xFF
        if marker in _ALONE:
            step = 2
        elif 0 < marker < 0xFF:
            step = 2 + max(2, _number(data, at + 2, 2))
        at = data.find(b"\xff", at + step)
    return 0, 0


def _number(data: bytes, at: int, size: int) -> int:
    """Read a whole number of `size` bytes, the highest first."""
    return int.from_bytes(data[at : at + size], "big")
