"""Cases of the smaller files: means, lists, sizes, logs."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import lmdb_reader, name_size
from netrun.data.records import ImageList
from netrun.data.windows import WindowFile
from netrun.layers.image_source import read_mean
from netrun.plots.loss_plot import plot
from ssd_common.errors import CaffeError
from tests.netrun.fuzz.mutations import spoil_bytes, spoil_message, spoil_text

MEAN = pb.BlobProto(num=1, channels=3, height=2, width=2, data=range(12))
LOG = """I0101 00:00:00.5 1 solver.cpp:243] Iteration 0, loss = 5.5
I0101 00:00:00.5 1 sgd_solver.cpp:138] Iteration 0, lr = 0.001
I0101 00:00:09.5 1 solver.cpp:433] Iteration 10, Testing net (#0)
I0101 00:00:09.6 1 solver.cpp:546]     Test net output #0: detection_eval = 0.5
I0101 00:00:10.5 1 solver.cpp:243] Iteration 10 (1.5 iter/s), loss = 3.25
"""
SIZES = "000001 375 500\n000002 333 500\n"
IMAGES = "picture.jpg 0\na b.png 12\nlist 1\n"
WINDOWS = """# 0
a.jpg
3 40 50 2
1 0.9 0 0 9 9
0 0.1 5 5 20 20
# 1
b.jpg
3 20 20 1
2 0.75 1 1 8 9
"""


def mean(draw: random.Random) -> None:
    """A mean file: a BlobProto."""
    message = pb.BlobProto.FromString(MEAN.SerializeToString())
    if draw.random() < 0.5:
        spoil_message(draw, message)
    content = message.SerializeToString()
    if draw.random() < 0.5:
        content = spoil_bytes(draw, content)
    Path("mean").write_bytes(content)
    found = read_mean("mean")
    assert found is not None
    assert found.dtype == np.float32


def sizes(draw: random.Random) -> None:
    """A name_size file."""
    assert name_size.read(_spoilt(draw, SIZES))


def images(draw: random.Random) -> None:
    """A list for an ImageData layer, and the files that it names."""
    found = ImageList(_spoilt(draw, IMAGES))
    for i in range(len(found)):
        _tried(lambda i=i: found.value(i))


def windows(draw: random.Random) -> None:
    """A file of windows for a WindowData layer."""
    WindowFile(pb.WindowDataParameter(source=_spoilt(draw, WINDOWS)), seed=1)


def shards(draw: random.Random) -> None:
    """A list of LMDBs."""
    for path in lmdb_reader.shards(_spoilt(draw, "lmdb\n", "list.txt")):
        _tried(lambda path=path: lmdb_reader.LmdbReader(path).close())


def log(draw: random.Random) -> None:
    """A training log, drawn by `netrun plot`."""
    plot(_spoilt(draw, LOG), "loss.png")
    assert Path("loss.png").stat().st_size


def _spoilt(draw: random.Random, good: str, name: str = "list") -> str:
    """Write a spoilt text, and return the file's name."""
    content = spoil_text(draw, good, [good, SIZES]).encode("utf-8", "surrogateescape")
    if draw.random() < 0.4:
        content = spoil_bytes(draw, good.encode())
    Path(name).write_bytes(content)
    return name


def _tried(work: Callable[[], object]) -> None:
    """Do what may well be refused for what a spoilt name names."""
    with contextlib.suppress(CaffeError):
        work()
