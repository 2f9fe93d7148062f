"""VOC's lists of one class, which say of each image whether the class is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep import open_source
from data_prep.cli import main
from ssd_common.errors import CaffeError
from tests.data_prep.support import build, records


def listed(folder: Path, name: str, lines: str, place: str = "ImageSets/Main") -> Path:
    file = folder / place / f"{name}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(lines)
    return file


@pytest.mark.parametrize("lines", ["0  1\n1 -1\n2  0\n", "0.jpg 1\n1.jpg -1\n2.jpg 0\n"])
def test_all_images_of_a_list_of_one_class_are_taken(folder: Path, lines: str) -> None:
    listed(folder, "cat_train", lines)
    source = open_source("voc", folder)
    items = source.read_list("cat_train")
    assert [item[:2] for item in items] == [
        (f"JPEGImages/{i}.jpg", f"Annotations/{i}.xml") for i in range(3)
    ]
    assert items[1].place == f"{folder}/ImageSets/Main/cat_train.txt:2"
    message = "1 of its 3 images are said to have the class; all are taken"
    assert [found.message for found in source.findings] == [message]


def test_such_lists_build_and_are_noted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed(folder, "cat_train", "0.jpg 1\n1.jpg 1\n")
    listed(folder, "cat_val", "2.jpg 1\n")
    out = tmp_path / "out"
    lists = ("--train-list", "cat_train", "--test-list", "cat_val")
    main(["voc", str(folder), *lists, "--out", str(out)])
    assert len(records(out / "train_lmdb")) == 2
    assert len(records(out / "test_lmdb")) == 1
    assert "cat_train.txt: 2 of its 2 images" in capsys.readouterr().err


def test_such_lists_elsewhere_and_beside_the_images(tmp_path: Path, folder: Path) -> None:
    file = listed(folder, "cat_train", "0 1\n2 -1\n", place=".")
    assert len(open_source("voc", folder).read_list(str(file))) == 2
    flat = tmp_path / "flat"
    flat.mkdir()
    for part, suffix in (("JPEGImages", "jpg"), ("Annotations", "xml")):
        (folder / part / f"0.{suffix}").rename(flat / f"0.{suffix}")
    listed(flat, "cat_train", "0.jpg 1\n")
    [item] = open_source("voc", flat).read_list("cat_train")
    assert item[:2] == ("0.jpg", "0.xml")


def test_a_set_of_which_there_are_lists_of_classes_alone(folder: Path) -> None:
    listed(folder, "dog_train", "2 -1\n0 1\n")
    listed(folder, "cat_train", "1 1\n2 -1\n")
    listed(folder, "cat_val", "0 1\n")
    source = open_source("voc", folder)
    images = [item.image for item in source.read_list("train")]
    assert images == ["JPEGImages/1.jpg", "JPEGImages/2.jpg", "JPEGImages/0.jpg"]
    assert len(source.read_list("val")) == 1
    listed(folder, "train", "0\n")
    assert len(source.read_list("train")) == 1, "the set's own list wins"
    with pytest.raises(CaffeError, match="trai: no such list"):
        source.read_list("trai")


def test_labels_of_whole_images_stay_what_they_are(folder: Path, out: Path) -> None:
    file = listed(folder, "labels", "JPEGImages/0.jpg 1\nJPEGImages/1.jpg 0\n", place=".")
    more = ("--list", file, "--anno-type", "classification")
    assert len(build(folder, out, *more)) == 2
    items = open_source("voc", folder).read_list(str(file))
    assert [item.annotation for item in items] == ["1", "0"]


def test_images_without_a_published_annotation_stay_so(folder: Path) -> None:
    file = listed(folder, "test", "JPEGImages/0.jpg 0\n", place=".")
    source = open_source("voc", folder)
    [item] = source.read_list(str(file))
    assert item.annotation == "0"
    assert source.read(item).objects == []
