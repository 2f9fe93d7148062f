"""Times of data_prep, netrun's loader, and bare loops that do the least of the same work."""

from __future__ import annotations

import functools
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import perf_counter
from xml.etree import ElementTree

import cv2
import lmdb
import numpy as np

import netgen
import netrun
from bench.nets import ROOT
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text

Convert = Callable[[bytes], bytes]
_COMMIT_EVERY = 1000  # records


def put_all(folder: Path, root: Path, lines: list[str], convert: Convert) -> float:
    """Write records to a new LMDB and do nothing else.

    folder: of the LMDB. root: of the images and annotations. lines: the list of them.
    convert: makes the value of a record from an image file's bytes.

    Returns the seconds.
    """
    shutil.rmtree(folder, ignore_errors=True)
    start = perf_counter()
    with lmdb.open(str(folder), map_size=4 << 30, sync=False) as env:
        transaction = env.begin(write=True)
        for number, (key, value) in enumerate(bare(root, lines, convert), 1):
            transaction.put(key, value, append=True)
            if number % _COMMIT_EVERY == 0:
                transaction.commit()
                transaction = env.begin(write=True)
        transaction.commit()
        env.sync(True)
    return perf_counter() - start


def bare(root: Path, lines: list[str], convert: Convert) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values; the XML is parsed, and dropped."""
    for number, line in enumerate(lines):
        image, annotation = line.split()
        with open(root / image, "rb") as file:
            data = file.read()
        ElementTree.parse(root / annotation)
        yield f"{number:08d}_{image}".encode(), convert(data)


def resized(data: bytes) -> bytes:
    """Decode a JPEG, resize it to 512x512 pixels and encode it again."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    _, encoded = cv2.imencode(".jpg", cv2.resize(pixels, (512, 512)))
    return encoded.tobytes()


def resize_all(root: Path, lines: list[str]) -> None:
    """Resize the images of a list, and drop them."""
    cv2.setNumThreads(1)
    for line in lines:
        image, _ = line.split()
        resized((root / image).read_bytes())


def decoders(root: Path, lines: list[str], workers: int) -> float:
    """Return the seconds that `workers` processes take for the work of `resize_all`."""
    with ProcessPoolExecutor(workers, multiprocessing.get_context("forkserver")) as pool:
        work = functools.partial(resize_all, root)
        shares = [lines[i::workers] for i in range(workers)]
        list(pool.map(work, [lines[:20]] * workers))  # starts the processes
        start = perf_counter()
        list(pool.map(work, shares))
        return perf_counter() - start


def afresh(*arguments: object) -> float:
    """Call put_all in a new process, as every build has its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("forkserver")) as pool:
        return pool.submit(put_all, *arguments).result()  # type: ignore[arg-type]


def build(root: Path, listed: Path, out: Path, *flags: str) -> float:
    """Return the seconds of one `data_prep voc`, the interpreter's start included."""
    shutil.rmtree(out.parent, ignore_errors=True)
    argv = [sys.executable, "-m", "data_prep", "voc", str(root)]
    argv += ["--list", str(listed), "--out", str(out), *flags]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    start = perf_counter()
    subprocess.run(argv, cwd=root, env=environment, capture_output=True, check=True)
    return perf_counter() - start


def load(source: Path, batches: int) -> float:
    """Return the seconds for one image through SSD's augmentation, as a training net reads it.

    source: an LMDB that `data_prep voc` built.
    """
    cv2.setNumThreads(0)
    layer = netgen.build("ssd300_voc0712", "train").layer[0]
    layer.data_param.source = str(source)
    layer.annotated_data_param.label_map_file = str(source.with_name("labelmap.prototxt"))
    file = source.with_name("data.prototxt")
    message = pb.NetParameter(layer=[layer])
    file.write_text(text.dumps(message))
    net = netrun.Net(str(file), netrun.TRAIN)
    net.forward()
    start = perf_counter()
    for _ in range(batches):
        net.forward()
    images = batches * layer.data_param.batch_size
    return (perf_counter() - start) / images
