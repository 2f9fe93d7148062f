"""LMDBs for these tests, made with only lmdb and the schema, and the layers that read them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import lmdb
import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.rules.registry import Facts
from netrun.layers.annotated_data import AnnotatedData
from netrun.layers.registry import Context
from netrun.runtime.options import RunOptions
from tests.support import SHARED

BCCD = SHARED / "data" / "bccd"
LABELS = ("none_of_the_above", "RBC", "WBC", "Platelets")


def write(folder: Path, records: Iterable[tuple[str, bytes]]) -> Path:
    """An LMDB of these keys and values."""
    folder.mkdir(parents=True, exist_ok=True)
    with lmdb.open(str(folder), map_size=1 << 28) as db, db.begin(write=True) as transaction:
        for key, value in records:
            transaction.put(key.encode(), value)
    return folder


def record(
    image: bytes,
    boxes: Iterable[tuple[int, tuple[float, float, float, float], bool]],
    label: int = -1,
) -> bytes:
    """An AnnotatedDatum as convert_annoset writes it: an encoded image, (label, corners, difficult)
    grouped by label.
    """
    out = pb.AnnotatedDatum(
        type=pb.AnnotatedDatum.BBOX, datum=pb.Datum(data=image, encoded=True, label=label)
    )
    groups: dict[int, pb.AnnotationGroup] = {}
    for of, corners, difficult in boxes:
        if of not in groups:
            groups[of] = out.annotation_group.add(group_label=of)
        xmin, ymin, xmax, ymax = corners
        bbox = pb.NormalizedBBox(difficult=difficult, xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax)
        groups[of].annotation.add(instance_id=len(groups[of].annotation), bbox=bbox)
    return out.SerializeToString()


def bccd(folder: Path, split: str, count: int | None = None) -> Path:
    """The LMDB of the first images of one of BCCD's splits."""
    ids = (BCCD / f"ImageSets/Main/{split}.txt").read_text().split()[:count]
    records = []
    for number, name in enumerate(ids):
        root = ElementTree.parse(BCCD / f"Annotations/{name}.xml").getroot()
        width, height = (np.float32(root.findtext(f"size/{side}")) for side in ("width", "height"))
        boxes = []
        for obj in root.iter("object"):
            xmin, ymin, xmax, ymax = (
                np.float32(obj.findtext(f"bndbox/{kind}"))
                for kind in ("xmin", "ymin", "xmax", "ymax")
            )
            corners = (
                float(xmin / width),
                float(ymin / height),
                float(xmax / width),
                float(ymax / height),
            )
            boxes.append(
                (
                    LABELS.index(obj.findtext("name") or ""),
                    corners,
                    obj.findtext("difficult") == "1",
                )
            )
        value = record((BCCD / f"JPEGImages/{name}.jpg").read_bytes(), boxes)
        records.append((f"{number:08d}_JPEGImages/{name}.jpg", value))
    return write(folder, records)


def pixels(height: int = 60, width: int = 80, channels: int = 3, seed: int = 0) -> np.ndarray:
    """A smooth random image, (H, W, C) uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, channels), np.uint8)
    return cv2.resize(coarse, (width, height)).reshape(height, width, channels)


def coded(image: np.ndarray, kind: str = ".png") -> bytes:
    return cv2.imencode(kind, image)[1].tobytes()


def layer(
    source: object,
    batch: int,
    transform: str = "",
    annotated: str = "",
    *,
    phase: int = pb.TRAIN,
    backend: str = "LMDB",
    **options: Any,
) -> AnnotatedData:
    """An AnnotatedData layer on the CPU. options: fields of RunOptions."""
    prototxt = (
        f'name: "data" type: "AnnotatedData" top: "data" top: "label" '
        f"transform_param {{ {transform} }} "
        f'data_param {{ source: "{source}" batch_size: {batch} backend: {backend} }} '
        f"annotated_data_param {{ {annotated} }}"
    )
    param = text.parse(prototxt, pb.LayerParameter)
    return AnnotatedData(
        param, Facts([]), Context(phase, torch.device("cpu"), RunOptions(**options))
    )
