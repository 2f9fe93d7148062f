"""Images as an LMDB keeps them: encoded, with height and width as OpenCV's decoder will report them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from caffe_ir.errors import CaffeError

JPEG_NAMES = (".jpg", ".jpeg")
IMAGE_NAMES = (*JPEG_NAMES, ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
START_OF_FRAME = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive: what every decoder reads
START_OF_SCAN, APP1 = 0xDA, 0xE1


class EncodedImage(NamedTuple):
    """data: the bytes of a JPEG (or what a file named .jpg held); height, width: pixels after EXIF rotation."""

    data: bytes
    height: int
    width: int


def read_image(path: Path) -> EncodedImage:
    """The image of a file for `--encode_type jpg`: a .jpg or .jpeg file byte by byte, anything else encoded anew as JPEG.

    The header of a JPEG is enough to know its size and whether it was cut short, so only other formats are decoded.
    Raises CaffeError naming the file if it is empty, cut short or no image; OSError if it cannot be opened.
    Source: weiliu89/caffe (ssd), src/caffe/util/io.cpp, ReadImageToDatum.
    """
    data = path.read_bytes()
    if not data:
        raise CaffeError(f"{path}: empty file")
    if data.startswith(b"\x89PNG") and b"IEND" not in data[-4096:]:
        raise CaffeError(f"{path}: PNG image cut short (no end of image)")
    copied = path.suffix.lower() in JPEG_NAMES
    size = jpeg_size(data) if data.startswith(b"\xff\xd8") else None
    if size and b"\xff\xd9" not in data[data.rfind(b"\xff\xda") :]:
        raise CaffeError(f"{path}: JPEG image cut short (no end of image)")
    if copied and size:
        return EncodedImage(data, *size)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise CaffeError(f"{path}: not an image that OpenCV can read")
    if not copied:
        data = cv2.imencode(".jpg", pixels)[1].tobytes()
    return EncodedImage(data, *pixels.shape[:2])


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) from a JPEG's header, turned as its EXIF orientation says; None where the header does not tell."""
    at, rotated = 2, False
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in START_OF_FRAME:
            height, width = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
            # A header whose scan never comes is no image.
            if not height or not width or data.find(b"\xff\xda", at) < 0:
                return None
            return (width, height) if rotated else (height, width)
        if marker == START_OF_SCAN:
            return None
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == APP1 and data[at + 4 : at + 10] == b"Exif\0\0":
            rotated = exif_orientation(data[at + 10 : at + 2 + length]) >= 5  # 5 to 8 lie on their side
        at += 2 + length
    return None


def exif_orientation(tiff: bytes) -> int:
    """EXIF orientation 1 to 8 from the TIFF part of a JPEG's APP1 segment; 1 (upright) where there is none."""
    order = {b"II": "little", b"MM": "big"}.get(tiff[:2])

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], order)  # type: ignore[arg-type]

    if order is None:
        return 1
    directory = number(4, 4)
    for i in range(number(directory, 2)):
        entry = directory + 2 + 12 * i
        if entry + 12 > len(tiff):
            break
        if number(entry, 2) == 0x0112:
            value = number(entry + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1
