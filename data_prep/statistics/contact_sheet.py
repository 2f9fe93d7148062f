"""Draws contact sheets: images of an LMDB with their boxes, as one picture."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map as label_maps
from caffe_ir import records
from caffe_ir.lmdb_reader import LmdbReader, key_text
from data_prep.images.encoding import PICTURE_NAMES
from data_prep.sources import label_map
from ssd_common import pictures
from ssd_common.errors import CaffeError, UsageError
from ssd_common.files import PathLike, write_atomic

TILE = 240  # side of an image's place, in pixels
GAP = 6  # pixels between two images
COLUMNS = 6  # images in a row


def show(
    lmdb: PathLike,
    out: PathLike,
    *,
    count: int = 24,
    labelmap: str | None = None,
    augmented: str | None = None,
    seed: int = 0,
) -> None:
    """Draw the first images of an LMDB with their boxes as one picture.

    Boxes of difficult objects are thin.

    lmdb: an annotated LMDB.
    out: the picture: .png, .jpg, .jpeg, .webp, .bmp, .tif or .tiff; with augmented only .png.
    count: how many images.
    labelmap: for the names: a file or a built-in name; None for labelmap.prototxt beside the LMDB.
    augmented: a train prototxt; the images are what its net is fed, made by netrun's own loader.
    seed: of the augmentation.
    Raises CaffeError naming LMDB and record; with augmented also where netrun or PyTorch is
      missing.
    """
    path = Path(lmdb)
    out = Path(out)
    file = label_map.beside(path, labelmap)
    if augmented:
        _check_name(out, PICTURE_NAMES[:1], " with --augmented")
        _run_netrun_show(
            {
                "model": augmented,
                "source": path,
                "out": out,
                "count": count,
                "seed": seed,
                "labelmap": file,
            }
        )
        return
    _check_name(out, PICTURE_NAMES)
    names = label_maps.class_names(file)
    tiles = [tile(record, key, path, names) for key, record in read_records(path, count)]
    sheet = pictures.contact_sheet(tiles, columns=COLUMNS, tile=TILE, gap=GAP)
    data = pictures.encode(sheet, out.suffix.lower())
    if data is None:
        raise CaffeError(
            f"{out}: the sheet is too large for such a picture; show fewer images (--count)"
        )
    write_atomic(out, data)


def _check_name(out: Path, suffixes: tuple[str, ...], when: str = "") -> None:
    """Raise UsageError for a file name that is not a picture's."""
    if out.suffix.lower() not in suffixes:
        raise UsageError(f"--out {out}: no picture's name; use {', '.join(suffixes)}{when}")


def _run_netrun_show(options: dict[str, object]) -> None:
    """Let netrun draw the sheet in a process of its own: data_prep itself must not need PyTorch.

    options: values of its flags, by name; None for a flag that is left out.
    Raises CaffeError where netrun is missing, or fails.
    """
    for module in ("torch", "netrun"):
        if importlib.util.find_spec(module) is None:
            raise CaffeError(
                f"--augmented needs netrun and PyTorch, and {module} is not installed;"
                " without it show draws the records as they are"
            )
    words = [f"--{name}={value}" for name, value in options.items() if value is not None]
    command = [sys.executable, "-m", "netrun", "show", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        status = f"netrun show ended with status {done.returncode}"
        lines = done.stderr.strip().splitlines() or [status]
        raise CaffeError(lines[-1].removeprefix("netrun: error: "))


def read_records(path: Path, count: int) -> list[tuple[str, pb.AnnotatedDatum]]:
    """Read the first `count` records of an LMDB, with their keys.

    Raises CaffeError if it is damaged or empty, or a record does not parse.
    """
    reader = LmdbReader(path)
    found = []
    for number, key in enumerate(reader.keys[:count]):
        record = records.parse_named(reader.value(number), path, number)
        found.append((key_text(key), record))
    return found


def tile(record: pb.AnnotatedDatum, key: str, path: Path, names: dict[int, str]) -> np.ndarray:
    """Draw the image of a record with its boxes, TILE x TILE x 3.

    key, path: of record and LMDB, for errors.
    names: of classes by label.
    """
    image = _pixels(record.datum)
    if image is None:
        raise CaffeError(f"{path}: record {key} has no image that OpenCV can read")
    return pictures.thumbnail(image, _boxes(record, names), TILE)


def _boxes(record: pb.AnnotatedDatum, names: dict[int, str]) -> list[pictures.Box]:
    """List the boxes of a record's objects."""
    found = []
    for group in record.annotation_group:
        label = group.group_label
        name = names.get(label, str(label))
        for annotation in group.annotation:
            corners = records.corners(annotation.bbox)
            difficult = annotation.bbox.difficult
            found.append(pictures.Box(corners, label, name, difficult=difficult))
    return found


def _pixels(datum: pb.Datum) -> np.ndarray | None:
    """Decode the image of a record, (H, W, 3) BGR; None where it has none that can be read."""
    if not datum.data:
        return None
    if datum.encoded:
        try:
            return pictures.decoded(datum.data, cv2.IMREAD_COLOR)
        except CaffeError:  # too large
            return None
    try:
        image = records.raw_pixels(datum).transpose(1, 2, 0)
    except records.CorruptRecord:
        return None
    if datum.channels not in (1, 3):
        return None
    if datum.channels == 1:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(image)
