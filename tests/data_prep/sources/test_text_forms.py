"""The forms that YOLO's and KITTI's text files come in, and errors for all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.cli import main
from data_prep.sources import kitti
from data_prep.sources.kitti import Kitti
from data_prep.sources.yolo import Yolo
from ssd_common.errors import CaffeError
from tests.data_prep.conversions import CAT, read, said

# ---- YOLO

LINE = "0 0.1875 0.3125 0.25 0.4166666666666667\n"  # cat: 4 5 20 25 of 64 x 48
YOLO: dict[str, dict[str, str]] = {
    "ultralytics": {
        "data.yaml": "path: .\ntrain: images/train\nnames:\n  0: cat\n  1: 'dog'\n",
        "labels/train/0.txt": LINE,
    },
    "roboflow": {
        "data.yaml": "train: ../train/images\nnc: 2\nnames: ['cat', \"dog\"]\n",
        "train/labels/0.txt": LINE,
    },
    "list of names": {
        "data.yaml": "names:  # by number\n- cat\n- dog\ntrain:\n  - images/train\n",
        "labels/train/0.txt": LINE,
    },
    "names over lines": {
        "data.yaml": "train: images/train\nnames: [cat,\n  dog]\n",
        "labels/train/0.txt": LINE,
    },
    "darknet": {
        "obj.data": "classes = 2\ntrain = train.txt\nnames = obj.names\n",
        "obj.names": "cat\ndog\n",
        "train.txt": "images/train/0.jpg\n",
        "images/train/0.txt": LINE,
    },
}


@pytest.mark.parametrize("layout", YOLO)
def test_yolo_layouts(layout: str, root: Path, jpeg: bytes) -> None:
    for name, content in YOLO[layout].items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    image = "images/train/0.jpg"
    if layout == "roboflow":
        image = "train/images/0.jpg"
        (root / "train/images").mkdir()
        (root / image).write_bytes(jpeg)
    source = Yolo(root)
    assert source.classes == ["cat", "dog"]
    found = read(source, "train")
    assert found.pop(image) == [pytest.approx(CAT)]
    assert not any(found.values())  # an image without a text file has no objects
    (root / "more/images").mkdir(parents=True)
    (root / "more/images/9.jpg").write_bytes(jpeg)
    assert "more" in source.sets()
    assert read(source, "more") == {"more/images/9.jpg": []}


def test_valid_is_val(root: Path) -> None:
    (root / "data.yaml").write_text("train: images\nval: images/train\nnames: [cat]\n")
    assert (
        read(Yolo(root), "valid")
        == read(Yolo(root), "val")
        == {f"images/train/{i}.jpg": [] for i in range(3)}
    )


def test_yolo_side_by_side_and_outlines(root: Path) -> None:
    (root / "classes.txt").write_text("cat\n")
    for folder in ("images", "image_2", "train"):
        for file in sorted((root / folder).rglob("*.jpg")):
            file.unlink()
    (root / "images/train").rmdir()
    (root / "images").rmdir()
    (root / "0.txt").write_text("0 0.25 0.5 0.75 0.25 0.5 0.75\n")
    # As far outside as the rounding of six digits takes it.
    (root / "1.txt").write_text("0 0.500000 0.5 1.000002 1\n")
    assert read(Yolo(root)) == {
        "0.jpg": [("cat", False, 16, 12, 48, 36)],
        "1.jpg": [("cat", False, 0, 0, 64, 48)],
        "2.jpg": [],
    }


BAD_YOLO = {
    "1 0.5 0.5 0.1 0.1\n": "FILE:1: class 1, but the 1 names of NAMES go from 0 to 0",
    "0.5 0.5 0.5 0.1 0.1\n": "FILE:1: class 0.5, but the 1 names of NAMES go from 0 to 0",
    "\n0 0.5 0.5 0.1\n": "FILE:2: a class and 3 numbers where 4 should be: x y width height",
    "0 0.5 0.5 0.1 0.1 0.9\n": (
        "FILE:1: a class and 5 numbers where 4 should be (is this a file of detections?)"
    ),
    "0 12 20 33 40\n": (
        "FILE:1: 12 is no fraction of the image (YOLO has x, y, width and height from 0 to 1)"
    ),
    "cat 0.5 0.5 0.1 0.1\n": (
        "FILE:1: 'cat 0.5 0.5 0.1 0.1' where 'class x y width height' should be, all numbers"
    ),
}


@pytest.mark.parametrize("content", BAD_YOLO)
def test_bad_yolo(content: str, root: Path) -> None:
    (root / "classes.txt").write_text("cat\n")
    (root / "labels").mkdir()
    (root / "labels/0.txt").write_text(content)
    expected = (
        BAD_YOLO[content]
        .replace("FILE", f"{root}/labels/0.txt")
        .replace("NAMES", f"{root}/classes.txt")
    )
    assert said(lambda: read(Yolo(root))) == expected


def test_yolo_without_names(root: Path) -> None:
    assert said(lambda: Yolo(root)) == (
        f"{root}: no class names (data.yaml, obj.names or classes.txt; --names takes them "
        "from elsewhere)"
    )


def test_images_without_any_text_file_are_no_data_set(root: Path, tmp_path: Path) -> None:
    """Else a folder of labels in the wrong place would be a data set without objects."""
    (root / "data.yaml").write_text("train: images\nnames: [cat]\n")
    with pytest.raises(CaffeError, match="no image has an object, so there is no class to learn"):
        main(["yolo", str(root), "--out", str(tmp_path / "out/lmdb")])
    assert not (tmp_path / "out").exists()
    # Somebody wants background alone.
    (tmp_path / "map.prototxt").write_text('item { name: "cat" label: 1 }')
    main(
        [
            "yolo",
            str(root),
            "--labelmap",
            str(tmp_path / "map.prototxt"),
            "--out",
            str(tmp_path / "out/lmdb"),
        ]
    )


# ---- KITTI

CAR = "Car {} {} 1.5 10 {} 60 40 1.6 1.6 3.9 1 1 10 0.1\n"


@pytest.mark.parametrize(
    ("truncated", "occluded", "top", "easiest"),
    [
        (0, 0, 0, "easy"),
        (0.2, 0, 0, "moderate"),
        (0, 1, 0, "moderate"),
        (0, 0, 12, "moderate"),
        (0.4, 0, 0, "hard"),
        (0, 2, 0, "hard"),
        (0.6, 0, 0, "all"),
        (0, 3, 0, "all"),
        (0, 0, 20, "all"),
    ],
)
def test_kitti_levels(truncated: float, occluded: int, top: int, easiest: str, root: Path) -> None:
    """A box is 40, 25 or 25 pixels high at least.

    Its occlusion is 0, 1 or 2 at most, its truncation 0.15, 0.3 or 0.5.
    """
    (root / "label_2").mkdir()
    (root / "label_2/0.txt").write_text(
        CAR.format(truncated, occluded, top)
        + "DontCare -1 -1 -10 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10\n"
    )
    for level in kitti.LEVELS:
        beyond = list(kitti.LEVELS).index(level) < list(kitti.LEVELS).index(easiest)
        assert read(Kitti(root, level)) == {"image_2/0.jpg": [("Car", beyond, 10, top, 60, 40)]}
    assert read(Kitti(root, "all", keep_dont_care=True))["image_2/0.jpg"][1] == (
        "DontCare",
        True,
        1,
        2,
        3,
        4,
    )


def test_kitti_lists(root: Path) -> None:
    (root / "training").mkdir()
    for name in ("image_2", "label_2"):
        (root / "training" / name).mkdir()
    (root / "training/label_2/000007.txt").write_text(CAR.format(0, 0, 0))
    (root / "ImageSets").mkdir()
    (root / "ImageSets/train.txt").write_text("000007\n")
    assert Kitti(root).sets() == ["train"]
    assert read(Kitti(root), "train") == {"image_2/000007.png": [("Car", False, 10, 0, 60, 40)]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Car 0 0\n", "3 words where 15 should be: type truncated occluded"),
        (CAR.format("x", 0, 0), "could not convert string to float: 'x', where"),
    ],
)
def test_bad_kitti(content: str, message: str, root: Path) -> None:
    (root / "label_2").mkdir()
    (root / "label_2/0.txt").write_text(content)
    assert said(lambda: read(Kitti(root))).startswith(f"{root}/label_2/0.txt:1: {message}")
