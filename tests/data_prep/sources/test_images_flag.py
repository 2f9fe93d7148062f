"""`--images FOLDER` names the place of the images, for every kind whose folders are not fixed."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.cli import main
from data_prep.sources import KINDS, open_source
from tests.data_prep.conversions import OWN_CLASSES, WRITERS, convert, read, said
from tests.data_prep.support import records, voc_folder

# yolo looks for text files by its images' folders; the lists of the others name each image.
WITHOUT = {"yolo", "ilsvrc", "annoset"}
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
