"""The tasks in Label Studio's exports: an image, and the regions of the annotation that counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from data_prep.sources import image_lists, picture
from data_prep.sources.image_finder import without_url
from data_prep.sources.picture import quoted


class Region(NamedTuple):
    """A region of an image.

    value: its shape, in percent of the image, with image_rotation.
    labels: its classes, mostly one.
    choices: for this region.
    line: of the region in the file.
    """

    value: dict[str, Any]
    labels: list[str]
    choices: list[str]
    line: int


class Task(NamedTuple):
    """An image and its annotation.

    updated: time of the annotation, as text that sorts.
    size: width and height of the image (pixels), (0, 0) where no region says it.
    others: how many annotations of the task do not count, and their line; at most one entry.
    """

    image: str
    line: int
    regions: list[Region]
    updated: str
    size: tuple[int, int]
    others: list[tuple[int, int]]


def read_task(record: Any, line: int) -> Task | None:
    """Return the task of a record of JSON or JSON-MIN; None for one without an annotation.

    Raises ValueError for a record that is no task.
    """
    if not isinstance(record, dict):
        raise ValueError(f"{quoted(record)} where a task, an object, should be")
    if isinstance(record.get("data"), dict):
        return _whole(record, line)
    return _minimal(record, line)


def _whole(record: dict[str, Any], line: int) -> Task | None:
    """Return the task of a record of JSON."""
    image = _image(record["data"])
    annotations = record.get("annotations", record.get("completions", []))
    if not isinstance(annotations, list):
        raise ValueError(f"annotations are {quoted(annotations)}, not a list")
    for annotation in annotations:
        if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
            raise ValueError(f"{quoted(annotation)} where an annotation with a result should be")
    valid = [found for found in annotations if not picture.is_set(found.get("was_cancelled"))]
    if not valid:
        return None
    chosen = max(valid, key=_order)
    chosen_line = getattr(chosen, "line", line)
    regions = list(_regions(chosen["result"], chosen_line))
    others = []
    if len(valid) > 1:
        others.append((len(valid) - 1, chosen_line))
    return Task(image, line, regions, _updated(chosen), _size(chosen["result"]), others)


def _order(annotation: Mapping[str, Any]) -> tuple[bool, str]:
    """Return a sort key: the annotation that counts has the greatest."""
    return picture.is_set(annotation.get("ground_truth")), _updated(annotation)


def _updated(record: Mapping[str, Any]) -> str:
    return str(record.get("updated_at") or record.get("created_at") or "")


def _minimal(record: dict[str, Any], line: int) -> Task:
    """Return the task of a record of JSON-MIN, whose lists of objects are regions."""
    image = _image(record)
    rows = [row for value in record.values() if isinstance(value, list) for row in value]
    rows = [row for row in rows if isinstance(row, dict)]
    regions = []
    for row in rows:
        labels = _words(row, [key for key in row if key.endswith("labels")])
        regions.append(Region(row, labels, [], getattr(row, "line", line)))
    return Task(image, line, regions, _updated(record), _size(rows), [])


def _image(data: Mapping[str, Any]) -> str:
    """Return the image of a task's data: the only path of one, or the one called image."""
    found = {}
    for key, value in data.items():
        if isinstance(value, str) and image_lists.has_image_extension(without_url(value)):
            found[key] = value
    if "image" in found:
        return found["image"]
    if isinstance(data.get("image"), str):
        return data["image"]
    if len(found) == 1:
        [image] = found.values()
        return image
    if found:
        raise ValueError(f"several images, {', '.join(found)}, and none is called image")
    raise ValueError("no image in the task's data")


def _regions(result: list[Any], line: int) -> Iterator[Region]:
    """Yield the regions of an annotation. Raises ValueError.

    Labels and choices of a region may be results of their own, with its id.
    """
    found: dict[str, Region] = {}
    for number, part in enumerate(result):
        if not isinstance(part, dict):
            raise ValueError(f"{quoted(part)} where a result, an object, should be")
        value = part.get("value")
        kind = str(part.get("type", ""))
        if not isinstance(value, dict) or kind == "relation":
            continue
        key = str(part.get("id", f"number {number}"))
        if kind in ("choices", "textarea", "rating", "number", "taxonomy"):
            if key in found:
                found[key].choices.extend(_words(value, ["choices"]))
            continue
        shape = {**value, "image_rotation": part.get("image_rotation")}
        region = found.setdefault(key, Region(shape, [], [], getattr(part, "line", line)))
        if kind.endswith("labels"):
            region.labels.extend(_words(value, [kind]))
    yield from found.values()


def _words(value: Mapping[str, Any], keys: list[str]) -> list[str]:
    """Return the texts in lists of a record."""
    found = []
    for key in keys:
        words = value.get(key)
        if isinstance(words, list):
            found += [str(word) for word in words]
    return found


def _size(rows: list[Any]) -> tuple[int, int]:
    """Return the size of the image (pixels) that results or regions say, (0, 0) for none."""
    for row in rows:
        if isinstance(row, dict):
            width = picture.side(row, "original_width")
            height = picture.side(row, "original_height")
            if width and height:
                return width, height
    return 0, 0
