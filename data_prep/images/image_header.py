"""What the headers of JPEG and PNG files say, read without decoding a pixel."""

from __future__ import annotations

from typing import Literal, NamedTuple

# Starts of frame that decoders read: baseline, extended, progressive. C3 to CF, but for DHT (C4),
# JPG (C8) and DAC (CC), are starts of frame, too.
START_OF_FRAME = frozenset({0xC0, 0xC1, 0xC2})
START_OF_SCAN, APP1 = 0xDA, 0xE1
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # by colour type: grey, colour, palette, grey and alpha, colour and alpha


class Header(NamedTuple):
    """A JPEG or PNG. height, width: pixels as stored, before any turning.

    channels: 1 grey, 3 colour, 4 CMYK (JPEG)
    deep: more than 8 bits a sample
    alpha: has transparency
    orientation: EXIF's, 1 (upright) to 8
    exif: from which byte to which the segment or chunk lies that says so
    """

    kind: str
    height: int
    width: int
    channels: int
    deep: bool = False
    alpha: bool = False
    orientation: int = 1
    exif: tuple[int, int] = (0, 0)

    @property
    def upright(self) -> tuple[int, int]:
        """(height, width) once it is turned as its orientation says."""
        if self.orientation >= 5:  # 5 to 8 lie on their side
            return self.width, self.height
        return self.height, self.width


def read_header(data: bytes) -> Header | None:
    """The header of a JPEG or PNG; None for any other file, and for a header without a size."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(PNG_SIGNATURE):
        return _png(data)
    return None


def is_cut_short(data: bytes) -> str | None:
    """The format of a file that was cut short ("JPEG", "PNG", …).

    None for one that has its end, or of a format without an end.
    """
    kind, whole = "", True
    if data.startswith(b"\xff\xd8"):
        kind, whole = "JPEG", _has_jpeg_end(data)
    elif data.startswith(PNG_SIGNATURE):
        kind, whole = "PNG", data.find(b"IEND", -4096) >= 0
    elif data[:3] == b"GIF":
        kind, whole = "GIF", data.rstrip(b"\0").endswith(b";")
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind, whole = "WebP", int.from_bytes(data[4:8], "little") + 8 <= len(data)
    return None if whole else kind


def _has_jpeg_end(data: bytes) -> bool:
    """Whether a JPEG's image ends.

    A thumbnail has an end of its own, but that is before the image's last scan; behind the image's
    own end there may be more.
    """
    return data.endswith(b"\xff\xd9") or data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")


def _jpeg(data: bytes) -> Header | None:
    at, orientation, exif = 2, 1, (0, 0)
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in START_OF_FRAME:
            height, width = data[at + 5] << 8 | data[at + 6], data[at + 7] << 8 | data[at + 8]
            if not height or not width or data.find(b"\xff\xda", at) < 0:  # without a scan to come it is no image
                return None
            return Header("jpeg", height, width, data[at + 9], data[at + 4] > 8, False, orientation, exif)
        if marker == START_OF_SCAN:
            return None
        length = data[at + 2] << 8 | data[at + 3]
        if marker == APP1 and data[at + 4 : at + 10] == b"Exif\0\0" and orientation == 1:
            orientation, exif = exif_orientation(data[at + 10 : at + 2 + length]), (at, at + 2 + length)
        at += 2 + length
    return None


def _png(data: bytes) -> Header | None:
    if data[12:16] != b"IHDR" or len(data) < 33 or data[25] not in PNG_CHANNELS:
        return None
    width, height, depth, colour = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"), data[24], data[25]
    alpha, orientation, exif, at = colour >= 4, 1, (0, 0), 33
    while at + 8 <= len(data):  # the chunks up to the end: EXIF may come after the pixels
        length, chunk = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        alpha |= chunk == b"tRNS"
        if chunk == b"eXIf":
            orientation, exif = exif_orientation(data[at + 8 : at + 8 + length]), (at, at + length + 12)
        at += length + 12
    channels = 1 if PNG_CHANNELS[colour] <= 2 else 3
    if not height or not width:
        return None
    return Header("png", height, width, channels, depth > 8, alpha, orientation, exif)


_ORDERS: dict[bytes, Literal["little", "big"]] = {b"II": "little", b"MM": "big"}


def exif_orientation(tiff: bytes) -> int:
    """EXIF orientation, 1 to 8, from the TIFF part of an EXIF block; 1 (upright) if it has none."""
    order = _ORDERS.get(tiff[:2])
    if order is None:
        return 1

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], order)

    directory = number(4, 4)
    for i in range(number(directory, 2)):
        entry = directory + 2 + 12 * i
        if entry + 12 > len(tiff):
            break
        if number(entry, 2) == 0x0112:
            value = number(entry + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1
