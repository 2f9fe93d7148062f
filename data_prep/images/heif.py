"""HEIC and AVIF images, where OpenCV cannot read them: through the optional pillow-heif."""

from __future__ import annotations

from io import BytesIO

import numpy as np

from ssd_common.errors import CaffeError
from ssd_common.image_limits import most_pixels, too_large

# Bytes 8 to 12 of such a file.
_BRANDS = {
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"heim": "HEIC",
    b"heis": "HEIC",
    b"hevc": "HEIC",
    b"hevx": "HEIC",
    b"mif1": "HEIC",
    b"msf1": "HEIC",
    b"avif": "AVIF",
    b"avis": "AVIF",
}


def format_of(data: bytes) -> str:
    """Return "HEIC" or "AVIF" for such a file, by its first bytes; "" for others.

    Source: ISO/IEC 23008-12 (HEIF), file type box.
    """
    if data[4:8] != b"ftyp":
        return ""
    return _BRANDS.get(data[8:12], "")


def decode(data: bytes) -> np.ndarray:
    """Decode a file to pixels (H, W, 3) BGR, upright.

    Raises CaffeError without pillow-heif, and for a file that it cannot read or that is too large.
    """
    kind = format_of(data)
    try:
        import pillow_heif  # noqa: PLC0415
    except ImportError:
        remedy = "pip install pillow-heif, or save it as JPEG"
        raise CaffeError(f"{kind} image, which OpenCV cannot read here ({remedy})") from None
    try:
        image = pillow_heif.open_heif(BytesIO(data), bgr_mode=True)
        width, height = image.size
        if width * height > most_pixels():
            raise too_large(f"{width}x{height} pixels")
        pixels = np.asarray(image)
    except (ValueError, EOFError, SyntaxError, RuntimeError, OSError) as error:
        raise CaffeError(f"{kind} image that cannot be read: {error}") from None
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    return np.ascontiguousarray(pixels[:, :, :3])
