"""An LMDB of drawn 640x480 JPEGs with boxes, as costly to decode as photographs of that size."""

from __future__ import annotations

from pathlib import Path

import cv2
import lmdb
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb

_WIDTH = 640
_HEIGHT = 480


def write(folder: Path, count: int) -> Path:
    """Write an LMDB of `count` records, the same in every run, and return its path."""
    rng = np.random.default_rng(0)
    with lmdb.open(str(folder), map_size=1 << 30) as db, db.begin(write=True) as transaction:
        for i in range(count):
            transaction.put(f"{i:08d}".encode(), _record(rng).SerializeToString())
    return folder


def _record(rng: np.random.Generator) -> pb.AnnotatedDatum:
    """Return an image of noise with three rectangles, and their boxes."""
    image = _noise(rng)
    record = pb.AnnotatedDatum(type=pb.AnnotatedDatum.BBOX)
    for instance in range(3):
        x, y = rng.uniform(0, 0.6, 2)
        w, h = rng.uniform(0.1, 0.4, 2)
        rows = slice(int(y * _HEIGHT), int((y + h) * _HEIGHT))
        columns = slice(int(x * _WIDTH), int((x + w) * _WIDTH))
        image[rows, columns] += rng.normal(0, 40, 3).astype(np.float32)
        box = pb.NormalizedBBox(xmin=x, ymin=y, xmax=x + w, ymax=y + h)
        group = record.annotation_group.add(group_label=instance + 1)
        group.annotation.add(instance_id=0, bbox=box)
    pixels = (image + 128).clip(0, 255).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
    datum = pb.Datum(
        channels=3,
        height=_HEIGHT,
        width=_WIDTH,
        data=encoded.tobytes(),
        encoded=True,
    )
    record.datum.CopyFrom(datum)
    return record


def _noise(rng: np.random.Generator) -> np.ndarray:
    """Return noise of coarse and fine structure around 0, H×W×3."""
    image = np.zeros((_HEIGHT, _WIDTH, 3), np.float32)
    for side in (4, 16, 64, 256):
        coarse = rng.normal(0, 120 / side**0.5, (side * 3 // 4, side, 3)).astype(np.float32)
        image += cv2.resize(coarse, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC)
    return image
