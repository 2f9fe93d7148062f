"""YOLO's text files: poses, mixed shapes, other spellings of names, and files without an image."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from data_prep.cli import main
from data_prep.sources import open_source
from data_prep.sources.yolo import Yolo
from tests.data_prep.conversions import CAT, read, said

LINE = "0 0.1875 0.3125 0.25 0.4166666666666667\n"  # cat: 4 5 20 25 of 64 x 48
BOX = "0 0.5 0.5 0.25 0.25"  # cat: 24 18 40 30
CENTRE = ("cat", False, 24, 18, 40, 30)


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def posed(root: Path, shape: str, line: str) -> Yolo:
    write(root, {"data.yaml": f"kpt_shape: {shape}\nnames: [cat]\n", "labels/0.txt": line})
    return Yolo(root)


@pytest.mark.parametrize(
    ("shape", "points"),
    [
        ("[2, 2]", " 0.05 0.05 0.95 0.95"),  # eight numbers, as a turned box has
        ("[3, 2]", " 0 0 0.1 0.1 0.9 0.9"),
        ("[3, 3]", " 0.1 0.1 2 0.2 0.2 1 0 0 0"),
        ("[1, 3]", " 0.1 0.1 2"),
        ("[2, 3]", " 0.1 0.1 2 0.9 0.9 2"),  # an even count
        ("[2, 2]", ""),  # a box without points
        ("[2, 2]", " 1.9 0.05 -3 0.95"),  # points may be anywhere
    ],
)
def test_poses_have_a_box_first(shape: str, points: str, root: Path) -> None:
    source = posed(root, shape, f"{BOX}{points}\n")
    [item] = [item for item in source.items() if item.image == "images/0.jpg"]
    found = source.read(item)
    assert [tuple(o[:6]) for o in found.objects] == [CENTRE]
    assert not found.remarks


def test_class_names_of_elsewhere_leave_the_pose(root: Path) -> None:
    posed(root, "[2, 2]", f"{BOX} 0 0 1 1\n")
    write(root, {"names": "dog\n"})
    source = open_source("yolo", root, names=str(root / "names"))
    assert read(source)["images/0.jpg"] == [("dog", *CENTRE[1:])]


def test_bad_poses(root: Path) -> None:
    source = posed(root, "[2, 3]", f"{BOX} 0.1 0.1 0.9 0.9\n")
    assert said(lambda: read(source)) == (
        f"{root}/labels/0.txt:1: a class and 8 numbers where 4 should be, or 10 with points "
        "(kpt_shape is [2, 3])"
    )


@pytest.mark.parametrize("shape", ["17", "17, 4", "x, 2", "0, 2"])
def test_bad_shapes_of_poses(shape: str, root: Path) -> None:
    assert said(lambda: posed(root, f"[{shape}]", LINE)) == (
        f"{root}/data.yaml:1: kpt_shape: [{shape}] where [points, 2 or 3] should be"
    )


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (
            " 0.1 0.1 2 0.2 0.2 2 0.3 0.3 2",
            "a class and 13 numbers where 4 should be: x y width height "
            "(points of a pose? data.yaml's kpt_shape tells)",
        ),
        (
            " 0.1 0.1 2 0.2 0.2 2",
            "2 is no fraction of the image (YOLO has x, y, width and height from 0 to 1; "
            "points of a pose? data.yaml's kpt_shape tells)",
        ),
    ],
)
def test_poses_that_nothing_announces(points: str, message: str, root: Path) -> None:
    write(root, {"classes.txt": "cat\n", "labels/0.txt": f"{BOX}{points}\n"})
    assert said(lambda: read(Yolo(root))) == f"{root}/labels/0.txt:1: {message}"


def test_boxes_and_outlines_in_one_file_are_said(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outline = "0 0.25 0.25 0.5 0.5 0.375 0.75\n"
    write(
        root,
        {
            "classes.txt": "cat\n",
            "labels/0.txt": f"{outline}{outline}{BOX}\n{BOX}\n",
            "labels/1.txt": f"{outline}0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2\n",
            "labels/2.txt": LINE,
        },
    )
    main(["check", "yolo", str(root)])
    found = capsys.readouterr().out
    assert (
        "YOLO text files with both boxes and outlines: 1 (a line of four numbers is a box" in found
    )
    assert f"{root}/labels/0.txt:3: a box and an outline in one file (the other at line 1)" in found


NAMES = {
    "percent signs in the label's": ("a b.jpg", "a%20b.txt"),
    "percent signs in the image's": ("a%20b.jpg", "a b.txt"),
    "accents in two characters": ("caf\u0065\u0301.jpg", "caf\u00e9.txt"),
    "accents in one character": ("caf\u00e9.jpg", "caf\u0065\u0301.txt"),
    "accents in percent signs": ("caf\u0065\u0301.jpg", "caf%C3%A9.txt"),
}


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("folder", ["labels", "images"])
def test_other_spellings_of_a_name(names: str, folder: str, tmp_path: Path, jpeg: bytes) -> None:
    image, label = NAMES[names]
    write(tmp_path, {"classes.txt": "cat\n", f"{folder}/{label}": LINE, "images/c.txt": LINE})
    for name in (image, "c.jpg"):
        (tmp_path / "images" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "images" / name).write_bytes(jpeg)
    source = Yolo(tmp_path)
    found = {unicodedata.normalize("NFC", name): boxes for name, boxes in read(source).items()}
    image = unicodedata.normalize("NFC", image)
    assert found == {f"images/{name}": [pytest.approx(CAT)] for name in (image, "c.jpg")}
    assert list(source.findings) == []


def test_labels_that_come_later_are_found(tmp_path: Path, jpeg: bytes) -> None:
    write(tmp_path, {"classes.txt": "cat\n"})
    (tmp_path / "a b.jpg").write_bytes(jpeg)
    source = Yolo(tmp_path)
    [item] = source.items()
    assert not source.read(item).objects
    os.utime(tmp_path, ns=(0, 0))
    write(tmp_path, {"a%20b.txt": LINE})
    assert len(source.read(item).objects) == 1


def test_a_label_with_an_image_of_its_own_is_no_others(tmp_path: Path, jpeg: bytes) -> None:
    write(tmp_path, {"classes.txt": "cat\n", "a b.txt": LINE})
    for name in ("a b.jpg", "a%20b.jpg"):
        (tmp_path / name).write_bytes(jpeg)
    assert read(Yolo(tmp_path)) == {"a b.jpg": [pytest.approx(CAT)], "a%20b.jpg": []}


def test_text_files_without_an_image_are_said(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        root,
        {
            "classes.txt": "cat\n",
            "labels/0.txt": LINE,
            "labels/1.TXT": LINE,
            "labels/zz.txt": LINE,
            "labels/empty.txt": "",
            "labels/classes.txt": "cat\n",
            "labels/anchors.txt": "10 13 16 30 33 23\n",
            "labels/train/0.txt": LINE,
            "labels/val/5.txt": LINE,
            "images/0.txt": LINE,
        },
    )
    (root / "labels/h.txt").write_text(LINE)
    (root / "images/h.psd").touch()
    (root / "labels/B.txt").write_text(LINE)
    (root / "images/b.jpg").write_bytes((root / "0.jpg").read_bytes())
    source = Yolo(root)
    differ = "Small letters and capitals differ"
    assert source.items()
    assert [(found.place, found.message) for found in source.findings] == [
        (f"{root}/labels/1.TXT", f"no image has this name (is it of 1.jpg? {differ})"),
        (f"{root}/labels/B.txt", f"no image has this name (is it of b.jpg? {differ})"),
        (f"{root}/labels/h.txt", "no image has this name (h.psd is no image that can be read)"),
        (f"{root}/labels/zz.txt", "no image has this name"),
        (f"{root}/labels/val/5.txt", "no image has this name"),
    ]
    main(["check", "yolo", str(root)])
    assert "YOLO text files without an image: 5 (left out)" in capsys.readouterr().out
    main(["yolo", str(root), "--classes", "cat", "--out", str(tmp_path / "out/lmdb")])
    warned = capsys.readouterr().err
    assert f"warning: {root}/labels/1.TXT: no image has" in warned
    assert warned.count("no image has this name") == 5


def test_a_split_speaks_of_its_own_folders_alone(root: Path) -> None:
    """The images that a list leaves out are not missing, and other splits are not its own."""
    write(
        root,
        {
            "classes.txt": "cat\n",
            "list": "images/train/0.jpg\n",
            "labels/train/0.txt": LINE,
            "labels/train/1.txt": LINE,
            "labels/train/9.txt": LINE,
            "labels/val/5.txt": LINE,
        },
    )
    source = Yolo(root)
    for name in ("list", "train"):
        source.read_list(name)
        [found] = source.findings
        assert found.place == f"{root}/labels/train/9.txt"


def test_darknets_folder_of_voc(tmp_path: Path, jpeg: bytes) -> None:
    write(tmp_path, {"voc.names": "cat\n", "VOC2007/labels/0.txt": LINE})
    (tmp_path / "VOC2007/JPEGImages").mkdir()
    (tmp_path / "VOC2007/JPEGImages/0.jpg").write_bytes(jpeg)
    assert read(Yolo(tmp_path)) == {"VOC2007/JPEGImages/0.jpg": [pytest.approx(CAT)]}
