"""An LMDB of drawn 640x480 JPEGs with boxes, about as costly to decode as photographs of that size."""

from __future__ import annotations

from pathlib import Path

import cv2
import lmdb
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb


def write(folder: Path, count: int) -> Path:
    """`count` records, the same in every run."""
    rng = np.random.default_rng(0)
    with lmdb.open(str(folder), map_size=1 << 30) as db, db.begin(write=True) as transaction:
        for i in range(count):
            transaction.put(f"{i:08d}".encode(), _record(rng).SerializeToString())
    return folder


def _record(rng: np.random.Generator) -> pb.AnnotatedDatum:
    image = np.zeros((480, 640, 3), np.float32)
    for side in (4, 16, 64, 256):  # coarse and fine structure
        coarse = rng.normal(0, 120 / side**0.5, (side * 3 // 4, side, 3)).astype(np.float32)
        image += cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC)
    out = pb.AnnotatedDatum(type=pb.AnnotatedDatum.BBOX)
    for instance in range(3):
        (x, y), (w, h) = rng.uniform(0, 0.6, 2), rng.uniform(0.1, 0.4, 2)
        corners = [int(v) for v in (x * 640, y * 480, (x + w) * 640, (y + h) * 480)]
        image[corners[1] : corners[3], corners[0] : corners[2]] += rng.normal(0, 40, 3).astype(np.float32)
        box = pb.NormalizedBBox(xmin=x, ymin=y, xmax=x + w, ymax=y + h)
        group = out.annotation_group.add(group_label=instance + 1)
        group.annotation.add(instance_id=0, bbox=box)
    pixels = (image + 128).clip(0, 255).astype(np.uint8)
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    out.datum.CopyFrom(pb.Datum(channels=3, height=480, width=640, data=data, encoded=True))
    return out
