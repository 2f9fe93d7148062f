"""Folders of images that are not beside their VOC annotations: under other names, or elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.build.check import check
from data_prep.sources import open_source
from data_prep.sources.voc import Folder
from tests.data_prep.conversions import CAT, read, said
from tests.data_prep.support import XML


def lay_out(root: Path, jpeg: bytes, *stems: str, images: str, annotations: str) -> Path:
    for stem in stems:
        for path in (root / images / stem, root / annotations / stem):
            path.parent.mkdir(parents=True, exist_ok=True)
        (root / images / f"{stem}.jpg").write_bytes(jpeg)
        (root / annotations / f"{stem}.xml").write_text(XML.format(name="cat"))
    return root


@pytest.mark.parametrize(
    ("images", "annotations"),
    [("imgs", "xmls"), ("img", "ann"), ("data", "labels"), ("JPEGImages", "xml"), ("Data", "anno")],
)
def test_folders_beside_each_other(
    images: str, annotations: str, tmp_path: Path, jpeg: bytes
) -> None:
    lay_out(tmp_path, jpeg, "0", images=images, annotations=annotations)
    assert read(Folder(tmp_path)) == {f"{images}/0.jpg": [CAT]}
    (tmp_path / "list.txt").write_text("0\n")
    assert read(Folder(tmp_path), "list.txt") == {f"{images}/0.jpg": [CAT]}


def test_folders_of_splits(tmp_path: Path, jpeg: bytes) -> None:
    lay_out(tmp_path, jpeg, "train/0", "val/0", images="imgs", annotations="xmls")
    lay_out(tmp_path / "more/test", jpeg, "0", images="imgs", annotations="xmls")
    images = ["imgs/train/0.jpg", "imgs/val/0.jpg", "more/test/imgs/0.jpg"]
    assert sorted(read(Folder(tmp_path))) == images


def test_another_split_has_no_images_of_its_own(tmp_path: Path, jpeg: bytes) -> None:
    """Annotations without images never get those of another split, which may be called alike."""
    lay_out(tmp_path, jpeg, "0", images="val", annotations="train")
    assert read(Folder(tmp_path)) == {"train/0.jpg": [CAT]}
    assert check(Folder(tmp_path)).report.counts()["error"] == {"image-missing": 1}


def test_images_says_where_they_are(tmp_path: Path, jpeg: bytes) -> None:
    root = lay_out(
        tmp_path / "set", jpeg, "train/0", "val/0", images="x", annotations="Annotations"
    )
    (root / "x").rename(tmp_path / "x")
    found = read(open_source("voc", root, images=tmp_path / "x"))
    assert found == {f"{tmp_path}/x/{split}/0.jpg": [CAT] for split in ("train", "val")}
    (root / "JPEGImages").mkdir()
    (root / "y").mkdir()
    (root / "y/0.jpg").write_bytes(jpeg)
    lay_out(root, jpeg, "0", images="JPEGImages", annotations="Annotations")
    found = read(open_source("voc", root / "Annotations/train", images=root / "y"))
    assert found == {f"{root}/y/0.jpg": [CAT]}
    assert said(lambda: open_source("voc", root, images="nowhere")) == (
        "nowhere: no such folder of images"
    )


def test_the_folder_itself_may_hold_the_images(tmp_path: Path, jpeg: bytes) -> None:
    (tmp_path / "images").mkdir()
    lay_out(tmp_path, jpeg, "0", images="", annotations="Annotations")
    assert read(open_source("voc", tmp_path, images=tmp_path)) == {"0.jpg": [CAT]}
