"""Image files by name, and how an LMDB keeps images."""

from __future__ import annotations

from typing import NamedTuple

JPEG_NAMES = (".jpg", ".jpeg")
IMAGE_NAMES = (*JPEG_NAMES, ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".gif")
ENCODE_TYPES = tuple(sorted(name[1:] for name in IMAGE_NAMES if name != ".gif"))
PICTURE_NAMES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")  # of contact sheets
KIND_NAMES = {"jpeg": JPEG_NAMES, "png": (".png",)}


class Encoding(NamedTuple):
    """How images are kept.

    Names and meanings are those of the fork's convert_annoset; its defaults are not, as they keep
    raw pixels.

    encode_type: one of ENCODE_TYPES; "" with encoded: what the file's name says; "" without: raw
      pixels, channel by channel
    min_dim, max_dim: bounds in pixels of the shorter and the longer side, aspect ratio kept; 0 for
      none
    """

    encode_type: str = "jpg"
    encoded: bool = True
    gray: bool = False
    min_dim: int = 0
    max_dim: int = 0
    resize_height: int = 0
    resize_width: int = 0

    @property
    def resizes(self) -> bool:
        """Whether any image may get another size."""
        return any(self[3:])

    def type_of(self, suffix: str) -> str:
        """What a file with a name that ends so (".jpg") is encoded as; "" for raw pixels."""
        return self.encode_type or (suffix[1:] if self.encoded else "")

    def keeps(self, suffix: str) -> bool:
        """Whether the bytes of a file with such a name are kept.

        The fork encodes anew where it guesses the type.
        """
        same = suffix == f".{self.encode_type}" or (self.encode_type == "jpg" and suffix == ".jpeg")
        return bool(self.encode_type) and same and not self.resizes


COPIED = Encoding()
