"""Images as an LMDB and the fork's convert_annoset keep them.

They are a file's own bytes, pixels encoded anew, or raw pixels.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from data_prep.images import heif
from data_prep.images.encoding import COPIED, JPEG_NAMES, KIND_NAMES, Encoding
from data_prep.images.image_header import Header, is_cut_short, read_header
from ssd_common.errors import CaffeError
from ssd_common.files import read_regular
from ssd_common.image_limits import chunks_fit, refuse_too_large
from ssd_common.pictures import decoded

# read_image reports what cannot be decoded, with its file.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class EncodedImage(NamedTuple):
    """An image as a record keeps it.

    data: encoded, or raw pixels.
    height, width: of the file's image, upright, which boxes and name_size files go by (pixels).
    shape: of data: channels, height, width (pixels).
    encoded: whether data is encoded.
    remarks: facts about the file that its owner should know, each a kind of
      data_prep.checks.faults.FAULT_KINDS and words.
    """

    data: bytes
    height: int
    width: int
    shape: tuple[int, int, int]
    encoded: bool = True
    remarks: tuple[tuple[str, str], ...] = ()


def read_image(
    path: str | Path, encoding: Encoding = COPIED, stated: tuple[int, int] = (0, 0)
) -> EncodedImage:
    """Read a file's image as a record keeps it.

    For a JPEG or PNG that is copied, its header tells the size and whether it was cut short; all
    other files are decoded. Like the fork, this copies also a file that only nets with
    `force_color` can read, such as a grey one. It does not copy a file that EXIF turns, because
    some decoders heed EXIF and some do not. It turns that image upright or, where the stated size
    is the size as stored, keeps the image as it is without its EXIF.

    encoding: how records keep images.
    stated: width and height in the file's annotation (pixels).
    Raises CaffeError naming the file if it is empty, cut short or no image; OSError if it cannot be
      opened.
    Source: weiliu89/caffe (ssd), src/caffe/util/io.cpp, ReadImageToDatum.
    """
    data = _read_whole(path)
    suffix = os.path.splitext(path)[1].lower()
    header = read_header(data)
    remarks: list[tuple[str, str]] = []
    if header and header.orientation > 1:
        stored = (header.width, header.height)
        upright = header.upright[::-1]
        if stated == stored != upright:
            data = data[: header.exif[0]] + data[header.exif[1] :]
            header = header._replace(orientation=1)
            size = f"{header.width}x{header.height}"
            remark = f"is {size} in its annotation, so its EXIF orientation is left out"
            remarks.append(("unturned", remark))
        else:
            remarks.append(("upright", "turned upright, as its EXIF orientation says"))
    if header:
        remarks += _remarks(suffix, header, encoding)
    channels = encoding.channels
    kept = encoding.keeps(suffix)
    if kept and header and header.orientation == 1 and header.channels in (1, 3):
        return _copied(data, (channels, header.height, header.width), remarks)
    pixels = _decode(path, data, header, encoding.gray)
    height, width = pixels.shape[:2]
    if kept and _is_stored_upright(path, data, header, pixels, encoding):
        return _copied(data, (channels, height, width), remarks)
    pixels = resize(pixels, encoding)
    shape = (channels, *pixels.shape[:2])
    encode_type = encoding.type_of(suffix)
    if not encode_type:
        raw = _raw(pixels, channels)
        return EncodedImage(raw, height, width, shape, False, tuple(remarks))
    encoded = _encode(path, pixels, encode_type)
    return EncodedImage(encoded, height, width, shape, True, tuple(remarks))


def _read_whole(path: str | Path) -> bytes:
    """Return the bytes of a file.

    Raises CaffeError if it is empty, cut short or no regular file, or has too many pixels.
    """
    data = read_regular(path)
    if not data:
        raise CaffeError(f"{path}: empty file")
    kind = is_cut_short(data)
    if kind:
        raise CaffeError(f"{path}: {kind} image cut short (no end of image)")
    if not chunks_fit(data):
        raise CaffeError(f"{path}: PNG image damaged (a chunk is longer than the file)")
    try:
        refuse_too_large(data)
    except CaffeError as error:
        raise CaffeError(f"{path}: {error}") from None
    return data


def _copied(
    data: bytes, shape: tuple[int, int, int], remarks: list[tuple[str, str]]
) -> EncodedImage:
    """Return the image of a file that a record copies byte for byte."""
    _, height, width = shape
    return EncodedImage(data, height, width, shape, True, tuple(remarks))


def _is_stored_upright(
    path: str | Path, data: bytes, header: Header | None, pixels: np.ndarray, encoding: Encoding
) -> bool:
    """Return whether a file is upright for every decoder, whether or not it heeds EXIF.

    pixels: of the file, upright.
    """
    if header:
        return header.orientation == 1
    if os.path.splitext(path)[1].lower() in (*JPEG_NAMES, ".png"):
        return False
    stored = _decode(path, data, None, encoding.gray, cv2.IMREAD_IGNORE_ORIENTATION)
    return np.array_equal(pixels, stored)


def _raw(pixels: np.ndarray, channels: int) -> bytes:
    """Return pixels (H, W[, 3]) as bytes, channel by channel."""
    planes = pixels.reshape(*pixels.shape[:2], channels).transpose(2, 0, 1)
    return np.ascontiguousarray(planes).tobytes()


def image_size(path: str | Path) -> tuple[int, int]:
    """Return (height, width) of an image file, upright (pixels). Raises as read_image."""
    return read_image(path)[1:3]


def resize(pixels: np.ndarray, encoding: Encoding) -> np.ndarray:
    """Resize an image (H, W[, 3]) as the fork does.

    The fork's scale is a single-precision number.
    Source: io.cpp, ReadImageToCVMat.
    """
    if encoding.min_dim or encoding.max_dim:
        short, long = sorted(pixels.shape[:2])
        scale = np.float32(1)
        if encoding.min_dim and short < encoding.min_dim:
            scale = np.float32(encoding.min_dim) / np.float32(short)
        if encoding.max_dim and int(scale * np.float32(long)) > encoding.max_dim:
            scale = np.float32(encoding.max_dim) / np.float32(long)
        if scale == 1:
            return pixels
        return cv2.resize(pixels, None, fx=float(scale), fy=float(scale))
    if encoding.resize_height and encoding.resize_width:
        return cv2.resize(pixels, (encoding.resize_width, encoding.resize_height))
    return pixels


def _remarks(suffix: str, header: Header, encoding: Encoding) -> list[tuple[str, str]]:
    remarks = []
    if suffix not in KIND_NAMES[header.kind]:
        remarks.append(("extension", f"is a {header.kind.upper()} file by another name"))
    if not encoding.keeps(suffix):
        return remarks
    if header.channels == 1 and not encoding.gray:
        remarks.append(("grey", "is grey"))
    elif header.channels != 1 and encoding.gray:
        remarks.append(("colour", "is kept in colour, as the fork's tool does"))
    if header.alpha:
        remarks.append(("alpha", "has transparency"))
    elif header.deep:
        remarks.append(("deep", "has 16 bits a sample"))
    return remarks


def _decode(
    path: str | Path, data: bytes, header: Header | None, gray: bool, flags: int = 0
) -> np.ndarray:
    """Decode a file to pixels (H, W, 3) BGR or (H, W) grey, upright.

    It turns the image by its header's EXIF itself, as not every OpenCV does so for PNG.
    """
    if header:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    if gray:
        flags |= cv2.IMREAD_GRAYSCALE
    else:
        flags |= cv2.IMREAD_COLOR
    try:
        pixels = decoded(data, flags)
    except CaffeError as error:
        raise CaffeError(f"{path}: {error}") from None
    if pixels is None and heif.format_of(data):
        pixels = _of_heif(path, data, gray)
    if pixels is None:
        hint = ""
        if data[:3] == b"GIF" and _OPENCV < (4, 11):
            hint = " (a GIF needs OpenCV 4.11)"
        raise CaffeError(f"{path}: not an image that OpenCV can read{hint}")
    if header:
        pixels = _turned(pixels, header.orientation)
    return np.ascontiguousarray(pixels)


def _of_heif(path: str | Path, data: bytes, gray: bool) -> np.ndarray:
    """Decode a HEIC or AVIF file as _decode does. Raises CaffeError with the file."""
    try:
        pixels = heif.decode(data)
    except CaffeError as error:
        raise CaffeError(f"{path}: {error}") from None
    if gray:
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    return pixels


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn pixels (H, W[, 3]) upright. orientation: EXIF's, 1 to 8."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _encode(path: str | Path, pixels: np.ndarray, encode_type: str) -> bytes:
    try:
        done, data = cv2.imencode(f".{encode_type}", pixels)
    except cv2.error:
        done = False
    if not done:
        raise CaffeError(f"{path}: OpenCV cannot encode it as '{encode_type}'")
    return data.tobytes()


_OPENCV = tuple(int(n) for n in cv2.__version__.split(".")[:2])
