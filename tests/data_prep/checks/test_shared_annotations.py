"""Two images of one name: with one annotation they are told, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.cli import main
from tests.data_prep.support import refused

KITTI = "Car 0 0 0 4 5 20 25 1 1 1 1 1 1 1\n"


def test_two_images_with_one_yolo_file_are_warned_of(
    tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for name in ("a.jpg", "a.png", "b.jpg", "c.jpg", "c.png"):
        (tmp_path / "images" / name).write_bytes(jpeg)
    for stem in "ab":
        (tmp_path / f"labels/{stem}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "classes.txt").write_text("cat\n")
    main(["check", "yolo", str(tmp_path)])
    said = capsys.readouterr().out
    assert f"{tmp_path}/labels/a.txt: is the annotation of images/a.jpg and of images/a.png" in said
    assert "annotations that two images have: 1 " in said


@pytest.mark.parametrize(
    ("kind", "folders", "line"),
    [
        ("kitti", ("training/image_2", "training/label_2"), KITTI),
        ("visdrone", ("train/images", "train/annotations"), "4,5,16,20,1,1,0,0\n"),
        ("dota", ("train/images", "train/labelTxt"), "4 5 20 5 20 25 4 25 plane 0\n"),
    ],
)
def test_two_images_of_a_label_file_are_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    folders: tuple[str, str],
    line: str,
) -> None:
    images, labels = (tmp_path / folder for folder in folders)
    for folder in (images, labels):
        folder.mkdir(parents=True)
    (labels / "a.txt").write_text(line)
    for name in ("a.jpg", "a.png"):
        (images / name).touch()
    said = refused(capsys, "check", kind, tmp_path)
    assert said == f"{images}/a: its image may be a.jpg or a.png"
