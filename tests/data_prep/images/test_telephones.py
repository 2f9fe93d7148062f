"""Images of telephones and browsers: .jfif, .heic, .avif."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from data_prep import open_source
from data_prep.images.encoding import Encoding
from data_prep.images.image import read_image
from data_prep.sources import image_lists
from ssd_common.errors import CaffeError
from tests.data_prep.support import XML, build, refused

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


def voc(folder: Path, **images: bytes) -> Path:
    """A folder of images by suffix, each with an annotation."""
    folder.mkdir()
    for suffix, data in images.items():
        (folder / f"x_{suffix}.{suffix}").write_bytes(data)
        (folder / f"x_{suffix}.xml").write_text(XML.format(name="cat"))
    return folder


def test_a_jfif_is_a_jpeg(tmp_path: Path, jpeg: bytes, out: Path) -> None:
    folder = voc(tmp_path / "images", jfif=jpeg, JFIF=jpeg, jpe=jpeg)
    found = build(folder, out)
    assert len(found) == 3
    for value in found.values():
        datum = pb.AnnotatedDatum.FromString(value).datum
        pixels = cv2.imdecode(np.frombuffer(datum.data, np.uint8), cv2.IMREAD_COLOR)
        assert pixels.shape == (48, 64, 3)
    image = read_image(folder / "x_jfif.jfif")
    assert image.remarks == (), "it is no other format's name"
    own_type = read_image(folder / "x_jfif.jfif", Encoding("", True))
    assert own_type.data[:2] == b"\xff\xd8"


def test_a_heic_without_a_reader_is_unreadable_not_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    folder = voc(tmp_path / "images", heic=HEIC)
    said = refused(capsys, "voc", folder, "--out", tmp_path / "lmdb", "--workers", 1)
    assert said.startswith(f"{folder}/x_heic.heic: HEIC image, which OpenCV cannot read here")
    assert "pip install pillow-heif" in said


class Opened:
    """What pillow_heif.open_heif returns, as far as data_prep looks at it."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.size = pixels.shape[1::-1]
        self.__array_interface__ = pixels.__array_interface__
        self._pixels = pixels


@pytest.mark.parametrize("shape", [(48, 64, 3), (48, 64, 4), (48, 64)])
def test_pillow_heif_reads_a_heic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    pixels = np.full(shape, 200, np.uint8)
    module = ModuleType("pillow_heif")
    module.open_heif = lambda file, bgr_mode: Opened(pixels)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    path = tmp_path / "a.heic"
    path.write_bytes(HEIC)
    image = read_image(path)
    assert image.shape == (3, 48, 64)
    assert (image.width, image.height) == (64, 48)
    found = cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(found.astype(int) - 200).max() <= 2
    assert read_image(path, Encoding(gray=True)).shape == (1, 48, 64)


def test_a_heic_of_too_many_pixels_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = SimpleNamespace(open_heif=lambda file, bgr_mode: SimpleNamespace(size=(10**5, 10**5)))
    monkeypatch.setitem(sys.modules, "pillow_heif", large)
    (tmp_path / "a.heic").write_bytes(HEIC)
    with pytest.raises(CaffeError, match=r"a\.heic: 100000x100000 pixels are more than"):
        read_image(tmp_path / "a.heic")


def test_a_real_heic(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, :32, 0] = 255
    path = tmp_path / "a.heic"
    pillow_heif.from_bytes("RGB", (64, 48), pixels.tobytes()).save(str(path), quality=90)
    image = read_image(path)
    found = cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_COLOR)
    assert found[10, 5, 2] > 240, "red, in BGR"
    assert found[10, 60].max() < 15


def test_a_copy_beside_a_heic_is_taken(tmp_path: Path, jpeg: bytes) -> None:
    for name, data in (("a.HEIC", HEIC), ("a.jpg", jpeg), ("b.heic", HEIC)):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "a.xml").write_text(XML.format(name="cat"))
    assert [item.image for item in open_source("voc", tmp_path).items()] == ["a.jpg"]
    names = [path.name for path in image_lists.images_in(tmp_path)]
    assert names == ["a.jpg", "b.heic"]
    assert image_lists.with_extension(tmp_path, "a") == "a.jpg"
