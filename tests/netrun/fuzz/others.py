"""Cases of weights on the command line, COCO's files, dataset.json and photographs."""

from __future__ import annotations

import contextlib
import io
import json
import random
from pathlib import Path
from typing import Any

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import dataset_file
from netrun import cli
from netrun.data import pictures
from tests.netrun.fuzz.mutations import spoil_bytes, spoil_json, spoil_message


def weights_command(draw: random.Random) -> None:
    """`netrun weights`: names and types of layers are text that a stranger wrote."""
    net = pb.NetParameter.FromString(Path("good/n_iter_2.caffemodel").read_bytes())
    for _ in range(draw.choice((1, 2))):
        spoil_message(draw, net)
    content = net.SerializeToString()
    if draw.random() < 0.3:
        content = spoil_bytes(draw, content)
    Path("spoilt.caffemodel").write_bytes(content)
    words = draw.choice(
        (
            ["list", "spoilt.caffemodel"],
            ["diff", "spoilt.caffemodel", "good/n_iter_2.caffemodel"],
            ["convert", "spoilt.caffemodel", "--out", "converted.caffemodel.h5"],
        )
    )
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")) as out:
        cli.main(["weights", *words])
    out.flush()


TRUTH: dict[str, Any] = {
    "images": [{"id": 1}, {"id": 2}],
    "annotations": [
        {
            "id": i,
            "image_id": i,
            "category_id": 1,
            "bbox": [0, 0, 5, 5],
            "area": 25,
            "iscrowd": 0,
        }
        for i in (1, 2)
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
}
FOUND = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.5}]


def coco(draw: random.Random) -> None:
    """`netrun coco`: a spoilt truth, or spoilt detections."""
    truth = json.dumps(TRUTH)
    found = json.dumps(FOUND)
    if draw.random() < 0.7:
        truth = spoil_json(draw, truth)
    else:
        found = spoil_json(draw, found)
    Path("truth.json").write_text(truth)
    Path("found.json").write_text(found)
    words = ["coco", "found.json", "--annotations", "truth.json", "--per-class"]
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        cli.main(words)
    out.flush()


def dataset(draw: random.Random) -> None:
    """dataset.json, whose strings are paths."""
    about = dataset_file.DatasetFile("n", "labelmap.prototxt", "lmdb", "lmdb", "sizes.txt", 5, 5)
    Path("dataset.json").write_text(spoil_json(draw, dataset_file.dumps(about)))
    found = dataset_file.read("dataset.json")
    for path in (found.train_lmdb, found.test_lmdb, found.name_size):
        Path(path).exists()  # ValueError for what no path can hold


def picture(draw: random.Random, good: bytes) -> None:
    """A photograph for `netrun detect`."""
    Path("picture.jpg").write_bytes(spoil_bytes(draw, good))
    for read in pictures.pictures_in([Path("picture.jpg")], {}):
        assert read.image.ndim == 3
