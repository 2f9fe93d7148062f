"""Names of files for the images of LMDBs."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ssd_common.files import as_file_name, beginning

# convert_annoset writes a number and the image's path.
_KEY = re.compile(rb"\d{8}_(.+)", re.DOTALL)
SUFFIXES = {
    "jpeg": (".jpg", ".jpeg"),
    "png": (".png",),
    "bmp": (".bmp",),
    "gif": (".gif",),
    "webp": (".webp",),
    "tiff": (".tif", ".tiff"),
    "pnm": (".ppm", ".pgm", ".pnm"),
}
_STARTS = (
    (b"\xff\xd8", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"BM", "bmp"),
    (b"GIF8", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
)
_PNM = re.compile(rb"P[2356]\s")


def format_of(data: bytes) -> str:
    """Return the format of an image file by its first bytes, a key of SUFFIXES; "" for others."""
    for start, found in _STARTS:
        if data.startswith(start):
            return found
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    if _PNM.match(data):
        return "pnm"
    return ""


def path_of(key: bytes) -> PurePosixPath:
    """Return the path in a record's key, without what leads up or away from its folder.

    Bytes that are not UTF-8, control characters and slashes in names become percent codes.
    """
    found = _KEY.fullmatch(key)
    if found:
        key = found[1]
    text = key.decode("utf-8", "surrogateescape").replace("\\", "/")
    parts = [_clean(part) for part in text.split("/") if part.strip(". ")]
    return PurePosixPath(*parts or ["image"])


def _clean(part: str) -> str:
    """Return a part of a path that lists and file systems can have."""
    shown = as_file_name(part.strip())
    escaped = "".join(_escaped(character) for character in shown)
    if escaped.startswith("."):  # a hidden file
        return f"_{escaped}"
    return escaped


def _escaped(character: str) -> str:
    """Return a character that can be printed, or percent codes of its bytes."""
    if character.isprintable():
        return character
    codes = character.encode("utf-8", "surrogateescape")
    return "".join(f"%{code:02X}" for code in codes)


class Names:
    """Gives each image a name of its own, the key's last part where it is free.

    No two are alike without the ending, in capitals or small letters, since annotations are called
    by them.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, key: bytes, kind: str) -> str:
        """Return the name for the image of a key.

        kind: its format, a key of SUFFIXES; the name has an ending of that format.
        """
        path = path_of(key)
        suffix = path.suffix
        stem = path.stem
        known = {ending for endings in SUFFIXES.values() for ending in endings}
        if suffix.lower() not in known:
            stem = path.name
        if suffix.lower() not in SUFFIXES[kind]:
            suffix = SUFFIXES[kind][0]
        folders = "_".join(path.parent.parts)
        return self._free(stem, folders) + suffix

    def _free(self, stem: str, folders: str) -> str:
        """Return a name that is free: the stem, with its folders before it, or a number after."""
        candidate = beginning(stem)
        number = 2
        if candidate.casefold() in self._taken and folders:
            stem = f"{folders}_{stem}"
            candidate = beginning(stem)
        while candidate.casefold() in self._taken:
            candidate = f"{beginning(stem)}_{number}"
            number += 1
        self._taken.add(candidate.casefold())
        return candidate
