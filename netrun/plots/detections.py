"""Drawn detections: an image each, a list of them all, and all images on one sheet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from netrun.data.pictures import SUFFIXES
from netrun.evaluation.detect import DetectedPicture, Detection
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike, write_atomic
from ssd_common.pictures import contact_sheet, draw, encode


class DrawnDetections:
    """A folder with a drawn image for each that was looked at, and detections.json.

    folder: made with the first image.
    """

    def __init__(self, folder: PathLike) -> None:
        self.folder = Path(folder)
        self._entries: list[dict] = []
        self._names: set[str] = set()

    def add(self, seen: DetectedPicture) -> None:
        """Draw an image's boxes on it and write it. Raises CaffeError where that fails."""
        self.folder.mkdir(parents=True, exist_ok=True)
        drawn = self._file_name(seen.picture.name)
        save_image(self.folder / drawn, draw(seen.picture.image, seen.boxes))
        found = [_entry(detection) for detection in seen.detections]
        self._entries.append({"image": seen.picture.name, "drawn": drawn, "detections": found})

    def write_list(self) -> None:
        """Write detections.json. Raises CaffeError where that fails."""
        lines = ",\n".join(map(json.dumps, self._entries))
        write_atomic(self.folder / "detections.json", f"[\n{lines}\n]\n")

    def _file_name(self, picture: str) -> str:
        """After the source's name; with a number where another image has that name already."""
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
    corners = [round(value, 1) for value in detection.box]
    return {
        "label": detection.label,
        "name": detection.name,
        "score": round(detection.score, 4),
        "box": corners,
    }


def write_sheet(path: PathLike, pictures: Sequence[DetectedPicture]) -> bool:
    """All images with their detections on one sheet; a known truth stands to the left of each.

    Returns whether a truth is on it. Raises CaffeError where the file cannot be written.
    """
    compared = any(seen.picture.truth for seen in pictures)
    images, captions = [], []
    for seen in pictures:
        if compared:
            images.append(draw(seen.picture.image, seen.picture.truth))
            captions.append("truth")
        images.append(draw(seen.picture.image, seen.boxes))
        captions.append("detected" if compared else seen.picture.name)
    columns = 4 if compared else None
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_image(Path(path), contact_sheet(images, captions, columns))
    return compared


def save_image(path: Path, image: np.ndarray) -> None:
    """Write an image, whole or not at all, in the format that the path's suffix says.

    Raises CaffeError for a suffix that no format has, and where the file cannot be written.
    """
    data = encode(image, path.suffix or ".png")
    if data is None:
        raise CaffeError(f"{path}: no image format has this suffix; use .png or .jpg")
    write_atomic(path, data)
