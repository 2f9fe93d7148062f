"""Images that declare more than they may: found by their header, before anything is allocated."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.records import CorruptRecord
from data_prep.images.image import read_image
from netrun.data.datum import decode_image
from netrun.data.pictures import pictures_in
from netrun.data.records import ImageList
from netrun.pycaffe.io import load_image
from ssd_common.errors import CaffeError
from ssd_common.image_limits import DEFAULT, LOG_VARIABLE, VARIABLE, chunks_fit, declared_size
from tests.support import ROOT

IMAGE = np.arange(40 * 30 * 3, dtype=np.uint32).astype(np.uint8).reshape(40, 30, 3)


def encoded(suffix: str) -> bytes:
    return cv2.imencode(suffix, IMAGE)[1].tobytes()


def jpeg(width: int, height: int) -> bytes:
    """A JPEG of 30x40 pixels whose header says another size."""
    data = bytearray(encoded(".jpg"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def png(width: int, height: int) -> bytes:
    data = encoded(".png")
    return data[:16] + struct.pack(">II", width, height) + data[24:]


JPEG = jpeg(32000, 32000)
LONG_CHUNK = encoded(".png")[:33] + struct.pack(">I", 0x7FFFFFFF) + encoded(".png")[37:]


@pytest.fixture(autouse=True)
def default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (encoded(".jpg"), (30, 40)),
        (encoded(".png"), (30, 40)),
        (JPEG, (32000, 32000)),
        (png(70000, 1), (70000, 1)),
        (JPEG[:2] + b"\0garbage" + JPEG[2:], (32000, 32000)),  # which libjpeg skips
        (JPEG[:2] + b"\xff\xff\xff" + JPEG[2:], (32000, 32000)),
        (JPEG[:2] + b"\xff\xd0\xff\x00" + JPEG[2:], (32000, 32000)),
        (JPEG[:2] + b"\xff\xfe\x00\x08\xff\xc0\x00\x11\x08\x01" + JPEG[2:], (32000, 32000)),
        (b"\xff\xd8\xff\xd9", (0, 0)),
        (b"\xff\xd8", (0, 0)),
        (b"BM", (0, 0)),
        (b"", (0, 0)),
    ],
)
def test_declared_size(data: bytes, size: tuple[int, int]) -> None:
    assert declared_size(data) == size


def test_declared_size_of_any_bytes() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        data = bytearray(encoded(".jpg"))
        for at in rng.integers(2, len(data), 8):
            data[at] = rng.choice([0, 0xC0, 0xD8, 0xFF])
        declared_size(bytes(data))
        declared_size(bytes(data[: rng.integers(len(data))]))


def test_chunks() -> None:
    assert chunks_fit(encoded(".png"))
    assert chunks_fit(encoded(".png") + b"more")
    assert not chunks_fit(LONG_CHUNK)
    assert chunks_fit(encoded(".jpg"))


def in_data_prep(path: Path) -> None:
    read_image(path)


def in_detect(path: Path) -> None:
    list(pictures_in([path], {}))


def in_pycaffe(path: Path) -> None:
    load_image(path)


def in_image_data(path: Path) -> None:
    listed = path.with_name("list.txt")
    listed.write_text(f"{path} 1\n")
    ImageList(str(listed)).sample(0)


READERS = (in_data_prep, in_detect, in_pycaffe, in_image_data)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", ["bomb.jpg", "bomb.png"])
def test_too_many_pixels(tmp_path: Path, read: Callable[[Path], None], name: str) -> None:
    (tmp_path / "bomb.jpg").write_bytes(JPEG)
    (tmp_path / "bomb.png").write_bytes(png(32000, 32000))
    said = rf"32000x32000 pixels are more than {DEFAULT} \(--max-pixels allows more\)"
    with pytest.raises(CaffeError, match=said):
        read(tmp_path / name)


@pytest.mark.parametrize("read", READERS)
def test_a_chunk_longer_than_its_file(tmp_path: Path, read: Callable[[Path], None]) -> None:
    (tmp_path / "a.png").write_bytes(LONG_CHUNK)
    with pytest.raises(CaffeError, match=r"damaged|cannot be decoded|not an image"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("read", READERS)
def test_no_regular_file(tmp_path: Path, read: Callable[[Path], None]) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for file in (Path("/dev/zero"), tmp_path / "pipe.jpg"):
        link = tmp_path / "link.jpg"
        link.unlink(missing_ok=True)
        link.symlink_to(file)
        with pytest.raises(CaffeError, match="not a regular file"):
            read(link)


def test_the_limit_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    datum = pb.Datum(encoded=True, data=encoded(".jpg"))
    for most in (30 * 40, 10**9):
        monkeypatch.setenv(VARIABLE, str(most))
        assert decode_image(datum).shape == (40, 30, 3)
    monkeypatch.setenv(VARIABLE, str(30 * 40 - 1))
    with pytest.raises(CorruptRecord, match="too large: 30x40 pixels are more than 1199"):
        decode_image(datum)


# OpenCV itself finds the size of other formats: the command sets its limit before it is loaded.
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".webp", ".ppm"])
@pytest.mark.parametrize(("most", "status"), [(1199, 1), (1200, 0)])
def test_max_pixels_of_a_command(tmp_path: Path, suffix: str, most: int, status: int) -> None:
    (tmp_path / f"a{suffix}").write_bytes(encoded(suffix))
    (tmp_path / "a.xml").write_text(
        "<annotation><object><name>cat</name><bndbox><xmin>4</xmin><ymin>5</ymin>"
        "<xmax>20</xmax><ymax>25</ymax></bndbox></object></annotation>"
    )
    command = [sys.executable, "-m", "data_prep", "check", "voc", str(tmp_path)]
    command += ["--max-pixels", str(most)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert ("pixels are more than 1199 (--max-pixels allows more)" in done.stdout) == bool(status)


@pytest.mark.parametrize(("limited", "quiet"), [("max_pixels=None", True), ("", False)])
def test_opencvs_own_lines_are_left_out_by_commands_that_decode(limited: str, quiet: bool) -> None:
    lines = (
        "import argparse, numpy\n"
        "from ssd_common import image_limits\n"
        f"image_limits.apply(argparse.Namespace({limited}))\n"
        "import cv2\n"
        "cv2.imdecode(numpy.frombuffer(b'P5 99999999999 1 255 ', numpy.uint8), 1)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != LOG_VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", lines],
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (not done.stderr) is quiet, done.stderr
