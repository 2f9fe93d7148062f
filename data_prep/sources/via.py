"""The VGG Image Annotator (VIA): classes and boxes of the regions that its files have."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from data_prep.sources import json_lines, outlines, picture, via_files
from data_prep.sources.album import Album, recognised
from data_prep.sources.image_finder import IMAGES
from data_prep.sources.kind import Kind, Option, register
from data_prep.sources.outlines import Box
from data_prep.sources.picture import LeftOut, Picture, Shape, numbers, quoted
from data_prep.sources.via_files import Region
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

# Where regions have several attributes, the first of these is the class.
USUAL = ("class", "label", "name", "category", "type", "object", "class_name", "object_name")


class Via(Album):
    """A folder with VIA's JSON or CSV files and images, or one such file.

    attribute: the region attribute that is the class; None for the only one, or a usual one.
    class_name: the class of all regions; None where an attribute says it.
    """

    suffixes = (".json", ".csv")

    def __init__(
        self,
        root: Path,
        images: Path | None = None,
        attribute: str | None = None,
        class_name: str | None = None,
        difficult_if: str | Iterable[str] | None = None,
    ) -> None:
        super().__init__(root, images)
        self._attribute = attribute
        self._class_name = class_name
        self._difficult_if = picture.flag_names(difficult_if)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Return whether a JSON or CSV file is VIA's, by its start."""
        if path.suffix.lower() == ".csv":
            return via_files.SHAPE in via_files.header(path)
        project = json_lines.has_keys(path, "{", "_via_[a-z_]+")
        return project or json_lines.has_keys(path, "{", "filename", "regions")

    def pictures(self, path: Path) -> Iterator[Picture]:
        """Yield what a file says of each image. Raises ParseError with file and line."""
        photos, folder = via_files.read(path)
        regions = [region for photo in photos for region in photo.regions]
        attribute = self._chosen(path, regions)
        for photo in photos:
            name = photo.name
            if folder and (self.root / folder / name).is_file():
                name = f"{folder}/{name}"
            found = Picture(name, photo.line)
            found.errors += photo.faults
            for region in photo.regions:
                read = functools.partial(self._shape, attribute=attribute)
                found.take(read, region, region.line, region.place)
            yield found

    def _chosen(self, path: Path, regions: Iterable[Region]) -> str:
        """Return the attribute that is the class; "" for none. Raises CaffeError."""
        if self._class_name:
            return ""
        known: dict[str, None] = {}
        for region in regions:
            known.update(dict.fromkeys(region.attributes))
        names = ", ".join(known)
        if self._attribute:
            if known and self._attribute not in known:
                near = suggest(self._attribute, known) or f"; there are {names}"
                raise CaffeError(f"{path}: no region has an attribute '{self._attribute}'{near}")
            return self._attribute
        by_small = {name.lower(): name for name in reversed(known)}
        usual = [by_small[name] for name in USUAL if name in by_small]
        if len(known) == 1:
            [only] = known
            return only
        if usual:
            return usual[0]
        if known:
            fault = f"regions have the attributes {names}; choose the class's with --attribute"
            raise CaffeError(f"{path}: {fault}")
        if any(True for _ in regions):
            fault = "no region has an attribute; name the class of all with --class NAME"
            raise CaffeError(f"{path}: {fault}")
        return ""

    def _shape(self, region: Region, attribute: str) -> Shape | LeftOut:
        """Return the shape of a region. Raises ValueError."""
        name = self._class_name or _class_of(region.attributes, attribute)
        form = picture.text(region.shape, "name")
        if form == "point":
            return LeftOut("point", name)
        box = _box(form, region.shape)
        flags = dict(region.attributes)
        for value in region.attributes.values():
            if isinstance(value, dict):  # checkboxes
                flags.update(value)
        difficult = picture.is_difficult(flags, self._difficult_if)
        kind = form
        if form == "rect":
            kind = ""
        return Shape(name, box, difficult, kind)


def _class_of(attributes: Mapping[str, Any], attribute: str) -> str:
    """Return the class that an attribute says. Raises ValueError."""
    value = attributes.get(attribute)
    if isinstance(value, dict):  # checkboxes
        checked = [name for name, is_checked in value.items() if picture.is_set(is_checked)]
        if len(checked) != 1:
            raise ValueError(f"attribute '{attribute}' is {quoted(value)}: not one class")
        return checked[0]
    if value is None or not str(value).strip():
        raise ValueError(f"region without its class, the attribute '{attribute}'")
    return picture.text(attributes, attribute)


def _box(form: str, shape: Mapping[str, Any]) -> Box:
    """Return the box around a shape. Raises ValueError."""
    if form == "rect":
        x, y, width, height = numbers(shape, "x", "y", "width", "height")
        return [x, y, x + width, y + height]
    if form == "circle":
        x, y, radius = numbers(shape, "cx", "cy", "r")
        return outlines.ellipse((x, y), (radius, radius))
    if form == "ellipse":
        x, y, across, down = numbers(shape, "cx", "cy", "rx", "ry")
        angle = 0.0
        if "theta" in shape:
            angle = math.degrees(picture.number(shape, "theta"))
        return outlines.ellipse((x, y), (across, down), angle)
    if form in ("polygon", "polyline"):
        xs, ys = (_list(shape, key) for key in ("all_points_x", "all_points_y"))
        if len(xs) != len(ys):
            raise ValueError(f"{len(xs)} numbers in all_points_x, {len(ys)} in all_points_y")
        return outlines.around(list(zip(xs, ys, strict=True)))
    near = suggest(form, ("rect", "circle", "ellipse", "polygon", "polyline", "point"))
    raise ValueError(f"unknown shape {quoted(form)}{near}")


def _list(shape: Mapping[str, Any], key: str) -> list[float]:
    """Return the numbers of a list. Raises ValueError."""
    values = shape.get(key)
    if not isinstance(values, list):
        raise ValueError(f"{key} is {quoted(values)}, not a list")
    return [picture.number({key: value}, key) for value in values]


KIND = Kind(
    name="via",
    position=10,
    title="a folder with files of the VGG Image Annotator (VIA)",
    notes="""
DIR holds the images and VIA's project (via_project.json), its annotations as JSON, or its CSV; or
name one file. The class of a region is its only attribute, or one called class, label, name, …; or
that of --attribute; or for all of them --class. Circles, ellipses, polygons and polylines become
the boxes around them; points are left out. A LIST is the name of a file without its ending, or a
text file of image names.
""",
    examples="""
data_prep via PHOTOS --test-share 0.2 --out data/mine
data_prep via PHOTOS --attribute species --train-list train --test-list val --out data/mine
data_prep via balloon/train/via_region_data.json --class balloon --out data/balloon/train_lmdb
""",
    folder="folder with VIA's files and images, or one file",
    open=Via,
    options=(
        IMAGES,
        Option(
            "attribute",
            "the region attribute that is the class (default: the only one, or a usual one)",
            metavar="NAME",
        ),
        Option(
            "class_name",
            "the class of all regions, where no attribute says it",
            metavar="NAME",
            flag="--class",
        ),
        picture.DIFFICULT_IF,
    ),
    layout="""
DIR/via_project.json   {"_via_img_metadata": {"a.jpg1234": {"filename": "a.jpg", "regions": […]}}}
  or via_export_json.json   {"a.jpg1234": {"filename": "a.jpg", "regions": […]}}
  or via_export_csv.csv     filename,…,region_shape_attributes,region_attributes
DIR/a.jpg
""",
    looks_like=recognised(Via),
)
register(KIND)
