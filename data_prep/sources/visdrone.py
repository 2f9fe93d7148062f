"""VisDrone's object detection in images: a text file for each image, a line for each object.

Source: VisDrone/VisDrone2018-DET-toolkit, README.md: `x,y,width,height,score,category,truncation,
occlusion`. Its evaluation passes over regions of category 0 and lines whose score is 0.
"""

from __future__ import annotations

from pathlib import Path

from data_prep.sources import fields
from data_prep.sources.image_finder import IMAGES
from data_prep.sources.kind import Kind, Option, register
from data_prep.sources.paired import Paired, recognised
from data_prep.sources.picture import LeftOut, Shape

# By category, from 0.
NAMES = (
    "ignored regions",
    "pedestrian",
    "people",
    "bicycle",
    "car",
    "van",
    "truck",
    "tricycle",
    "awning-tricycle",
    "bus",
    "motor",
    "others",
)
IGNORED = (0, 11)
WORDS = "x,y,width,height,score,category,truncation,occlusion"


class VisDrone(Paired):
    """A folder of VisDrone-DET.

    keep_ignored: whether ignored regions and others stay, as difficult objects.
    """

    folders = ("annotations",)
    what = "VisDrone's annotation"

    def __init__(
        self, root: Path, keep_ignored: bool = False, images: Path | str | None = None
    ) -> None:
        super().__init__(root, images)
        self._keep_ignored = keep_ignored
        self.classes = list(NAMES[1:-1])
        if keep_ignored:
            self.classes = [*NAMES[1:], NAMES[0]]

    def line(self, text: str) -> Shape | LeftOut | None:
        """Return the object of a line, or the region to ignore. Raises ValueError."""
        words = [word.strip() for word in text.strip().rstrip(",").split(",")]
        if len(words) != len(WORDS.split(",")) or not all(map(fields.is_number, words)):
            raise ValueError(f"'{fields.excerpt(text)}' where `{WORDS}` should be, all numbers")
        x, y, width, height, score, category, *_ = map(fields.number, words)
        if category not in range(len(NAMES)):
            raise ValueError(f"category {words[5]}, but categories go from 0 to {len(NAMES) - 1}")
        name = NAMES[int(category)]
        ignored = category in IGNORED
        if ignored and not self._keep_ignored:
            return LeftOut(name, name, "ignored")
        difficult = ignored or score == 0
        return Shape(name, [x, y, x + width, y + height], difficult)


def _open(folder: Path, ignored: str = "drop", images: Path | str | None = None) -> VisDrone:
    """Return the data set in a folder.

    ignored: "drop" or "keep".
    images: as VisDrone takes it.
    """
    return VisDrone(folder, ignored == "keep", images)


KIND = Kind(
    name="visdrone",
    position=14,
    title="a folder of VisDrone's object detection (DET)",
    notes="""
DIR has images/NAME.jpg and annotations/NAME.txt, or folders with both, such as
VisDrone2019-DET-train. A LIST is such a folder, or the last word of its name (train), or a file of
image names. Objects that do not count (score 0) are difficult. Ignored regions and others
(categories 0 and 11) are left out, or kept as difficult objects.
""",
    examples="""
data_prep visdrone VISDRONE --train-list train --test-list val --out data/visdrone
""",
    folder="folder with images and annotations, or with such folders",
    open=_open,
    options=(
        IMAGES,
        Option(
            "ignored",
            "what becomes of ignored regions and others (default: drop)",
            choices=("drop", "keep"),
            default="drop",
        ),
    ),
    layout="""
DIR/VisDrone2019-DET-train/annotations/a.txt   684,8,273,116,0,0,0,0
DIR/VisDrone2019-DET-train/images/a.jpg
""",
    looks_like=recognised(VisDrone),
)
register(KIND)
