"""`--images FOLDER` names the place of the images, for every kind whose folders are not fixed."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.cli import main
from data_prep.sources import KINDS, open_source
from tests.data_prep.conversions import OWN_CLASSES, WRITERS, convert, read, said
from tests.data_prep.support import records, voc_folder

# Their lists name each image.
WITHOUT = {"ilsvrc", "annoset"}
PLACES = {**WRITERS, **OWN_CLASSES}


def moved(kind: str, tmp_path: Path, jpeg: bytes) -> tuple[Path, Path]:
    """A data set of a kind, and the folder elsewhere that its images were moved to."""
    root = convert(kind, voc_folder(tmp_path / "voc", jpeg), tmp_path / kind)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for link in (root / PLACES[kind][0]).glob("*.jpg"):
        link.rename(elsewhere / link.name)
    return root, elsewhere


def test_which_kinds_have_it() -> None:
    having = set()
    for name, kind in KINDS.items():
        if any(option.name == "images" for option in kind.options):
            having.add(name)
    assert having >= {"voc", *PLACES} - WITHOUT


@pytest.mark.parametrize("kind", sorted(PLACES.keys() - WITHOUT))
def test_images_elsewhere(kind: str, tmp_path: Path, jpeg: bytes) -> None:
    root, elsewhere = moved(kind, tmp_path, jpeg)
    found = read(open_source(kind, root, images=elsewhere))
    assert list(found) == [f"{elsewhere}/{n}.jpg" for n in range(3)]
    assert all(len(objects) == 1 for objects in found.values())
    told = said(lambda: open_source(kind, root, images=root / "nowhere"))
    assert told == f"{root}/nowhere: no such folder of images"


def test_the_flag(tmp_path: Path, jpeg: bytes, out: Path) -> None:
    root, elsewhere = moved("coco", tmp_path, jpeg)
    main(["coco", str(root), "--images", str(elsewhere), "--out", str(out)])
    assert len(records(out)) == 3


def test_yolos_splits_elsewhere(tmp_path: Path, jpeg: bytes) -> None:
    """A folder of images for each split, and a list of paths, beside text files in one place."""
    root = tmp_path / "set"
    images = tmp_path / "elsewhere"
    for path in (root / "labels/train", root / "labels/val", images / "train", images / "valid"):
        path.mkdir(parents=True)
    (root / "classes.txt").write_text("cat\n")
    line = "0 0.5 0.5 0.25 0.5\n"
    box = [("cat", False, 24, 12, 40, 36)]
    for split, folder in (("train", "train"), ("val", "valid")):
        (images / folder / f"{split}0.jpg").write_bytes(jpeg)
        (root / f"labels/{split}/{split}0.txt").write_text(line)
    source = open_source("yolo", root, images=images)
    assert read(source, "train") == {f"{images}/train/train0.jpg": box}
    (root / "some.txt").write_text("train/train0.jpg\n")
    assert read(source, "some.txt") == {f"{images}/train/train0.jpg": box}
    # Text files in the folder itself.
    for path in (root / "labels").rglob("*.txt"):
        path.rename(root / path.name)
    for folder in ("train", "val", ""):
        (root / "labels" / folder).rmdir()
    source = open_source("yolo", root, images=images)
    assert read(source) == {
        f"{images}/train/train0.jpg": box,
        f"{images}/valid/val0.jpg": box,
    }
