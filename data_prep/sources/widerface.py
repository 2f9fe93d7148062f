"""WIDER FACE: one text file for a split, with the faces of each image.

Source: readme.txt of wider_face_split.zip: the image's path, the number of faces, and a line
`x y w h blur expression illumination invalid occlusion pose` for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data_prep.sources import fields, image_lists
from data_prep.sources.album import Album, recognised
from data_prep.sources.image_finder import IMAGES
from data_prep.sources.kind import Kind, register
from data_prep.sources.picture import Picture, Shape
from ssd_common.errors import ParseError

FACE = "face"
WORDS = "x y w h blur expression illumination invalid occlusion pose"
COUNT = len(WORDS.split())
INVALID = WORDS.split().index("invalid")
Lines = Iterator[tuple[int, str]]


class WiderFace(Album):
    """A folder of WIDER FACE, or one of its text files. Faces that are invalid are difficult."""

    suffixes = (".txt",)
    patterns = ("*bbx_gt*.txt", "*/*bbx_gt*.txt")

    def __init__(self, root: Path, images: Path | None = None) -> None:
        super().__init__(root, images)
        self.classes = [FACE]
        if self._only and self.root.name == "wider_face_split":
            self.root = self.root.parent

    @staticmethod
    def recognises(path: Path) -> bool:
        """Return whether a text file has faces, by its name."""
        return "bbx_gt" in path.name

    def split_of(self, path: Path) -> str:
        """Return a file's split: `train` of wider_face_train_bbx_gt.txt."""
        return path.stem.removeprefix("wider_face_").removesuffix("_bbx_gt")

    def folders(self, path: Path) -> list[str]:
        """Return where the images of a text file may be, relative to the root."""
        split = f"WIDER_{self.split_of(path)}"
        return [f"{split}/images", split, *super().folders(path)]

    def pictures(self, path: Path) -> Iterator[Picture]:
        """Yield what a file says of each image. Raises ParseError with file and line."""
        lines = image_lists.read_lines(path, "WIDER FACE's annotations")
        coming = next(lines, None)
        while coming:
            found = Picture(coming[1], coming[0])
            if not image_lists.has_image_extension(found.name):
                fault = f"'{fields.excerpt(found.name)}' where an image's path should be"
                raise ParseError(str(path), fault, found.line)
            count = _count(path, next(lines, None), found)
            coming = next(lines, None)
            if not count and coming and _is_dummy(coming[1]):
                coming = next(lines, None)
            for _ in range(count):
                if not coming or image_lists.has_image_extension(coming[1]):
                    fault = f"{len(found.objects)} of {count} faces follow"
                    raise ParseError(str(path), f"{found.name}: {fault}", found.line)
                number, line = coming
                found.take(_face, line, number)
                coming = next(lines, None)
            yield found


def _count(path: Path, coming: tuple[int, str] | None, image: Picture) -> int:
    """Return the number of faces of an image, which the next line says. Raises ParseError."""
    if not coming:
        raise ParseError(str(path), "the file ends after an image's path", image.line)
    number, line = coming
    if not fields.is_whole(line) or len(line) > 6:
        fault = f"'{fields.excerpt(line)}' where the number of faces should be"
        raise ParseError(str(path), fault, number)
    return int(line)


def _is_dummy(line: str) -> bool:
    """Return whether a line is the zeros that stand after an image without a face."""
    return set(line.split()) == {"0"}


def _face(line: str) -> Shape:
    """Return the face of a line. Raises ValueError."""
    words = line.split()
    if len(words) != COUNT or not all(map(fields.is_number, words)):
        raise ValueError(f"'{fields.excerpt(line)}' where `{WORDS}` should be, all numbers")
    x, y, width, height = map(fields.number, words[:4])
    difficult = words[INVALID] == "1"
    return Shape(FACE, [x, y, x + width, y + height], difficult)


KIND = Kind(
    name="widerface",
    position=13,
    title="a folder of WIDER FACE",
    notes="""
DIR holds wider_face_split/wider_face_NAME_bbx_gt.txt and WIDER_NAME/images; or name one such text
file. A LIST is train or val, or a text file of image paths. Faces that the file calls invalid are
difficult; faces without width or height are in the report. The only class is face.
""",
    examples="""
data_prep widerface WIDER --train-list train --test-list val --fix drop --out data/widerface
""",
    folder="folder with wider_face_split and WIDER_train, or one text file",
    open=WiderFace,
    options=(IMAGES,),
    layout="""
DIR/wider_face_split/wider_face_train_bbx_gt.txt   lines: 0--Parade/a.jpg, number of faces, a face
DIR/WIDER_train/images/0--Parade/a.jpg
""",
    looks_like=recognised(WiderFace),
)
register(KIND)
