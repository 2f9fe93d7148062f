"""Draws a small VOC-style data set: five kinds of shapes over textured backgrounds.

Shapes are told apart by form, not by colour.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from caffe_ir import dataset_file, label_map, name_size
from data_prep.build.dataset import Settings, build_dataset
from data_prep.build.part import Part
from data_prep.build.resumable_folder import clear_leftovers, replace_folder, temporary
from data_prep.checks.report import Report
from data_prep.shapes import textures
from data_prep.sources.source import Object
from data_prep.sources.voc import ANNOTATIONS, IMAGES, SETS, Folder
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike

CLASSES = ("circle", "ring", "square", "star", "triangle")
SMALLEST_SIZE = 64
DIFFICULT_SHARE = 0.5  # less than this share of a shape in sight: difficult
DIFFICULT_SIDE = 0.05  # of the image's side; a smaller box: difficult
DROPPED_PIXELS = 16  # fewer pixels in sight: no object
SHIFT = 4  # fractional bits of OpenCV's drawing


class Shape(NamedTuple):
    """One shape to draw.

    center: x, y in pixels
    radius: in pixels
    angle: in radians
    stretch: width over height before turning
    """

    kind: str
    center: np.ndarray
    radius: float
    angle: float
    stretch: float


def outline(shape: Shape) -> list[np.ndarray]:
    """The polygons (n x 2, pixels) of a shape; a ring has an outer and an inner one."""
    corners = {"circle": 64, "ring": 64, "square": 4, "star": 10, "triangle": 3}[shape.kind]
    angles = np.arange(corners) * 2 * np.pi / corners
    radii = np.ones(corners)
    if shape.kind == "star":
        radii[1::2] = 0.42
    unit = np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]
    unit *= [np.sqrt(shape.stretch), 1 / np.sqrt(shape.stretch)]
    turn = np.array([[np.cos(shape.angle), -np.sin(shape.angle)], [np.sin(shape.angle), np.cos(shape.angle)]])
    polygon = unit @ turn.T * shape.radius
    scales = (1.0, 0.55) if shape.kind == "ring" else (1.0,)
    return [polygon * scale + shape.center for scale in scales]


def draw_mask(shape: Shape, size: int) -> np.ndarray:
    """The shape's coverage, size x size, 0 to 255, smooth at the edge."""
    mask = np.zeros((size, size), np.uint8)
    fixed = [np.round(polygon * (1 << SHIFT)).astype(np.int32) for polygon in outline(shape)]
    cv2.fillPoly(mask, fixed, 255, cv2.LINE_AA, SHIFT)  # even-odd: the inner polygon is a hole
    return mask


def area(shape: Shape) -> float:
    """Area of the shape in pixels, also of what lies outside the image."""
    areas = [cv2.contourArea(polygon.astype(np.float32)) for polygon in outline(shape)]
    return areas[0] - sum(areas[1:])


def draw_scene(size: int, rng: np.random.Generator) -> tuple[np.ndarray, list[Object]]:
    """An image (size x size x 3, BGR) and its objects with the boxes of what is in sight."""
    image = textures.background(size, rng)
    shapes: list[Shape] = []
    owner = np.zeros((size, size), np.uint8)  # number of the shape in sight at a pixel, from 1
    for _ in range(int(rng.choice([1, 2, 3, 4, 5, 6, 8], p=[0.1, 0.2, 0.2, 0.2, 0.15, 0.1, 0.05]))):
        shape, mask = _place(size, rng, shapes, owner)
        shapes.append(shape)
        textures.paint(image, mask, shape.radius, rng)
        owner[mask > 127] = len(shapes)
    image = textures.finish(image, rng)
    return image, [o for number, shape in enumerate(shapes, 1) if (o := _object(shape, owner == number))]


def _place(size: int, rng: np.random.Generator, shapes: list[Shape], owner: np.ndarray) -> tuple[Shape, np.ndarray]:
    """A random shape and its mask.

    Most keep clear of the older shapes; one in eight is put in front of one of its own size.
    """
    kind, stretch = str(rng.choice(CLASSES)), np.exp(rng.uniform(-0.2, 0.2))
    if shapes and rng.random() < 0.125:
        hidden = shapes[rng.integers(len(shapes))]
        radius, away, side = hidden.radius * rng.uniform(0.8, 1.2), hidden.radius * rng.uniform(0.3, 1), rng.uniform(0, 2 * np.pi)
        center = hidden.center + away * np.array([np.cos(side), np.sin(side)])
        shape = Shape(kind, center, radius, rng.uniform(0, 2 * np.pi), stretch)
        return shape, draw_mask(shape, size)
    allowed = rng.choice([0.05, 0.4], p=[0.7, 0.3])  # share of an older shape that this one may hide
    before = np.bincount(owner.ravel(), minlength=len(shapes) + 1)
    for _ in range(12):
        radius = size * np.exp(rng.uniform(np.log(0.04), np.log(0.26)))
        margin = radius * rng.choice([1.0, 0.3], p=[0.85, 0.15])  # 0.3: the image's edge may cut it
        shape = Shape(kind, rng.uniform(margin, size - margin, 2), radius, rng.uniform(0, 2 * np.pi), stretch)
        mask = draw_mask(shape, size)
        covered = np.bincount(owner[mask > 127], minlength=len(shapes) + 1)
        if (covered[1:] <= allowed * before[1:]).all():
            break
    return shape, mask


def _object(shape: Shape, seen: np.ndarray) -> Object | None:
    """The object of a shape, whose box is around what is in sight; None if next to nothing is.

    seen: size x size, the pixels in sight
    """
    pixels = int(seen.sum())
    if pixels < DROPPED_PIXELS:
        return None
    columns, rows = np.flatnonzero(seen.any(0)), np.flatnonzero(seen.any(1))
    xmin, xmax, ymin, ymax = int(columns[0]), int(columns[-1]) + 1, int(rows[0]), int(rows[-1]) + 1
    difficult = pixels < DIFFICULT_SHARE * area(shape) or min(xmax - xmin, ymax - ymin) < DIFFICULT_SIDE * len(seen)
    return Object(shape.kind, difficult, xmin, ymin, xmax, ymax, 0)


def annotation_xml(name: str, size: int, objects: list[Object]) -> str:
    """A VOC annotation.

    Boxes: left and upper edge, right and lower edge, from 0 to the image's side.
    """
    lines = ["<annotation>", "\t<folder>shapes</folder>", f"\t<filename>{name}.jpg</filename>"]
    lines += [f"\t<size><width>{size}</width><height>{size}</height><depth>3</depth></size>", "\t<segmented>0</segmented>"]
    for o in objects:
        box = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), o[2:6], strict=True))
        lines += ["\t<object>", f"\t\t<name>{o.name}</name>"]
        lines += [f"\t\t<difficult>{int(o.difficult)}</difficult>"]
        lines += [f"\t\t<bndbox>{box}</bndbox>", "\t</object>"]
    return "\n".join([*lines, "</annotation>", ""])


def draw(root: Path, *, train: int, test: int, size: int, seed: int) -> None:
    """Draw a VOC-style folder.

    Image i comes from (seed, i) alone: the same bytes with the same NumPy and OpenCV.
    """
    for part in (IMAGES, ANNOTATIONS, SETS):
        (root / part).mkdir(parents=True)
    names = [f"{i:06d}" for i in range(train + test)]
    for i, name in enumerate(tqdm(names, desc="drawing", unit=" images", disable=None, leave=False)):
        image, objects = draw_scene(size, np.random.default_rng([seed, i]))
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
        (root / IMAGES / f"{name}.jpg").write_bytes(data.tobytes())
        (root / ANNOTATIONS / f"{name}.xml").write_text(annotation_xml(name, size, objects), encoding="utf-8")
    for part, chosen in (("train", names[:train]), ("test", names[train:])):
        (root / SETS / f"{part}.txt").write_text("".join(f"{n}\n" for n in chosen), encoding="utf-8")


def shapes(
    out: PathLike,
    *,
    train: int = 300,
    test: int = 60,
    size: int = 300,
    seed: int = 0,
    overwrite: bool = False,
) -> list[Part]:
    """Draw the data set and build its LMDBs, all or nothing.

    out: the folder to make
    train, test: number of images
    size: side of an image, at least 64 pixels
    seed: another seed, other images; not negative
    overwrite: replace the data set that is there
    Returns what became of train_lmdb and test_lmdb.
    Raises CaffeError if out has anything else in it, or is there already and overwrite is not set.
    """
    if size < SMALLEST_SIZE:
        raise CaffeError(f"--size must be at least {SMALLEST_SIZE}")
    if seed < 0:
        raise CaffeError("--seed must not be negative")
    out = Path(out).resolve()
    _check_out(out, overwrite)
    clear_leftovers(out)
    folder = temporary(out)
    try:
        draw(folder, train=train, test=test, size=size, seed=seed)
        source = Folder(folder)
        parts = build_dataset(
            source,
            source.read_list("train"),
            source.read_list("test"),
            folder,
            name="shapes",
            settings=Settings(Report()),
        )
        replace_folder(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [replace(part, lmdb=out / part.lmdb.name) for part in parts]


def _check_out(out: Path, overwrite: bool) -> None:
    """Raise CaffeError unless the folder is free, or has a data set that may be replaced."""
    if not out.exists():
        return
    if not out.is_dir():
        raise CaffeError(f"{out}: already there, and not a folder; choose another --out")
    found = set(os.listdir(out))
    if not found:
        return
    ours = {IMAGES, ANNOTATIONS, "ImageSets", "train_lmdb", "test_lmdb", label_map.FILE_NAME, dataset_file.FILE_NAME}
    ours |= {f"{part}{end}" for part in ("train", "test") for end in (".txt", name_size.SUFFIX)}
    if strange := sorted(found - ours):
        raise CaffeError(f"{out}: has other files in it ({strange[0]}); choose another --out")
    if not overwrite:
        raise CaffeError(f"{out}: already there (--overwrite replaces it)")
