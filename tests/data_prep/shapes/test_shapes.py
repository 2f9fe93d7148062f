"""The drawn data set: the same for the same seed, boxes where the shapes are, whole."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_ir import label_map as label_maps
from data_prep.cli import main
from data_prep.shapes import shapes
from data_prep.sources.voc_xml import read_annotation
from tests.data_prep.support import records, refused


def draw(out: Path, *more: str) -> Path:
    main(["shapes", "--out", str(out), "--train", "60", "--test", "20", "--size", "128", *more])
    return out


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("drawn") / "shapes")


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def test_same_seed_same_bytes(drawn: Path, tmp_path: Path) -> None:
    assert content(draw(tmp_path / "again")) == content(drawn)
    other = content(draw(tmp_path / "other", "--seed", "1"))
    assert other.keys() == content(drawn).keys()
    assert not any(other[n] == data for n, data in content(drawn).items() if n.endswith(".jpg"))


def test_every_class_and_difficult_ones(drawn: Path) -> None:
    objects = [o for p in (drawn / "Annotations").iterdir() for o in read_annotation(p).objects]
    assert {o.name for o in objects} == set(shapes.CLASSES)
    assert 0 < sum(o.difficult for o in objects) < len(objects) / 4
    for o in objects:
        assert 0 <= o.xmin < o.xmax <= 128
        assert 0 <= o.ymin < o.ymax <= 128
    sides = [max(o.xmax - o.xmin, o.ymax - o.ymin) for o in objects]
    assert max(sides) > 4 * min(sides)


def test_dataset_is_whole(drawn: Path) -> None:
    about = json.loads((drawn / "dataset.json").read_text())
    assert (about["name"], about["train_images"], about["test_images"]) == ("shapes", 60, 20)
    assert [i.name for i in label_maps.read(drawn / about["labelmap"]).item] == [
        "none_of_the_above",
        *shapes.CLASSES,
    ]
    train, test = (records(drawn / about[part]) for part in ("train_lmdb", "test_lmdb"))
    assert (len(train), len(test)) == (60, 20)
    assert not {k.partition(b"_")[2] for k in train} & {k.partition(b"_")[2] for k in test}
    assert (drawn / about["name_size"]).read_text().splitlines()[0] == "000060 128 128"


def test_box_of_what_is_in_sight() -> None:
    seen = np.zeros((100, 100), bool)
    # 40 x 40 pixels, upright.
    shape = shapes.Shape("square", np.array([50.0, 50.0]), 20 * 2**0.5, np.pi / 4, 1.0)
    assert shapes.area(shape) == pytest.approx(1600)
    seen[30:70, 30:70] = True
    assert shapes._object(shape, seen) == ("square", False, 30, 30, 70, 70, 0)
    seen[30:70, 40:70] = False  # a quarter is left
    assert shapes._object(shape, seen) == ("square", True, 30, 30, 40, 70, 0)
    seen[33:] = False
    seen[:, 34:] = False  # 12 pixels
    assert shapes._object(shape, seen) is None


@pytest.mark.parametrize("kind", shapes.CLASSES)
def test_mask_covers_the_outline(kind: str) -> None:
    shape = shapes.Shape(kind, np.array([60.0, 55.0]), 40.0, 0.3, 1.2)
    edge = sum(cv2.arcLength(polygon.astype(np.float32), True) for polygon in shapes.outline(shape))
    covered = (shapes.draw_mask(shape, 128) > 127).sum()
    # OpenCV also fills the pixels that the outline runs through.
    assert shapes.area(shape) < covered < shapes.area(shape) + edge


def test_parts_name_the_lists_where_they_lie_at_last(tmp_path: Path) -> None:
    parts = shapes.shapes(tmp_path / "s", train=2, test=1, size=64)
    places = [item.place for part in parts for item in part.items]
    lists = tmp_path / "s" / "ImageSets/Main"
    assert places == [f"{lists}/train.txt:1", f"{lists}/train.txt:2", f"{lists}/test.txt:1"]


def test_other_folders_are_left_alone(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert "has other files in it (thesis.txt)" in refused(
        capsys, "shapes", "--out", tmp_path, "--overwrite"
    )
    assert (
        refused(capsys, "shapes", "--out", drawn)
        == f"{drawn}: already there (--overwrite replaces it)"
    )
    assert (
        refused(capsys, "shapes", "--out", tmp_path / "x", "--size", "20", status=2)
        == "--size must be at least 64; see data_prep shapes --help"
    )


def test_overwrite_and_empty_folder(tmp_path: Path) -> None:
    out = tmp_path / "s"
    out.mkdir()
    main(["shapes", "--out", str(out), "--train", "2", "--test", "1", "--size", "64"])
    main(
        ["shapes", "--out", str(out), "--train", "3", "--test", "1", "--size", "64", "--overwrite"]
    )
    assert len(records(out / "train_lmdb")) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_sheet(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["show", str(drawn / "test_lmdb"), "--out", str(tmp_path / "sheet.png"), "--count", "7"])
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape == (2 * 246 + 6, 6 * 246 + 6, 3)
    for name, begin in (
        ("sheet.JPG", b"\xff\xd8"),
        ("sheet.webp", b"RIFF"),
        ("sheet.png", b"\x89PNG"),
    ):
        main(["show", str(drawn / "test_lmdb"), "--out", str(tmp_path / name), "--count", "2"])
        assert (tmp_path / name).read_bytes().startswith(begin)
    said = refused(capsys, "show", drawn / "test_lmdb", "--out", tmp_path / "x.gif", status=2)
    assert said == (
        f"--out {tmp_path}/x.gif: no picture's name; use .png, .jpg, .jpeg, .webp, .bmp, "
        ".tif, .tiff; see data_prep show --help"
    )
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/data.mdb").write_bytes((drawn / "test_lmdb/data.mdb").read_bytes()[:100])
    said = refused(capsys, "show", tmp_path / "broken", "--out", tmp_path / "x.png")
    assert said.startswith(f"{tmp_path}/broken: truncated or damaged LMDB")
    assert not (tmp_path / "x.png").exists()
