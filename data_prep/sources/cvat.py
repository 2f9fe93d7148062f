"""CVAT's own XML, "for images" and "for video" 1.1.

Source: cvat-ai/cvat, site/content/en/docs/manual/advanced/xml_format.md, and for turned boxes,
ellipses and masks cvat/apps/dataset_manager/formats/cvat.py.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from data_prep.sources import fields, json_lines, outlines, picture
from data_prep.sources.album import Album, recognised
from data_prep.sources.cvat_xml import Element, Reader
from data_prep.sources.image_finder import IMAGES
from data_prep.sources.kind import Kind, register
from data_prep.sources.outlines import Box
from data_prep.sources.picture import LeftOut, Picture, Shape, numbers
from data_prep.sources.source import Item
from ssd_common.errors import CaffeError, ParseError

CORNERS = ("xtl", "ytl", "xbr", "ybr")
CUBOID = [
    f"{way}{corner}{face}" for face in "12" for corner in ("tl", "bl", "tr", "br") for way in "xy"
]
FRAME = "frame_{:06d}"  # as CVAT names the frames of a video that it exports
LEFT_OUT = {
    "points": "points",
    "skeleton": "skeleton",
    "tag": "label of the whole image",
}


class Cvat(Album):
    """A folder with CVAT's XML files and images, or one such file.

    difficult_if: attributes beside `difficult` that make an object difficult; CVAT's own occluded
      may be one.
    """

    suffixes = (".xml",)
    patterns = ("*/annotations.xml",)

    def __init__(
        self,
        root: Path,
        images: Path | None = None,
        difficult_if: str | Iterable[str] | None = None,
    ) -> None:
        super().__init__(root, images)
        self._difficult_if = picture.flag_names(difficult_if)
        self._labels: dict[str, None] = {}

    @property
    def classes(self) -> list[str] | None:  # type: ignore[override]
        """The labels of all files read so far, in their order; None where none lists any."""
        return list(self._labels) or None

    @staticmethod
    def recognises(path: Path) -> bool:
        """Return whether an XML file is CVAT's, by its start."""
        return bool(re.search(r"<annotations[\s>]", json_lines.start(path)))

    def load(self, path: Path) -> list[Item]:
        """Return the items of one file.

        Raises as Album's does, and CaffeError for a video without its frames.
        """
        items = super().load(path)
        frames = [item for item in items if re.fullmatch(r"frame_\d{6}", item.image)]
        if frames and not any((self.root / item.image).is_file() for item in items):
            example = "ffmpeg -i VIDEO -start_number 0 -vsync 0 images/frame_%06d.jpg"
            fault = f"tracks in a video whose frames are not in {self.root / 'images'}"
            raise CaffeError(f"{path}: {fault} (extract them there: {example})")
        return items

    def pictures(self, path: Path) -> Iterator[Picture]:
        """Yield what a file says of each image or frame. Raises ParseError with file and line."""
        reader = Reader(path)
        frames: dict[int, Picture] = {}
        tasks: set[str] = set()
        for element in reader.elements():
            self._add_labels(reader.head.labels)
            try:
                if element.tag == "image":
                    yield self._image(element)
                else:
                    tasks.add(element.attributes.get("task_id", ""))
                    self._add_track(element, frames, reader.head.size)
            except ValueError as error:
                raise ParseError(str(path), str(error), element.line) from None
        if len(tasks) > 1:
            fault = f"tracks of {len(tasks)} videos, whose frames have the same names"
            raise ParseError(str(path), f"{fault}: export each task by itself")
        for _, found in sorted(frames.items()):
            yield found

    def _add_labels(self, labels: list[str]) -> None:
        """Keep the labels of a file, in their order."""
        for label in labels:
            self._labels.setdefault(label)

    def _image(self, element: Element) -> Picture:
        """Return the picture of an <image>. Raises ValueError for one without a name."""
        attributes = element.attributes
        name = picture.text(attributes, "name")
        subset = attributes.get("subset")
        if subset and (self.root / "images" / subset).is_dir():
            name = f"{subset}/{name}"
        width = picture.side(attributes, "width")
        height = picture.side(attributes, "height")
        found = Picture(name, element.line, width, height)
        for shape in element.shapes:
            label = shape.attributes.get("label", "")
            read = functools.partial(self._shape, label=label)
            found.take(read, shape, shape.line)
        return found

    def _add_track(
        self,
        track: Element,
        frames: dict[int, Picture],
        size: tuple[int, int],
    ) -> None:
        """Add the shapes of a <track> to their frames' pictures. Raises ValueError.

        size: of a frame (pixels).
        """
        label = track.attributes.get("label", "")
        for shape in track.shapes:
            if picture.is_set(shape.attributes.get("outside", "")):
                continue
            word = shape.attributes.get("frame", "")
            if not fields.is_whole(word):
                raise ValueError(f"frame '{fields.excerpt(word)}' of a track is no number")
            frame = int(word)
            if frame not in frames:
                frames[frame] = Picture(FRAME.format(frame), shape.line, *size)
            frames[frame].take(functools.partial(self._shape, label=label), shape, shape.line)

    def _shape(self, shape: Element, label: str) -> Shape | LeftOut:
        """Return the shape of an element. Raises ValueError."""
        if shape.tag in LEFT_OUT:
            return LeftOut(LEFT_OUT[shape.tag], label)
        box, kind = _box(shape.tag, shape.attributes)
        if not label.strip():
            raise ValueError(f"<{shape.tag}> without a label")
        own = {"occluded": shape.attributes.get("occluded", "")}
        difficult = picture.is_difficult(own, self._difficult_if)
        difficult |= picture.is_difficult(shape.flags, self._difficult_if)
        return Shape(label, box, difficult, kind)


def _box(tag: str, attributes: Mapping[str, str]) -> tuple[Box, str]:
    """Return the box around a shape, and what it is; "" for an upright box. Raises ValueError."""
    degrees = 0.0
    if "rotation" in attributes:
        degrees = picture.number(attributes, "rotation")
    if tag == "box":
        box = numbers(attributes, *CORNERS)
        if not degrees:
            return box, ""
        centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        return outlines.turned(box, degrees, centre), "turned box"
    if tag == "ellipse":
        x, y, across, down = numbers(attributes, "cx", "cy", "rx", "ry")
        return outlines.ellipse((x, y), (across, down), degrees), tag
    if tag == "mask":
        left, top, width, height = numbers(attributes, "left", "top", "width", "height")
        return [left, top, left + width, top + height], tag
    if tag == "cuboid":
        found = numbers(attributes, *CUBOID)
        return outlines.around(list(zip(found[::2], found[1::2], strict=True))), tag
    return outlines.around(_points(attributes.get("points", ""))), tag


def _points(text: str) -> list[tuple[float, float]]:
    """Return the points of a text `x,y;x,y`. Raises ValueError."""
    found = []
    for pair in text.split(";"):
        words = pair.split(",")
        if len(words) != 2 or not all(map(fields.is_number, words)):
            raise ValueError(f"'{fields.excerpt(pair)}' where a point `x,y` should be")
        found.append((fields.number(words[0]), fields.number(words[1])))
    return found


KIND = Kind(
    name="cvat",
    position=8,
    title="a folder with CVAT's XML, for images or for video",
    notes="""
DIR holds annotations.xml and images/, as CVAT exports them, or NAME/annotations.xml for several
tasks; or name one XML file. Turned boxes, polygons, polylines, ellipses, cuboids and masks become
the boxes around them; points, skeletons and labels of whole images are left out. An object is
difficult if its attribute `difficult` is set, as in CVAT's own export to VOC; --difficult-if
occluded takes occluded ones as well. Tracks need the video's frames as images/frame_000000.jpg (or
.png, …); where an object is outside it is none.
""",
    examples="""
data_prep cvat TASK --test-share 0.2 --out data/mine
data_prep cvat TASKS --train-list day --test-list night --out data/mine  # TASKS/day/annotations.xml
data_prep cvat annotations.xml --images PHOTOS --out data/mine/train_lmdb
""",
    folder="folder with annotations.xml and images, or one XML file",
    open=Cvat,
    options=(IMAGES, picture.DIFFICULT_IF),
    layout="""
DIR/annotations.xml    <annotations> … <image name="a.jpg"> <box label="car" xtl="1" …/>
DIR/images/a.jpg
""",
    looks_like=recognised(Cvat),
)
register(KIND)
