"""Image files by name, and how an LMDB keeps images."""

from __future__ import annotations

from typing import NamedTuple

JPEG_NAMES = (".jpg", ".jpeg")  # of files that records keep as they are, as the fork does
# JPEGs by names that the fork does not know, which it encodes anew.
OTHER_JPEG_NAMES = (".jfif", ".jpe")
# Of telephones, often with a JPEG of the same name beside them; not every OpenCV reads them.
HEIF_NAMES = (".avif", ".heic", ".heif")
WRITTEN_NAMES = (*JPEG_NAMES, ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
IMAGE_NAMES = (*WRITTEN_NAMES, ".gif", *OTHER_JPEG_NAMES, *HEIF_NAMES)
ENCODE_TYPES = tuple(sorted(name[1:] for name in WRITTEN_NAMES))
PICTURE_NAMES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")  # of contact sheets
KIND_NAMES = {"jpeg": (*JPEG_NAMES, *OTHER_JPEG_NAMES), "png": (".png",)}


class Encoding(NamedTuple):
    """How an LMDB keeps images.

    Names and meanings are those of the fork's convert_annoset. The fork's defaults
    differ: they keep raw pixels.

    encode_type: one of ENCODE_TYPES; "" takes the type from the file's name where encoded is set.
    encoded: with encode_type "", False keeps raw pixels, channel by channel.
    gray: one channel instead of three.
    min_dim, max_dim: bounds of the shorter and the longer side, which keep the aspect ratio
      (pixels; 0 for none).
    resize_height, resize_width: new size of every image (pixels; 0 for none).
    """

    encode_type: str = "jpg"
    encoded: bool = True
    gray: bool = False
    min_dim: int = 0
    max_dim: int = 0
    resize_height: int = 0
    resize_width: int = 0

    @property
    def channels(self) -> int:
        """Channels of an image: 1 grey, 3 colour."""
        if self.gray:
            return 1
        return 3

    @property
    def resizes(self) -> bool:
        """Whether any image may get another size."""
        return any(self[3:])

    def type_of(self, suffix: str) -> str:
        """Return the type that a file is encoded as; "" for raw pixels.

        suffix: of the file's name (".jpg").
        """
        if self.encode_type or not self.encoded:
            return self.encode_type
        if suffix in (*OTHER_JPEG_NAMES, *HEIF_NAMES):
            return "jpg"
        return suffix[1:]

    def keeps(self, suffix: str) -> bool:
        """Return whether a record keeps the bytes of a file.

        As in the fork, a file is encoded anew where its name gives the type.

        suffix: of the file's name (".jpg").
        """
        if not self.encode_type or self.resizes:
            return False
        if self.encode_type == "jpg":
            return suffix in JPEG_NAMES
        return suffix == f".{self.encode_type}"


COPIED = Encoding()
