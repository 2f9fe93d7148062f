"""LabelMe's JSON: every shape, flags, where images lie, and bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_prep.cli import main
from data_prep.sources import open_source
from tests.data_prep.conversions import read, said

RECTANGLE = {"label": "cat", "points": [[20.5, 30], [10, 12]], "shape_type": "rectangle"}


def write(file: Path, *shapes: Any, **more: Any) -> Path:
    whole = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": "0.jpg",
        "imageData": None,
        "imageHeight": 48,
        "imageWidth": 64,
    }
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(whole | more, indent=1))
    return file.parent


@pytest.mark.parametrize(
    ("shape_type", "points", "box"),
    [
        ("rectangle", [[20.5, 30], [10, 12]], (10, 12, 20.5, 30)),
        # X-AnyLabeling's, by its four corners.
        ("rectangle", [[1, 2], [9, 2], [9, 8], [1, 8]], (1, 2, 9, 8)),
        ("polygon", [[1, 2], [23, 24], [5, 30]], (1, 2, 23, 30)),
        (None, [[1, 2], [23, 24], [5, 30]], (1, 2, 23, 30)),
        # The centre and a point of the circle: radius 5.
        ("circle", [[20, 20], [23, 24]], (15, 15, 25, 25)),
        ("line", [[1, 2], [23, 24]], (1, 2, 23, 24)),
        ("linestrip", [[1, 2], [23, 24], [5, 30]], (1, 2, 23, 30)),
        ("rotation", [[10, 5], [20, 15], [15, 20], [5, 10]], (5, 5, 20, 20)),
        ("oriented_rectangle", [[10, 5], [20, 15], [15, 20], [5, 10]], (5, 5, 20, 20)),
        ("mask", [[1, 2], [9, 8]], (1, 2, 9, 8)),
    ],
)
def test_the_box_of_a_shape(
    root: Path, shape_type: str | None, points: list, box: tuple[float, ...]
) -> None:
    write(root / "0.json", {"label": "cat", "points": points, "shape_type": shape_type})
    assert read(open_source("labelme", root)) == {"0.jpg": [("cat", False, *box)]}


@pytest.mark.parametrize(
    ("more", "difficult"),
    [
        ({"flags": {"difficult": True}}, True),
        ({"flags": {"occluded": True, "truncated": True}}, False),
        ({"flags": {"Faint": True, "other": True}}, True),
        ({"flags": {"difficult": False, "other": True}}, False),
        ({"difficult": True, "flags": {}}, True),
        ({"flags": None}, False),
    ],
)
def test_difficult(root: Path, more: dict, difficult: bool) -> None:
    write(root / "0.json", RECTANGLE | more)
    [[(_, found, *_)]] = read(open_source("labelme", root, difficult_if="faint")).values()
    assert found is difficult


def test_shapes_of_one_group_are_one_object(root: Path) -> None:
    def part(label: str, group: int | None, *points: list[int], kind: str = "polygon") -> dict:
        return {"label": label, "points": points, "shape_type": kind, "group_id": group}

    write(
        root / "0.json",
        part("cat", 1, [1, 2], [5, 3], [4, 9]),
        part("cat", 2, [1, 2], [9, 9], kind="rectangle"),
        part("cat", 1, [20, 12], [25, 13], [24, 19]),
        part("dog", 1, [1, 2], [9, 9], kind="rectangle"),
        part("dog", 1, [30, 30], kind="point"),
        part("cat", None, [1, 2], [8, 9], kind="rectangle"),
        part("cat", None, [1, 2], [7, 9], kind="rectangle"),
    )
    source = open_source("labelme", root)
    found = source.read(source.items()[0])
    assert [(o.name, *o[2:6]) for o in found.objects] == [
        ("cat", 1, 2, 25, 19),
        ("cat", 1, 2, 9, 9),
        ("dog", 1, 2, 9, 9),
        ("cat", 1, 2, 8, 9),
        ("cat", 1, 2, 7, 9),
    ]
    assert [remark.subject for remark in found.remarks] == ["group of shapes", "point"]


def test_report(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    point = {"label": "eye", "points": [[1, 2]], "shape_type": "point"}
    circle = {"label": "cat", "points": [[20, 20], [23, 24]], "shape_type": "circle"}
    outside = RECTANGLE | {"points": [[1, 2], [70, 20]]}
    write(root / "0.json", point, circle, outside)
    main(["check", "labelme", str(root)])
    report = capsys.readouterr().out
    # Every object of the JSON begins a line of its own.
    assert f"{root}/0.json:5: point: left out" in report
    assert f"{root}/0.json:15: circle: the box around it is taken" in report
    assert f"{root}/0.json:29: box 1 2 70 20 of 'cat' is outside the image of 64x48" in report


@pytest.mark.parametrize(
    ("file", "image_path", "image"),
    [
        ("images/0.json", "0.jpg", "images/0.jpg"),
        ("ann/a.json", "..\\images\\0.jpg", "images/0.jpg"),
        ("ann/a.json", "../images/0.jpg", "images/0.jpg"),
        ("images/a.json", "C:\\photos\\0.jpg", "images/0.jpg"),
        ("ann/a.json", "0.jpg", "0.jpg"),
        # A name says more than the JSON's own.
        ("images/1.json", "2.jpg", "images/2.jpg"),
        ("images/1.json", "gone.jpg", "gone.jpg"),
    ],
)
def test_where_images_lie(root: Path, file: str, image_path: str, image: str) -> None:
    write(root / file, RECTANGLE, imagePath=image_path)
    assert list(read(open_source("labelme", root))) == [image]


@pytest.mark.parametrize("image_path", [None, "1.json"])
def test_without_the_image_in_image_path(root: Path, image_path: str | None) -> None:
    write(root / "images/1.json", RECTANGLE, imagePath=image_path)
    assert list(read(open_source("labelme", root))) == ["images/1.jpg"]


def test_what_is_to_be_ignored(root: Path) -> None:
    write(root / "0.json", RECTANGLE | {"label": "__ignore__"}, RECTANGLE)
    source = open_source("labelme", root)
    found = source.read(source.items()[0])
    assert [o.name for o in found.objects] == ["cat"]
    assert [remark.kind for remark in found.remarks] == ["ignored"]


def test_image_path_behind_many_shapes(root: Path) -> None:
    polygon = RECTANGLE | {"points": [[1, 2]] * 20_000 + [[9, 8]], "shape_type": "polygon"}
    write(root / "a.json", polygon, imagePath="2.jpg", imageData="A" * 200_000)
    assert read(open_source("labelme", root)) == {"2.jpg": [("cat", False, 1, 2, 9, 8)]}


@pytest.mark.parametrize(
    ("files", "paths"),
    [
        (("a.json", "b.json"), ("cam1/0.jpg", "cam2/0.jpg")),  # neither folder is there
        (("1.json", "2.json"), ("1.jpg", "1.jpg")),  # copied, and not changed
        (("old/1.json", "new/1.json"), ("1.jpg", "1.jpg")),
    ],
)
def test_two_files_of_one_image(root: Path, files: tuple[str, str], paths: tuple[str, str]) -> None:
    for file, path in zip(files, paths, strict=True):
        write(root / file, RECTANGLE, imagePath=path)
    message = said(open_source("labelme", root).items)
    first, last = sorted(files)
    assert message.startswith(f"{root / last}: its imagePath leads to ")
    assert message.endswith(f", as that of {first} does")


def test_lists(root: Path) -> None:
    write(root / "train/0.json", RECTANGLE)
    write(root / "images/1.json", RECTANGLE, imagePath="1.jpg")
    source = open_source("labelme", root)
    assert source.sets() == ["images", "train"]
    assert list(read(source, "train")) == ["train/0.jpg"]
    (root / "list.txt").write_text("1.jpg\n")
    assert list(read(source, "list.txt")) == ["images/1.jpg"]
    (root / "list.txt").write_text("7.jpg\n")
    fault = said(lambda: source.read_list("list.txt"))
    assert fault == f"{root}/list.txt:1: no annotation of an image '7.jpg'"


@pytest.mark.parametrize(
    ("shapes", "more", "fault"),
    [
        (
            [RECTANGLE, RECTANGLE | {"points": [[1, 2]]}],
            {},
            ":19: shapes[1]: a rectangle with 1 points, not 2",
        ),
        (
            [RECTANGLE | {"points": [[1, "x"], [2, 3]]}],
            {},
            ':5: shapes[0]: y is "x", not a number',
        ),
        (
            [RECTANGLE | {"label": None}],
            {},
            ":5: shapes[0]: no label",
        ),
        (
            ["cat"],
            {},
            ':1: shapes[0]: "cat" where an object with label and points should be',
        ),
        (
            [RECTANGLE],
            {"imagePath": "gone.jpg", "imageData": "/9j/4AAQ"},
            ":1: its image gone.jpg is missing, but is in its imageData"
            " (labelme_export_json writes it out)",
        ),
    ],
)
def test_bad_shapes(root: Path, shapes: list, more: dict, fault: str) -> None:
    write(root / "0.json", *shapes, **more)
    source = open_source("labelme", root)
    assert said(lambda: source.read(source.items()[0])) == f"{root}/0.json{fault}"


def test_other_files(root: Path) -> None:
    (root / "package.json").write_text('{"name": "x"}')
    fault = said(lambda: open_source("labelme", root).items())
    assert fault == f"{root}: no annotation (*.json) of LabelMe's there or below"
    write(root / "0.json", RECTANGLE)
    assert len(open_source("labelme", root).items()) == 1
    (root / "0.json").write_text('{"shapes": [],\n "points": [}')
    source = open_source("labelme", root)
    fault = said(lambda: source.read(source.items()[0]))
    assert fault == f"{root}/0.json:2: not well-formed JSON: expecting value"
