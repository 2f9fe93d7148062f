"""Label Studio's exports JSON and JSON-MIN, in percent of the image.

Source: the result formats of the tags RectangleLabels, PolygonLabels and EllipseLabels in Label
Studio's documentation; HumanSignal/label-studio-converter, rotated_rectangle and json_min; where
(x, y) is the top left corner after a turn around it: HumanSignal/label-studio, issue 5274.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from data_prep.sources import image_lists, json_lines, json_stream, outlines, picture
from data_prep.sources.album import Album, recognised
from data_prep.sources.image_finder import IMAGES, Finder, without_url
from data_prep.sources.kind import Kind, Option, register
from data_prep.sources.labelstudio_tasks import Region, Task, read_task
from data_prep.sources.outlines import Box
from data_prep.sources.picture import LeftOut, Picture, Shape, numbers
from data_prep.sources.source import Annotation, Item, Remark
from ssd_common.errors import ParseError

# Label Studio puts this before the names of images that are uploaded.
UPLOADED = re.compile(r"[0-9a-f]{8}-")
UPLOADS = re.compile(r"/?(data/)?upload/(\d+/)?")


class LabelStudio(Album):
    """A folder with Label Studio's JSON exports and images, or one export.

    class_name: the class of regions without a label; None where all have one.
    difficult_if: choices beside `difficult` for a region that make it difficult.
    """

    suffixes = (".json",)

    def __init__(
        self,
        root: Path,
        images: Path | None = None,
        class_name: str | None = None,
        difficult_if: str | Iterable[str] | None = None,
    ) -> None:
        super().__init__(root, images)
        self._class_name = class_name
        self._difficult_if = picture.flag_names(difficult_if)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Return whether a JSON file is an export of Label Studio's, by its start."""
        whole = json_lines.has_keys(path, "[", "data", "annotations|completions|predictions")
        return whole or json_lines.has_keys(path, "[", "annotation_id|annotator|lead_time")

    def pictures(self, path: Path) -> Iterator[Picture]:
        """Yield what a file says of each image. Raises ParseError with file and line."""
        finder = Finder(self.root, self.folders(path), self._images)
        newest: dict[str, tuple[Task, Picture]] = {}
        for _, index, line, record in json_stream.records(path):
            try:
                task = read_task(record, line)
            except ValueError as error:
                raise ParseError(str(path), f"task {index} of the list: {error}", line) from None
            if not task:
                continue
            found = self._picture(task, finder)
            before = newest.get(task.image)
            if before and before[0].updated > task.updated:
                task, found, before = *before, (task, found)
            if before:
                found.remarks += before[1].remarks
                message = f"the annotation at line {before[0].line} is older: left out"
                found.remarks.append(Remark("superseded", found.line, message))
            newest[task.image] = (task, found)
        for _, found in newest.values():
            yield found

    def _picture(self, task: Task, finder: Finder) -> Picture:
        """Return the picture of a task."""
        image = _image(task.image, finder)
        found = Picture(image, task.line, *task.size)
        for number, line in task.others:
            message = f"{number} of the annotations by others or older: left out"
            found.remarks.append(Remark("superseded", line, message))
        if all(task.size):
            self._take(found, task.regions, task.size)
        else:
            found.waiting = [list(region) for region in task.regions]
        return found

    def _take(self, found: Picture, regions: list[Region], size: tuple[int, int]) -> None:
        """Add the shapes of regions to a picture. size: of the image (pixels)."""
        for index, region in enumerate(regions):
            for label in dict.fromkeys(region.labels) or [self._class_name or ""]:
                read = functools.partial(self._shape, label=label, size=size)
                found.take(read, region, region.line, f"region {index}")

    def read(self, item: Item) -> Annotation:
        """Return the annotation of an image. Raises ParseError with the line of what is wrong."""
        found = Picture.unpack(item.content or "")
        if found.waiting:
            size = image_lists.size_of(self.root / item.image)
            self._take(found, [Region(*row) for row in found.waiting], size)
        return found.annotation(self.file(item), item.image)

    def _shape(self, region: Region, label: str, size: tuple[int, int]) -> Shape | LeftOut:
        """Return the shape of a region. size: of the image (pixels). Raises ValueError."""
        value = region.value
        if picture.side(value, "image_rotation"):
            raise ValueError("the image was turned in Label Studio: turn it back, and export again")
        form = _form(value)
        if form not in ("", "ellipse", "polygon"):
            return LeftOut(form, label)
        if not all(size):
            raise ValueError("no original_width and original_height, and the image cannot be read")
        if not label:
            raise ValueError("region without a label (--class NAME gives all such regions one)")
        box, form = _box(value, form, size)
        flags = dict.fromkeys(region.choices, True)
        return Shape(label, box, picture.is_difficult(flags, self._difficult_if), form)


def _form(value: Mapping[str, Any]) -> str:
    """Return what a region is: "" for a box, "ellipse", "polygon", or words for another thing."""
    if "points" in value or "vertices" in value:
        return "polygon"
    if "radiusX" in value:
        return "ellipse"
    if "rle" in value or "imageDataURL" in value:
        return "brush mask"
    if "sequence" in value:
        return "box in a video"
    if "width" in value and "height" in value:
        return ""
    return "point"


def _box(value: Mapping[str, Any], form: str, size: tuple[int, int]) -> tuple[Box, str]:
    """Return the box around a region (pixels), and what the region is. Raises ValueError.

    form: as _form has it.
    size: of the image (pixels).
    """
    degrees = 0.0
    if value.get("rotation") is not None:
        degrees = picture.number(value, "rotation")
    if form == "polygon":
        return outlines.around([_scaled(point, size) for point in _points(value)]), form
    corner = _scaled(tuple(numbers(value, "x", "y")), size)
    if form == "ellipse":  # x and y are its centre
        radii = _scaled(tuple(numbers(value, "radiusX", "radiusY")), size)
        return outlines.ellipse(corner, radii, degrees), form
    across, down = _scaled(tuple(numbers(value, "width", "height")), size)
    box = [*corner, corner[0] + across, corner[1] + down]
    if degrees % 360 == 0:
        return box, ""
    return outlines.turned(box, degrees, corner), "turned box"


def _points(value: Mapping[str, Any]) -> list[outlines.Point]:
    """Return the points of a polygon, or of a vector's vertices (percent). Raises ValueError."""
    key = "points"
    if key not in value:
        key = "vertices"
    rows = value[key]
    if not isinstance(rows, list):
        raise ValueError(f"{key} are {picture.quoted(rows)}, not a list")
    found = []
    for row in rows:
        if isinstance(row, dict):
            x, y = numbers(row, "x", "y")
            found.append((x, y))
        else:
            found.append(picture.point(row))
    return found


def _scaled(pair: tuple[float, ...], size: tuple[int, int]) -> tuple[float, float]:
    """Scale percents across and down to pixels. size: of the image (pixels)."""
    return pair[0] * size[0] / 100, pair[1] * size[1] / 100


def _image(given: str, finder: Finder) -> str:
    """Return an image's name as it may be on the disk.

    An upload, /data/upload/3/1a2b3c4d-a.jpg, is 1a2b3c4d-a.jpg in exports with images, and a.jpg
    where it came from.
    """
    path = without_url(given)
    name = UPLOADS.sub("", path, count=1)
    if name == path:
        return given
    try:
        found = finder.find(name)
        bare = UPLOADED.sub("", name, count=1)
        if not (finder.root / found.image).is_file():
            return bare
    except ValueError:
        pass
    return name


KIND = Kind(
    name="labelstudio",
    position=11,
    title="a folder with Label Studio's exports, JSON or JSON-MIN",
    notes="""
DIR holds NAME.json and the images (also as images/1a2b3c4d-NAME.jpg, as uploads are called), or
name one export. Images of /data/local-files/?d=… and of URLs are found by the end of their paths.
Turned boxes, polygons and ellipses become the boxes around them; points and brush masks are left
out. Where an image has several annotations, the ground truth counts, else the newest; those that
were cancelled, predictions and tasks without an annotation do not count. An object is difficult by
a choice `difficult` for its region, or one of --difficult-if.
""",
    examples="""
data_prep labelstudio EXPORT --test-share 0.2 --out data/mine
data_prep labelstudio project-1.json --images PHOTOS --out data/mine/train_lmdb
""",
    folder="folder with exports and images, or one export",
    open=LabelStudio,
    options=(
        IMAGES,
        Option(
            "class_name",
            "the class of regions that have no label",
            metavar="NAME",
            flag="--class",
        ),
        picture.DIFFICULT_IF,
    ),
    layout="""
DIR/project-1.json     [{"data": {"image": "/data/upload/1/…-a.jpg"}, "annotations": […]}]
  or JSON-MIN          [{"image": "/data/upload/1/…-a.jpg", "label": […], "annotator": 1}]
DIR/images/…-a.jpg
""",
    looks_like=recognised(LabelStudio),
)
register(KIND)
