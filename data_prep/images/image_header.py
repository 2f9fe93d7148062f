"""What the headers of JPEG and PNG files say, read without decoding a pixel."""

from __future__ import annotations

from typing import Literal, NamedTuple

# Starts of frame that decoders read: baseline, extended, progressive. C3 to CF, but for DHT (C4),
# JPG (C8) and DAC (CC), are starts of frame, too.
START_OF_FRAME = frozenset({0xC0, 0xC1, 0xC2})
START_OF_SCAN = 0xDA
APP1 = 0xE1
JPEG_SIGNATURE = b"\xff\xd8"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# By colour type: grey, colour, palette, grey and alpha, colour and alpha; alpha does not count.
PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}


class Header(NamedTuple):
    """What a JPEG or PNG says of itself.

    kind: "jpeg" or "png".
    height, width: as stored, before any turning (pixels).
    channels: 1 grey, 3 colour, 4 CMYK (JPEG).
    deep: more than 8 bits a sample.
    alpha: has transparency.
    orientation: EXIF's, 1 (upright) to 8.
    exif: first byte, and the one after the last, of the segment or chunk that has the orientation.
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
        """(height, width) after a turn by the orientation (pixels)."""
        if self.orientation >= 5:  # 5 to 8 lie on their side
            return self.width, self.height
        return self.height, self.width


def read_header(data: bytes) -> Header | None:
    """Read the header of a JPEG or PNG; None for other files and headers without a size."""
    if data.startswith(JPEG_SIGNATURE):
        return _jpeg(data)
    if data.startswith(PNG_SIGNATURE):
        return _png(data)
    return None


def is_cut_short(data: bytes) -> str | None:
    """Return the format of a file that was cut short ("JPEG", "PNG", …).

    None for a file that has its end, or whose format marks no end.
    """
    if data.startswith(JPEG_SIGNATURE):
        kind = "JPEG"
        whole = _has_jpeg_end(data)
    elif data.startswith(PNG_SIGNATURE):
        kind = "PNG"
        whole = data.find(b"IEND", -4096) >= 0
    elif data[:3] == b"GIF":
        kind = "GIF"
        whole = data.rstrip(b"\0").endswith(b";")
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind = "WebP"
        whole = int.from_bytes(data[4:8], "little") + 8 <= len(data)
    else:
        return None
    if whole:
        return None
    return kind


def _has_jpeg_end(data: bytes) -> bool:
    """Return whether a JPEG's image ends.

    A thumbnail's end comes before the image's last scan. Other bytes may follow the image's end.
    """
    return data.endswith(b"\xff\xd9") or data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")


def _number(data: bytes, at: int, size: int) -> int:
    """Read a whole number of `size` bytes, the highest first."""
    return int.from_bytes(data[at : at + size], "big")


def _jpeg(data: bytes) -> Header | None:
    """Read the header of a JPEG; None where it has none, or is no image."""
    at = 2
    orientation = 1
    exif = (0, 0)
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in START_OF_FRAME:
            return _jpeg_frame(data, at, orientation, exif)
        if marker == START_OF_SCAN:
            return None
        end = at + 2 + _number(data, at + 2, 2)
        if marker == APP1 and data[at + 4 : at + 10] == b"Exif\0\0" and orientation == 1:
            orientation = exif_orientation(data[at + 10 : end])
            exif = (at, end)
        at = end
    return None


def _jpeg_frame(data: bytes, at: int, orientation: int, exif: tuple[int, int]) -> Header | None:
    """Read the header of a JPEG from its frame on; None without a size or a scan."""
    height = _number(data, at + 5, 2)
    width = _number(data, at + 7, 2)
    if not height or not width or data.find(b"\xff\xda", at) < 0:
        return None
    return Header(
        kind="jpeg",
        height=height,
        width=width,
        channels=data[at + 9],
        deep=data[at + 4] > 8,
        orientation=orientation,
        exif=exif,
    )


def _png(data: bytes) -> Header | None:
    """Read the header of a PNG; None where it has none."""
    if data[12:16] != b"IHDR" or len(data) < 33 or data[25] not in PNG_CHANNELS:
        return None
    width = _number(data, 16, 4)
    height = _number(data, 20, 4)
    depth = data[24]
    colour = data[25]
    alpha = colour >= 4
    orientation = 1
    exif = (0, 0)
    at = 33
    while at + 8 <= len(data):  # the chunks up to the end: EXIF may come after the pixels
        length = _number(data, at, 4)
        chunk = data[at + 4 : at + 8]
        if chunk == b"tRNS":
            alpha = True
        if chunk == b"eXIf":
            orientation = exif_orientation(data[at + 8 : at + 8 + length])
            exif = (at, at + length + 12)
        at += length + 12
    if not height or not width:
        return None
    return Header(
        kind="png",
        height=height,
        width=width,
        channels=PNG_CHANNELS[colour],
        deep=depth > 8,
        alpha=alpha,
        orientation=orientation,
        exif=exif,
    )


_ORDERS: dict[bytes, Literal["little", "big"]] = {b"II": "little", b"MM": "big"}


def exif_orientation(tiff: bytes) -> int:
    """Read the EXIF orientation, 1 to 8, from an EXIF block's TIFF part, or 1 (upright)."""
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
            if 1 <= value <= 8:
                return value
            break
    return 1
