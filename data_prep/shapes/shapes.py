"""Draws a small VOC-style data set: five kinds of shapes over textured backgrounds.

Shapes are told apart by form, not by colour.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from tqdm import tqdm

from caffe_ir import dataset_file, label_map, name_size
from data_prep.build.claimed import claimed
from data_prep.build.dataset import Settings, build_dataset
from data_prep.build.part import Part
from data_prep.build.resumable_folder import clear_leftovers, replace_folder, temporary
from data_prep.checks.report import Report
from data_prep.shapes import textures
from data_prep.sources.source import Object
from data_prep.sources.voc import ANNOTATIONS, IMAGES, SETS, Folder
from ssd_common.durable import sync_all
from ssd_common.errors import CaffeError, UsageError
from ssd_common.files import PathLike

CLASSES = ("circle", "ring", "square", "star", "triangle")
SMALLEST_SIZE = 64  # pixels
JPEG_QUALITY = 92
DIFFICULT_SHARE = 0.5  # a shape with less than this share in sight is difficult
DIFFICULT_SIDE = 0.05  # of the image's side; a smaller box is difficult
DROPPED_PIXELS = 16  # a shape with fewer pixels in sight is no object
SHIFT = 4  # fractional bits of coordinates in OpenCV's drawing
INSIDE = 127  # coverage above which a pixel belongs to a shape
# The probability of each number of shapes in an image.
COUNTS = {1: 0.1, 2: 0.2, 3: 0.2, 4: 0.2, 5: 0.15, 6: 0.1, 8: 0.05}
CORNERS = {"circle": 64, "ring": 64, "square": 4, "star": 10, "triangle": 3}
HOLE = 0.55  # radius of a ring's hole over the ring's own
OVERLAID_SHARE = 0.125  # of shapes that are put in front of an older one
TRIES = 12  # places tried for a shape that keeps clear of the older ones


class Shape(NamedTuple):
    """One shape to draw.

    kind: one of CLASSES.
    center: x, y in pixels.
    radius: in pixels.
    angle: in radians.
    stretch: width over height before turning.
    """

    kind: str
    center: np.ndarray
    radius: float
    angle: float
    stretch: float


def outline(shape: Shape) -> list[np.ndarray]:
    """Return the polygons (n x 2, pixels) of a shape; a ring has an outer and an inner one."""
    corners = CORNERS[shape.kind]
    angles = np.arange(corners) * 2 * np.pi / corners
    radii = np.ones(corners)
    if shape.kind == "star":
        radii[1::2] = 0.42
    unit = np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]
    unit *= [np.sqrt(shape.stretch), 1 / np.sqrt(shape.stretch)]
    cos = np.cos(shape.angle)
    sin = np.sin(shape.angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    polygon = unit @ turn.T * shape.radius
    scales = [1.0]
    if shape.kind == "ring":
        scales.append(HOLE)
    return [polygon * scale + shape.center for scale in scales]


def draw_mask(shape: Shape, size: int) -> np.ndarray:
    """Draw the coverage of a shape: size x size, uint8, 0 to 255, smooth at the edge."""
    mask = np.zeros((size, size), np.uint8)
    polygons = []
    for polygon in outline(shape):
        fixed_point = np.round(polygon * (1 << SHIFT))
        polygons.append(fixed_point.astype(np.int32))
    # By the even-odd rule the inner polygon of a ring is a hole.
    cv2.fillPoly(mask, polygons, 255, cv2.LINE_AA, SHIFT)
    return mask


def area(shape: Shape) -> float:
    """Return the area of a shape in pixels, including parts outside the image."""
    areas = [cv2.contourArea(polygon.astype(np.float32)) for polygon in outline(shape)]
    return areas[0] - sum(areas[1:])


def draw_scene(size: int, rng: Generator) -> tuple[np.ndarray, list[Object]]:
    """Draw an image of random shapes, and box what is in sight of each.

    Returns the image (size x size x 3, BGR) and its objects.
    """
    image = textures.background(size, rng)
    shapes: list[Shape] = []
    # The number, from 1, of the shape in sight at each pixel.
    owner = np.zeros((size, size), np.uint8)
    count = rng.choice(list(COUNTS), p=list(COUNTS.values()))
    for _ in range(int(count)):
        shape, mask = _place(size, rng, shapes, owner)
        shapes.append(shape)
        textures.paint(image, mask, shape.radius, rng)
        owner[mask > INSIDE] = len(shapes)
    image = textures.finish(image, rng)
    objects = [_object(shape, owner == number) for number, shape in enumerate(shapes, 1)]
    return image, [found for found in objects if found]


def _place(
    size: int,
    rng: Generator,
    shapes: list[Shape],
    owner: np.ndarray,
) -> tuple[Shape, np.ndarray]:
    """Make a random shape and its mask.

    Most shapes keep clear of the older ones; one in eight is put in front of an older one.
    """
    kind = str(rng.choice(CLASSES))
    stretch = np.exp(rng.uniform(-0.2, 0.2))
    if shapes and rng.random() < OVERLAID_SHARE:
        hidden = shapes[rng.integers(len(shapes))]
        shape = _in_front(hidden, kind, stretch, rng)
        return shape, draw_mask(shape, size)
    # The share of an older shape that this one may hide.
    allowed = rng.choice([0.05, 0.4], p=[0.7, 0.3])
    before = np.bincount(owner.ravel(), minlength=len(shapes) + 1)
    for _ in range(TRIES):
        shape = _anywhere(size, kind, stretch, rng)
        mask = draw_mask(shape, size)
        covered = np.bincount(owner[mask > INSIDE], minlength=len(shapes) + 1)
        if (covered[1:] <= allowed * before[1:]).all():
            break
    return shape, mask


def _in_front(hidden: Shape, kind: str, stretch: float, rng: Generator) -> Shape:
    """Make a shape of about the size of another, in front of a part of it."""
    radius = hidden.radius * rng.uniform(0.8, 1.2)
    distance = hidden.radius * rng.uniform(0.3, 1)
    direction = rng.uniform(0, 2 * np.pi)
    away = np.array([np.cos(direction), np.sin(direction)])
    center = hidden.center + distance * away
    return Shape(kind, center, radius, rng.uniform(0, 2 * np.pi), stretch)


def _anywhere(size: int, kind: str, stretch: float, rng: Generator) -> Shape:
    """Make a shape of any size at any place of the image."""
    radius = size * np.exp(rng.uniform(np.log(0.04), np.log(0.26)))
    # With 0.3 the edge of the image may cut the shape.
    margin = radius * rng.choice([1.0, 0.3], p=[0.85, 0.15])
    center = rng.uniform(margin, size - margin, 2)
    return Shape(kind, center, radius, rng.uniform(0, 2 * np.pi), stretch)


def _object(shape: Shape, seen: np.ndarray) -> Object | None:
    """Box what is in sight of a shape; None where next to nothing is.

    seen: size x size, the pixels in sight.
    """
    pixels = int(seen.sum())
    if pixels < DROPPED_PIXELS:
        return None
    columns = np.flatnonzero(seen.any(0))
    rows = np.flatnonzero(seen.any(1))
    xmin = int(columns[0])
    xmax = int(columns[-1]) + 1
    ymin = int(rows[0])
    ymax = int(rows[-1]) + 1
    small = min(xmax - xmin, ymax - ymin) < DIFFICULT_SIDE * len(seen)
    difficult = pixels < DIFFICULT_SHARE * area(shape) or small
    return Object(shape.kind, difficult, xmin, ymin, xmax, ymax, 0)


def annotation_xml(name: str, size: int, objects: list[Object]) -> str:
    """Write the VOC annotation of an image.

    Its boxes are left and upper edge, right and lower edge, in pixels from 0 to the image's side.
    """
    lines = [
        "<annotation>",
        "\t<folder>shapes</folder>",
        f"\t<filename>{name}.jpg</filename>",
        f"\t<size><width>{size}</width><height>{size}</height><depth>3</depth></size>",
        "\t<segmented>0</segmented>",
    ]
    for o in objects:
        corners = (
            f"<xmin>{o.xmin}</xmin><ymin>{o.ymin}</ymin><xmax>{o.xmax}</xmax><ymax>{o.ymax}</ymax>"
        )
        lines += [
            "\t<object>",
            f"\t\t<name>{o.name}</name>",
            f"\t\t<difficult>{int(o.difficult)}</difficult>",
            f"\t\t<bndbox>{corners}</bndbox>",
            "\t</object>",
        ]
    return "\n".join([*lines, "</annotation>", ""])


def draw(root: Path, *, train: int, test: int, size: int, seed: int) -> None:
    """Draw a VOC-style folder.

    Image i depends on (seed, i) alone: the same NumPy and OpenCV draw the same bytes.
    """
    for part in (IMAGES, ANNOTATIONS, SETS):
        (root / part).mkdir(parents=True)
    names = [f"{i:06d}" for i in range(train + test)]
    progress = tqdm(names, desc="drawing", unit=" images", disable=None, leave=False)
    for i, name in enumerate(progress):
        image, objects = draw_scene(size, np.random.default_rng([seed, i]))
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        (root / IMAGES / f"{name}.jpg").write_bytes(data.tobytes())
        annotation = annotation_xml(name, size, objects)
        (root / ANNOTATIONS / f"{name}.xml").write_text(annotation, encoding="utf-8")
    _write_list(root, "train", names[:train])
    _write_list(root, "test", names[train:])


def _write_list(root: Path, part: str, names: list[str]) -> None:
    """Write the image set of a part."""
    lines = "".join(f"{name}\n" for name in names)
    (root / SETS / f"{part}.txt").write_text(lines, encoding="utf-8")


def shapes(
    out: PathLike,
    *,
    train: int = 300,
    test: int = 60,
    size: int = 300,
    seed: int = 0,
    overwrite: bool = False,
) -> list[Part]:
    """Draw a data set and build its LMDBs, all or nothing.

    out: the folder to make.
    train, test: number of images.
    size: side of an image, at least 64 pixels.
    seed: another seed, other images; not negative.
    overwrite: replace an existing data set.
    Returns what train_lmdb and test_lmdb hold.
    Raises UsageError for an impossible size or seed, CaffeError if out has anything else in it,
      or is there already and overwrite is not set.
    """
    if size < SMALLEST_SIZE:
        raise UsageError(f"--size must be at least {SMALLEST_SIZE}")
    if seed < 0:
        raise UsageError("--seed must not be negative")
    out = Path(out).resolve()
    folder = temporary(out)
    with claimed(out), ExitStack() as stack:
        _check_out(out, overwrite)
        clear_leftovers(out)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        draw(folder, train=train, test=test, size=size, seed=seed)
        source = Folder(folder)
        train_items = source.read_list("train")
        test_items = source.read_list("test")
        settings = Settings(Report())
        parts = build_dataset(
            source, train_items, test_items, folder, name="shapes", settings=settings
        )
        sync_all()
        replace_folder(folder, out)
    return [_moved(part, folder, out) for part in parts]


def _moved(part: Part, old: Path, new: Path) -> Part:
    """Return a part of a data set whose folder has been renamed."""
    items = []
    for item in part.items:
        place = item.place
        if place:
            place = place.replace(str(old), str(new), 1)
        items.append(item._replace(place=place))
    return replace(part, lmdb=new / part.lmdb.name, items=items)


def _check_out(out: Path, overwrite: bool) -> None:
    """Raise CaffeError unless the folder is free, or holds a data set that may be replaced."""
    if not out.exists():
        return
    if not out.is_dir():
        raise CaffeError(f"{out}: already there, and not a folder; choose another --out")
    found = set(os.listdir(out))
    if not found:
        return
    known = {IMAGES, ANNOTATIONS, "ImageSets", label_map.FILE_NAME, dataset_file.FILE_NAME}
    for part in ("train", "test"):
        known |= {f"{part}_lmdb", f"{part}.txt", f"{part}{name_size.SUFFIX}"}
    strange = sorted(found - known)
    if strange:
        raise CaffeError(f"{out}: has other files in it ({strange[0]}); choose another --out")
    if not overwrite:
        raise CaffeError(f"{out}: already there (--overwrite replaces it)")
