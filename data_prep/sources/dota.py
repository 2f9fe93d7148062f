"""DOTA: a text file for each image, a line with four corners for each object.

Source: DOTA's page "Annotation format": two lines `imagesource:` and `gsd:`, then lines `x1 y1 x2
y2 x3 y3 x4 y4 category difficult`; CAPTAIN-WHU/DOTA_devkit, dota_utils.py, parse_dota_poly.
"""

from __future__ import annotations

from data_prep.sources import fields, outlines
from data_prep.sources.image_finder import IMAGES
from data_prep.sources.kind import Kind, register
from data_prep.sources.paired import Paired, recognised
from data_prep.sources.picture import LeftOut, Shape

HEAD = ("imagesource", "gsd")
WORDS = "x1 y1 x2 y2 x3 y3 x4 y4 category difficult"


class Dota(Paired):
    """A folder of DOTA, or of another data set in its form."""

    folders = ("labelTxt", "labelTxt*/labelTxt", "labelTxt*", "labelTxt*/*", "annfiles")
    what = "DOTA's annotation"

    def line(self, text: str) -> Shape | LeftOut | None:
        """Return the object of a line; None for the file's head. Raises ValueError."""
        if text.partition(":")[0].strip().lower() in HEAD:
            return None
        words = text.split()
        corners = words[:8]
        name = words[8:]
        difficult = bool(name[1:]) and fields.is_whole(name[-1]) and name.pop() != "0"
        if not name or not all(map(fields.is_number, corners)):
            raise ValueError(f"'{fields.excerpt(text)}' where `{WORDS}` should be")
        numbers = [fields.number(word) for word in corners]
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        kind = "turned box"
        box = outlines.around(points)
        if set(points) == set(_corners(box)):
            kind = ""
        return Shape(" ".join(name), box, difficult, kind)


def _corners(box: outlines.Box) -> list[outlines.Point]:
    """Return the corners of an upright box."""
    xmin, ymin, xmax, ymax = box
    return [(xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax)]


KIND = Kind(
    name="dota",
    position=16,
    title="a folder of DOTA, boxes with four corners",
    notes="""
DIR has images/NAME.png and labelTxt/NAME.txt, or folders with both, such as train and val (also
labelTxt-v1.5/…, and the files in pixels that YOLOv5-OBB has). The upright box around the four
corners is taken. A LIST is such a folder, or a file of image names. Objects whose last number is
not 0 are difficult. YOLO's own text files with four corners, in fractions, are of kind yolo.
""",
    examples="""
data_prep dota DOTA --train-list train --test-list val --out data/dota
""",
    folder="folder with images and labelTxt, or with such folders",
    open=Dota,
    options=(IMAGES,),
    layout="""
DIR/train/labelTxt/P0000.txt   2753 2408 2861 2385 2888 2468 2805 2502 plane 0
DIR/train/images/P0000.png
""",
    looks_like=recognised(Dota),
)
register(KIND)
