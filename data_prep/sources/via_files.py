"""The files of the VGG Image Annotator (VIA) 1 and 2: projects, annotations as JSON, and CSV.

Source: ox-vgg/via, via-2.x.y/CodeDoc.md and via.js (export of annotations).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.sources import fields, json_lines, text_file
from data_prep.sources.picture import quoted, text
from ssd_common.errors import ParseError

SHAPE = "region_shape_attributes"
ATTRIBUTES = "region_attributes"
METADATA = "_via_img_metadata"


class Region(NamedTuple):
    """A region of an image.

    shape, attributes: as VIA has them.
    line: of the region in its file.
    place: names it where a line may have several; "" in tables.
    """

    shape: Mapping[str, Any]
    attributes: Mapping[str, Any]
    line: int
    place: str = ""


class Photo(NamedTuple):
    """An image with its regions, and with faults: line and what is wrong there."""

    name: str
    line: int
    regions: list[Region]
    faults: list[tuple[int, str]]


class Contents(NamedTuple):
    """What a file says. folder: where a project has its images; "" where it does not say."""

    photos: list[Photo]
    folder: str = ""


def read(path: Path) -> Contents:
    """Return what a file says. Raises ParseError with file and line for one that is not VIA's."""
    if path.suffix.lower() == ".csv":
        return Contents(list(_table(path)))
    whole = json_lines.read(path)
    if not isinstance(whole, dict):
        fault = f"{quoted(whole)} where an object should be: not VIA's JSON"
        raise ParseError(str(path), fault, 1)
    if "metadata" in whole and "view" in whole:
        fault = "a project of VIA 3, for video and sound: only those of VIA 1 and 2 are read"
        raise ParseError(str(path), fault, 1)
    records = whole.get(METADATA, whole)
    if not isinstance(records, dict):
        raise ParseError(str(path), f"{METADATA} is {quoted(records)}, not an object", 1)
    photos = [_photo(path, key, record) for key, record in records.items()]
    return Contents(photos, _default_folder(whole))


def _default_folder(project: Mapping[str, Any]) -> str:
    """Return the folder of images that a project's settings name; "" for none."""
    found: Any = project
    for key in ("_via_settings", "core", "default_filepath"):
        if not isinstance(found, dict):
            return ""
        found = found.get(key)
    if not isinstance(found, str):
        return ""
    return found.replace("\\", "/").strip("/").removeprefix("./")


def _photo(path: Path, key: str, record: Any) -> Photo:
    """Return the image of a record. Raises ParseError for one that is none."""
    line = getattr(record, "line", 1)
    if not isinstance(record, dict) or "regions" not in record:
        fault = f"'{fields.excerpt(key)}' is no image with regions: not VIA's JSON"
        raise ParseError(str(path), fault, line)
    regions = record["regions"]
    if isinstance(regions, dict):  # VIA 1 numbers them
        regions = list(regions.values())
    try:
        name = text(record, "filename")
        if not isinstance(regions, list):
            raise ValueError(f"regions are {quoted(regions)}, not a list")
    except ValueError as error:
        fault = f"'{fields.excerpt(key)}': {error}"
        raise ParseError(str(path), fault, line) from None
    found = Photo(name, line, [], [])
    for index, region in enumerate(regions):
        _add(found, region, getattr(region, "line", line), f"regions[{index}]")
    return found


def _add(photo: Photo, region: Any, line: int, place: str) -> None:
    """Add a region to its image, or what is wrong with it."""
    parts: list[Any] = [None, None]
    if isinstance(region, dict):
        parts = [region.get("shape_attributes"), region.get("region_attributes", {})]
    if all(isinstance(part, dict) for part in parts):
        photo.regions.append(Region(parts[0], parts[1], line, place))
        return
    wanted = "an object with shape_attributes and region_attributes"
    photo.faults.append((line, f"{place}: {quoted(region)} where {wanted} should be"))


def header(path: Path) -> list[str]:
    """Return the columns of a CSV file, without VIA 1's # before the first."""
    first = json_lines.start(path).partition("\n")[0]
    return [word.strip().lstrip("#") for word in next(csv.reader([first]), [])]


def _table(path: Path) -> Iterator[Photo]:
    """Yield the images of a CSV file, in the order of their first rows. Raises ParseError."""
    columns = header(path)
    missing = [name for name in ("filename", SHAPE, ATTRIBUTES) if name not in columns]
    if missing:
        raise ParseError(str(path), f"no column {missing[0]}: not VIA's CSV", 1)
    found: dict[str, Photo] = {}
    with text_file.opened(path, "a table", newline="") as file:
        reader = csv.DictReader(file, columns)
        try:
            next(reader)
            for row in reader:
                _add_row(found, row, reader.line_num)
        except UnicodeDecodeError:
            raise
        except csv.Error as error:
            raise ParseError(str(path), f"not a table: {error}", reader.line_num) from None
        except ValueError as error:
            raise ParseError(str(path), str(error), reader.line_num) from None
    yield from found.values()


def _add_row(photos: dict[str, Photo], row: Mapping[str, Any], line: int) -> None:
    """Add the region of a row to its image. Raises ValueError for a row without an image."""
    name = fields.image_name(row["filename"] or "")
    photo = photos.setdefault(name, Photo(name, line, [], []))
    try:
        shape = _cell(row, SHAPE)
        attributes = _cell(row, ATTRIBUTES)
    except ValueError as error:
        photo.faults.append((line, str(error)))
        return
    if shape:  # an image without regions has a row, too
        photo.regions.append(Region(shape, attributes, line))


def _cell(row: Mapping[str, Any], column: str) -> Mapping[str, Any]:
    """Return the JSON object in a cell. Raises ValueError where there is none."""
    given = row[column] or "{}"
    try:
        found = json.loads(given)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{column} is '{fields.excerpt(given)}', not a JSON object")
    return found
