"""The benchmarks with formats of their own: WIDER FACE, VisDrone, DOTA; and YOLO's turned boxes."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.cli import main
from data_prep.sources import open_source
from tests.data_prep.conversions import read, said

# ---- WIDER FACE

FACES = """0--Parade/0.jpg
2
10 11 5 6 0 0 0 0 0 0
20 21 5 6 2 0 0 1 2 0
0--Parade/1.jpg
0
0 0 0 0 0 0 0 0 0 0
0--Parade/2.jpg
0
"""


@pytest.fixture
def wider(tmp_path: Path, jpeg: bytes) -> Path:
    folder = tmp_path / "WIDER_val/images/0--Parade"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(jpeg)
    (tmp_path / "wider_face_split").mkdir()
    (tmp_path / "wider_face_split/wider_face_val_bbx_gt.txt").write_text(
        FACES.replace(" 0\n", " 0 \n")
    )
    return tmp_path


def test_faces(wider: Path) -> None:
    expected = {
        "WIDER_val/images/0--Parade/0.jpg": [
            ("face", False, 10, 11, 15, 17),
            ("face", True, 20, 21, 25, 27),
        ],
        "WIDER_val/images/0--Parade/1.jpg": [],
        "WIDER_val/images/0--Parade/2.jpg": [],
    }
    source = open_source("widerface", wider)
    assert source.classes == ["face"]
    assert read(source) == expected
    file = wider / "wider_face_split/wider_face_val_bbx_gt.txt"
    assert read(open_source("widerface", file)) == expected


def test_wider_splits(wider: Path) -> None:
    (wider / "wider_face_split/wider_face_train_bbx_gt.txt").write_text("a.jpg\n0\n")
    (wider / "wider_face_split/wider_face_test_filelist.txt").write_text("b.jpg\n")
    source = open_source("widerface", wider)
    assert source.sets() == ["train", "val"]
    assert len(read(source, "val")) == 3


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("a.jpg\n2\n1 2 3 4 0 0 0 0 0 0\nb.jpg\n0\n", ":1: a.jpg: 1 of 2 faces follow"),
        ("a.jpg\n1\n", ":1: a.jpg: 0 of 1 faces follow"),
        ("a.jpg\n", ":1: the file ends after an image's path"),
        ("a.jpg\n-1\n", ":2: '-1' where the number of faces should be"),
        ("# a.jpg 3\n", ":1: '# a.jpg 3' where an image's path should be"),
        (
            "a.jpg\n1\n1 2 3 4\n",
            ":3: a.jpg: '1 2 3 4' where `x y w h blur expression illumination invalid occlusion"
            " pose` should be, all numbers",
        ),
    ],
)
def test_bad_faces(wider: Path, content: str, fault: str) -> None:
    file = wider / "wider_face_split/wider_face_val_bbx_gt.txt"
    file.write_text(content)
    source = open_source("widerface", wider)
    assert said(lambda: [source.read(item) for item in source.items()]) == f"{file}{fault}"


# ---- VisDrone

DRONE = """684,8,273,116,0,0,0,0
10,11,5,6,1,4,0,1
20,21,5,6,1,1,1,2,
30,31,5,6,0,10,0,0
1,2,3,4,1,11,0,0
"""


@pytest.fixture
def drone(tmp_path: Path, jpeg: bytes) -> Path:
    for split in ("train", "val"):
        folder = tmp_path / f"VisDrone2019-DET-{split}"
        for inner in ("images", "annotations"):
            (folder / inner).mkdir(parents=True)
        (folder / "images/a.jpg").write_bytes(jpeg)
        (folder / "annotations/a.txt").write_text(DRONE)
    return tmp_path


def test_drone(drone: Path) -> None:
    source = open_source("visdrone", drone)
    assert source.sets() == ["VisDrone2019-DET-train", "VisDrone2019-DET-val"]
    assert source.classes is not None
    assert source.classes[:4] == ["pedestrian", "people", "bicycle", "car"]
    assert len(source.classes) == 10
    objects = [
        ("car", False, 10, 11, 15, 17),
        ("pedestrian", False, 20, 21, 25, 27),  # more than half is hidden, but it counts
        ("motor", True, 30, 31, 35, 37),  # does not count
    ]
    assert read(source, "val") == {"VisDrone2019-DET-val/images/a.jpg": objects}
    assert len(read(source)) == 2
    one = open_source("visdrone", drone / "VisDrone2019-DET-train")
    assert read(one) == {"images/a.jpg": objects}


def test_ignored_regions(drone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "visdrone", str(drone), "--list", "val"])
    report = capsys.readouterr().out
    assert "regions that the data set tells to ignore: 2 (left out)" in report
    folder = drone / "VisDrone2019-DET-val/annotations"
    assert f"{folder}/a.txt:1: ignored regions: left out" in report
    source = open_source("visdrone", drone, ignored="keep")
    [objects] = read(source, "val").values()
    assert objects[0] == ("ignored regions", True, 684, 8, 957, 124)
    assert objects[-1] == ("others", True, 1, 2, 4, 6)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (
            "1,2,3,4,1,4,0",
            "'1,2,3,4,1,4,0' where `x,y,width,height,score,category,truncation,occlusion`"
            " should be, all numbers",
        ),
        ("1,2,3,4,1,12,0,0", "category 12, but categories go from 0 to 11"),
        ("1,2,3,4,1,4.5,0,0", "category 4.5, but categories go from 0 to 11"),
    ],
)
def test_bad_drone(drone: Path, line: str, fault: str) -> None:
    file = drone / "VisDrone2019-DET-val/annotations/a.txt"
    file.write_text(f"{DRONE}{line}\n")
    source = open_source("visdrone", drone)
    [item] = source.read_list("val")
    assert said(lambda: source.read(item)) == f"{file}:6: {fault}"


def test_archives_unpacked_into_folders_of_their_own(drone: Path, tmp_path: Path) -> None:
    name = "VisDrone2019-DET-train"
    (drone / name).rename(drone / "inner")
    (drone / name).mkdir()
    (drone / "inner").rename(drone / name / name)
    source = open_source("visdrone", drone)
    assert source.sets() == [f"{name}/{name}", "VisDrone2019-DET-val"]
    assert list(read(source, "train")) == [f"{name}/{name}/images/a.jpg"]
    (drone / name / name / "images/part1").mkdir()
    (drone / name / name / "images/a.jpg").rename(drone / name / name / "images/part1/a.jpg")
    assert list(read(source, "train")) == [f"{name}/{name}/images/part1/a.jpg"]


def test_no_drone(tmp_path: Path) -> None:
    wanted = "no folder annotations with text files beside the images"
    assert said(lambda: open_source("visdrone", tmp_path)) == f"{tmp_path}: {wanted}"


# ---- DOTA

AERIAL = """imagesource:GoogleEarth
gsd:0.146
10 10 20.5 15 18 30 8 25 plane 1
1.0 1.0 5.0 1.0 5.0 6.0 1.0 6.0 small-vehicle 0
20 5 10 5 10 9 20 9 fishing ship 2
20 5 10 5 10 9 20 9 ship
"""


@pytest.mark.parametrize("labels", ["labelTxt", "labelTxt-v1.5/labelTxt", "labelTxt-v1.0"])
@pytest.mark.parametrize("images", ["images", "images/images"])
def test_aerial(tmp_path: Path, jpeg: bytes, labels: str, images: str) -> None:
    for folder in (labels, images):
        (tmp_path / "train" / folder).mkdir(parents=True)
    (tmp_path / "train" / images / "P0.PNG").write_bytes(jpeg)
    (tmp_path / "train" / labels / "P0.txt").write_text(AERIAL)
    source = open_source("dota", tmp_path)
    assert source.sets() == ["train"]
    assert read(source, "train") == {
        f"train/{images}/P0.PNG": [
            ("plane", True, 8, 10, 20.5, 30),
            ("small-vehicle", False, 1, 1, 5, 6),
            ("fishing ship", True, 10, 5, 20, 9),
            ("ship", False, 10, 5, 20, 9),
        ]
    }
    # Only the first is turned.
    remarks = source.read(source.items()[0]).remarks
    assert [(said.kind, said.line, said.name) for said in remarks] == [("enclosed", 3, "plane")]


@pytest.mark.parametrize(
    "line", ["1 2 3 4 5 6 7 plane 0", "1 2 3 4 5 6 7 x plane 0", "plane", "1 2 3 4 5 6 7 8"]
)
def test_bad_aerial(tmp_path: Path, jpeg: bytes, line: str) -> None:
    (tmp_path / "labelTxt").mkdir()
    (tmp_path / "a.jpg").write_bytes(jpeg)
    file = tmp_path / "labelTxt/a.txt"
    file.write_text(f"{AERIAL}{line}\n")
    source = open_source("dota", tmp_path)
    [item] = source.items()
    wanted = "`x1 y1 x2 y2 x3 y3 x4 y4 category difficult` should be"
    assert said(lambda: source.read(item)) == f"{file}:7: '{line}' where {wanted}"


def test_lists_of_images(drone: Path) -> None:
    (drone / "list.txt").write_text("a\n")
    source = open_source("visdrone", drone)
    assert list(read(source, "list.txt")) == ["VisDrone2019-DET-train/images/a.jpg"]
    assert "did you mean" in said(lambda: source.read_list("VisDrone2019-DET-trian"))


# ---- YOLO


def test_yolos_turned_boxes_and_outlines_are_counted(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "data.yaml").write_text("names: [car, van]\n")
    (root / "labels").mkdir()
    (root / "labels/0.txt").write_text(
        "0 0.5 0.5 0.25 0.25\n"
        "1 0.25 0.25 0.5 0.5 0.375 0.75 0.125 0.5\n"
        "0 0.25 0.25 0.5 0.5 0.375 0.75\n"
    )  # fmt: skip
    source = open_source("yolo", root)
    item = source.items()[0]
    found = source.read(item)
    # The images are 64x48.
    assert [tuple(o[2:6]) for o in found.objects] == [
        (24, 18, 40, 30),
        (8, 12, 32, 36),
        (16, 12, 32, 36),
    ]
    assert [(said.line, said.subject) for said in found.remarks] == [
        (2, "turned box"),
        (3, "outline"),
        (2, ""),  # the file mixes them with a box
    ]
    main(["check", "yolo", str(root)])
    report = capsys.readouterr().out
    assert "outlines and turned boxes: 2 (the upright box around each is taken)" in report
