"""Draws detections: an image each, a list of them all, and all images on one contact sheet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from netrun.data.pictures import SUFFIXES
from netrun.evaluation.detect import DetectedPicture, Detection
from ssd_common.errors import UsageError
from ssd_common.files import PathLike, write_atomic
from ssd_common.pictures import contact_sheet, draw, encode


class DrawnDetections:
    """A folder of drawn images, and detections.json.

    folder: the folder, made with the first image.
    """

    def __init__(self, folder: PathLike) -> None:
        self.folder = Path(folder)
        self._entries: list[dict] = []
        self._names: set[str] = set()

    def add(self, seen: DetectedPicture) -> None:
        """Draw an image's boxes on it and write it. Raises CaffeError where that fails."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = seen.picture.name
        file = self._file_name(name)
        save_image(self.folder / file, draw(seen.picture.image, seen.boxes))
        found = [_entry(detection) for detection in seen.detections]
        self._entries.append({"image": name, "drawn": file, "detections": found})

    def write_list(self) -> None:
        """Write detections.json. Raises CaffeError where that fails."""
        lines = ",\n".join(map(json.dumps, self._entries))
        write_atomic(self.folder / "detections.json", f"[\n{lines}\n]\n")

    def _file_name(self, picture: str) -> str:
        """A PNG's name after its source, with a number if another image has that name."""
        path = Path(picture)
        name = path.stem
        if path.suffix.lower() in SUFFIXES and not path.is_absolute():
            name = str(path.with_suffix(""))
        name = name.replace("/", "_")
        if name in self._names:
            name = f"{name}_{len(self._entries)}"
        self._names.add(name)
        return name + ".png"


def _entry(detection: Detection) -> dict:
    return {
        "label": detection.label,
        "name": detection.name,
        "score": round(detection.score, 4),
        "box": [round(value, 1) for value in detection.box],
    }


def write_sheet(path: PathLike, pictures: Sequence[DetectedPicture]) -> bool:
    """Draw all images with their detections on one contact sheet.

    If any of them comes with its truth, each has a drawing of the truth to its left.

    path: the image file; its folder is made.
    Returns whether the sheet shows truths. Raises CaffeError where the file cannot be written.
    """
    compared = any(seen.picture.truth for seen in pictures)
    images = []
    captions = []
    columns = None
    if compared:
        columns = 4
    for seen in pictures:
        caption = seen.picture.name
        if compared:
            images.append(draw(seen.picture.image, seen.picture.truth))
            captions.append("truth")
            caption = "detected"
        images.append(draw(seen.picture.image, seen.boxes))
        captions.append(caption)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_image(Path(path), contact_sheet(images, captions, columns))
    return compared


def save_image(path: Path, image: np.ndarray) -> None:
    """Write an image atomically, in the format of the path's suffix.

    Raises UsageError for a suffix that no format has, CaffeError where the file cannot be written.
    """
    data = encode(image, path.suffix or ".png")
    if data is None:
        raise UsageError(f"{path}: no image format has this suffix; use .png or .jpg")
    write_atomic(path, data)
