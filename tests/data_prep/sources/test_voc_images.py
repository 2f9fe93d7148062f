"""The image of a VOC annotation, where its name alone does not say it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from data_prep import open_source
from tests.data_prep.support import XML, refused


def annotate(path: Path, filename: str = "", folder: str = "") -> None:
    """Write an annotation that says what its image is."""
    said = f"<annotation><folder>{folder}</folder><filename>{filename}</filename>"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(XML.format(name="cat").replace("<annotation>", said, 1))


def picture(path: Path, jpeg: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg)


def found(root: Path, image_list: str = "") -> list[tuple[str, str]]:
    source = open_source("voc", root)
    items = source.items()
    if image_list:
        (root / "list.txt").write_text(image_list)
        items = source.read_list("list.txt")
    return [(item.image, item.annotation) for item in items]


@pytest.mark.parametrize("said", ["a.jpg", "A.JPG", "C:\\me\\a.jpg", "/home/me/a.jpg"])
def test_filename_decides_between_two_images_of_a_stem(
    tmp_path: Path, jpeg: bytes, said: str
) -> None:
    picture(tmp_path / "a.jpg", jpeg)
    picture(tmp_path / "a.png", jpeg)
    annotate(tmp_path / "a.xml", said)
    assert found(tmp_path) == [("a.jpg", "a.xml")]


def test_a_list_decides_where_the_annotation_does_not(tmp_path: Path, jpeg: bytes) -> None:
    for name in ("a.jpg", "a.png"):
        picture(tmp_path / "JPEGImages" / name, jpeg)
    annotate(tmp_path / "Annotations/a.xml", "old name.jpg")
    (tmp_path / "list.txt").write_text("a.png\n")
    source = open_source("voc", tmp_path)
    assert [item.image for item in source.read_list("list.txt")] == ["JPEGImages/a.png"]


def test_two_images_of_a_stem_are_refused_where_nothing_decides(
    tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    for stem in "ab":
        picture(tmp_path / f"{stem}.jpg", jpeg)
        picture(tmp_path / f"{stem}.png", jpeg)
        annotate(tmp_path / f"{stem}.xml", "other.jpg")
    said = refused(capsys, "check", "voc", tmp_path)
    assert said.startswith(f"{tmp_path}/a.xml: its image may be a.jpg or a.png;")
    assert said.endswith("(and 1 more like it)")
    (tmp_path / "list.txt").write_text("b\n")
    said = refused(capsys, "check", "voc", tmp_path, "--list", "list.txt")
    assert said.startswith(f"{tmp_path}/list.txt:1: b: its image may be b.jpg or b.png;")


def test_folder_decides_between_images_of_a_name(tmp_path: Path, jpeg: bytes) -> None:
    for folder in ("train", "val"):
        picture(tmp_path / f"images/{folder}/a.jpg", jpeg)
    annotate(tmp_path / "Annotations/a.xml", "a.jpg", "val")
    assert found(tmp_path) == [("images/val/a.jpg", "Annotations/a.xml")]


def test_images_with_annotations_of_their_whole_names(tmp_path: Path, jpeg: bytes) -> None:
    for name in ("a.jpg", "a.png", "b.jpg"):
        picture(tmp_path / name, jpeg)
        annotate(tmp_path / f"{name}.xml")
    assert found(tmp_path) == [(name, f"{name}.xml") for name in ("a.jpg", "a.png", "b.jpg")]
    pairs = [("a.png", "a.png.xml"), ("b.jpg", "b.jpg.xml")]
    assert found(tmp_path, "a.png\nb\n") == pairs


@pytest.mark.parametrize("said", ["IMG_1.jpg", "img_1", "D:\\x\\IMG_1.jpg", "IMG_1.jpeg"])
def test_filename_leads_to_an_image_of_another_name(tmp_path: Path, jpeg: bytes, said: str) -> None:
    picture(tmp_path / "JPEGImages/IMG_1.jpg", jpeg)
    picture(tmp_path / "JPEGImages/0002.jpg", jpeg)
    annotate(tmp_path / "Annotations/0001.xml", said)
    annotate(tmp_path / "Annotations/0002.xml", "IMG_1.jpg")  # of old: its own image is there
    pairs = [
        ("JPEGImages/IMG_1.jpg", "Annotations/0001.xml"),
        ("JPEGImages/0002.jpg", "Annotations/0002.xml"),
    ]
    assert found(tmp_path) == pairs
    assert found(tmp_path, "IMG_1\n0002\n") == pairs
    assert found(tmp_path, "IMG_1.jpg\n") == pairs[:1]


def test_filename_takes_no_image_that_has_an_annotation(tmp_path: Path, jpeg: bytes) -> None:
    picture(tmp_path / "a.jpg", jpeg)
    annotate(tmp_path / "a.xml", "a.jpg")
    annotate(tmp_path / "b.xml", "a.jpg")  # a copy, whose own image is missing
    assert found(tmp_path) == [("a.jpg", "a.xml"), ("b.jpg", "b.xml")]


def test_an_image_that_two_annotations_claim_is_refused(
    tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(tmp_path / "x.jpg", jpeg)
    annotate(tmp_path / "a.xml", "x.jpg")
    annotate(tmp_path / "b.xml", "x.jpg")
    said = refused(capsys, "check", "voc", tmp_path)
    assert said.startswith(f"{tmp_path}/a.xml: x.jpg is the <filename> of a.xml and of b.xml")


def test_small_letters_and_accents_find_their_image(tmp_path: Path, jpeg: bytes) -> None:
    picture(tmp_path / "JPEGImages/IMG_1.JPG", jpeg)
    picture(tmp_path / "JPEGImages/cafe\u0301.jpg", jpeg)
    annotate(tmp_path / "Annotations/img_1.xml")
    annotate(tmp_path / "Annotations/caf\u00e9.xml")
    images = [image for image, _ in found(tmp_path)]
    assert images == ["JPEGImages/cafe\u0301.jpg", "JPEGImages/IMG_1.JPG"]


def test_an_unreadable_annotation_of_two_images_is_named(
    tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(tmp_path / "a.jpg", jpeg)
    shutil.copy(tmp_path / "a.jpg", tmp_path / "a.png")
    (tmp_path / "a.xml").write_text("<annotation><filename>a.jpg")
    said = refused(capsys, "check", "voc", tmp_path)
    assert said.startswith(f"{tmp_path}/a.xml: its image may be a.jpg or a.png")
