"""Label Studio's exports: percents, turned boxes, which annotation counts, paths, bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_prep.cli import main
from data_prep.sources import open_source
from tests.data_prep.conversions import read, said

# Of 64x48 pixels: 16 24 32 36.
BOX = {"x": 25, "y": 50, "width": 25, "height": 25, "rotation": 0}
SIZE = {"original_width": 64, "original_height": 48, "image_rotation": 0}


def result(value: Any = None, kind: str = "rectangle", label: str = "car", **more: Any) -> dict:
    value = {**(value or BOX), f"{kind}labels": [label]}
    return {"id": "x", "type": f"{kind}labels", "value": value, **SIZE, **more}


def task(*results: Any, image: str = "0.jpg", **more: Any) -> dict[str, Any]:
    annotations = [{"id": 1, "was_cancelled": False, "result": list(results)}]
    return {"id": 1, "data": {"image": image}, "annotations": annotations, **more}


def write(root: Path, *tasks: Any) -> Path:
    """A task on each line."""
    (root / "export.json").write_text("[" + ",\n".join(map(json.dumps, tasks)) + "]")
    return root


@pytest.mark.parametrize(
    ("value", "kind", "box"),
    [
        (BOX, "rectangle", (16, 24, 32, 36)),
        # A quarter turn about the corner (32, 12): the width of 16 goes down, the height of 12
        # to the left.
        (
            {"x": 50, "y": 25, "width": 25, "height": 25, "rotation": 90},
            "rectangle",
            (20, 12, 32, 28),
        ),
        ({"points": [[0, 0], [50, 50], [25, 75]], "closed": True}, "polygon", (0, 0, 32, 36)),
        (
            {"vertices": [{"x": 0, "y": 25}, {"x": 50, "y": 50}, {"x": 25, "y": 75}]},
            "vector",
            (0, 12, 32, 36),
        ),
        ({"x": 50, "y": 50, "radiusX": 25, "radiusY": 12.5}, "ellipse", (16, 18, 48, 30)),
    ],
    ids=["box", "turned", "polygon", "vector", "ellipse"],
)
def test_the_box_of_a_region(root: Path, value: dict, kind: str, box: tuple[float, ...]) -> None:
    write(root, task(result(value, kind)))
    assert read(open_source("labelstudio", root)) == {"0.jpg": [("car", False, *box)]}
    minimal = {"image": "0.jpg", "label": [{**value, f"{kind}labels": ["car"], **SIZE}], "id": 1}
    write(root, minimal | {"annotator": 1, "note": ["a text"]})
    assert read(open_source("labelstudio", root)) == {"0.jpg": [("car", False, *box)]}


def test_a_turn_is_in_pixels_not_in_percent(root: Path) -> None:
    write(root, task(result({"x": 50, "y": 25, "width": 25, "height": 25, "rotation": 30})))
    [[(_, _, *box)]] = read(open_source("labelstudio", root)).values()
    # From (32, 12): 16 (cos 30°, sin 30°) and 12 (-sin 30°, cos 30°).
    expected = [32 - 6, 12, 32 + 13.856406, 12 + 8 + 10.392305]
    assert box == pytest.approx(expected)


def test_the_size_is_the_images_where_the_export_does_not_say_it(root: Path) -> None:
    one = result()
    for key in SIZE:
        del one[key]
    source = open_source("labelstudio", write(root, task(one)))
    assert read(source) == {"0.jpg": [("car", False, 16, 24, 32, 36)]}
    turned = one | {"value": one["value"] | {"rotation": 360}}
    source = open_source("labelstudio", write(root, task(turned, one)))
    assert read(source) == {"0.jpg": [("car", False, 16, 24, 32, 36)]}
    source = open_source("labelstudio", write(root, task(one, image="gone.jpg")))
    fault = said(lambda: [source.read(item) for item in source.items()])
    assert fault.endswith("no original_width and original_height, and the image cannot be read")


def test_labels_and_choices_of_a_region_in_results_of_their_own(root: Path) -> None:
    box = {"id": "a", "type": "rectangle", "value": BOX, **SIZE}
    labels = {"id": "a", "type": "labels", "value": {**BOX, "labels": ["car", "van"]}}
    choices = {"id": "a", "type": "choices", "value": {"choices": ["Difficult"]}}
    other = {"id": "b", "type": "choices", "value": {"choices": ["night"]}}
    write(root, task(box, labels, choices, other))
    assert read(open_source("labelstudio", root)) == {
        "0.jpg": [("car", True, 16, 24, 32, 36), ("van", True, 16, 24, 32, 36)]
    }
    choices["value"] = {"choices": ["occluded"]}
    write(root, task(box, labels, choices, other))
    for more, difficult in ((None, False), ("night", False), ("occluded", True)):
        source = open_source("labelstudio", root, difficult_if=more)
        assert [o[1] for o in read(source)["0.jpg"]] == [difficult, difficult]


def test_regions_without_a_label(root: Path) -> None:
    write(root, task({"id": "a", "type": "rectangle", "value": BOX, **SIZE}))
    source = open_source("labelstudio", root)
    fault = said(lambda: [source.read(item) for item in source.items()])
    assert fault.endswith("region without a label (--class NAME gives all such regions one)")
    source = open_source("labelstudio", root, class_name="cell")
    assert read(source) == {"0.jpg": [("cell", False, 16, 24, 32, 36)]}


def test_which_annotation_counts(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def annotation(label: str, **more: Any) -> dict[str, Any]:
        return {"was_cancelled": False, "result": [result(label=label)], **more}

    old = annotation("old", updated_at="2024-01-01T00:00:00Z")
    new = annotation("new", updated_at="2024-06-01T00:00:00Z")
    truth = annotation("truth", updated_at="2023-01-01T00:00:00Z", ground_truth=True)
    cancelled = annotation("cancelled", updated_at="2025-01-01T00:00:00Z") | {"was_cancelled": True}
    for several, name in (
        ([new, old, cancelled], "new"),
        ([new, truth, old], "truth"),
    ):
        write(root, task() | {"annotations": several})
        assert [o[0] for o in read(open_source("labelstudio", root))["0.jpg"]] == [name]
    main(["check", "labelstudio", str(root)])
    report = capsys.readouterr().out
    assert "(0.jpg): 2 of the annotations by others or older: left out" in report
    # In JSON-MIN each is a record.
    minimal = [
        {"image": "0.jpg", "label": [{**BOX, "rectanglelabels": [name], **SIZE}], "updated_at": at}
        for name, at in (("new", "2024-06"), ("old", "2024-01"))
    ]
    write(root, *minimal)
    assert [o[0] for o in read(open_source("labelstudio", root))["0.jpg"]] == ["new"]


def test_tasks_without_an_annotation_are_no_images(root: Path) -> None:
    write(root, task(), task(image="1.jpg", annotations=[]), task(image="2.jpg"))
    assert read(open_source("labelstudio", root)) == {"0.jpg": [], "2.jpg": []}


@pytest.mark.parametrize(
    ("file", "given", "image"),
    [
        ("images/1a2b3c4d-9.jpg", "/data/upload/3/1a2b3c4d-9.jpg", "images/1a2b3c4d-9.jpg"),
        ("9.jpg", "/data/upload/3/1a2b3c4d-9.jpg", "9.jpg"),
        ("9.jpg", "upload/3/1a2b3c4d-9.jpg", "9.jpg"),
        ("set/9.jpg", "/data/local-files/?d=photos/set/9.jpg", "set/9.jpg"),
        ("a b.jpg", "/data/local-files/?d=photos/a%20b.jpg", "a b.jpg"),
        ("9.jpg", "s3://bucket/key/9.jpg", "9.jpg"),
        ("9.jpg", "https://host.org/x/9.jpg?token=1", "9.jpg"),
        ("x/9.jpg", "x\\9.jpg", "x/9.jpg"),
    ],
)
def test_where_images_lie(root: Path, jpeg: bytes, file: str, given: str, image: str) -> None:
    (root / file).parent.mkdir(exist_ok=True)
    (root / file).write_bytes(jpeg)
    write(root, task(result(), image=given))
    assert read(open_source("labelstudio", root)) == {image: [("car", False, 16, 24, 32, 36)]}


def test_the_image_under_another_name(root: Path) -> None:
    one = task(result())
    write(root, one | {"data": {"photo": "0.jpg", "caption": "a car"}})
    assert list(read(open_source("labelstudio", root))) == ["0.jpg"]
    write(root, one | {"data": {"left": "0.jpg", "right": "1.jpg"}})
    fault = said(lambda: open_source("labelstudio", root).items())
    assert fault.endswith(
        ":1: task 0 of the list: several images, left, right, and none is called image"
    )


@pytest.mark.parametrize(
    ("one", "fault"),
    [
        (result(BOX | {"x": "wide"}), '2: 0.jpg: region 0: x is "wide", not a number'),
        (result({"points": [[1, 2, 3]]}, "polygon"), "2: 0.jpg: region 0: [1, 2, 3] where a point"),
        (result(image_rotation=90), "2: 0.jpg: region 0: the image was turned in Label Studio"),
    ],
)
def test_bad_regions(root: Path, one: dict, fault: str) -> None:
    source = open_source("labelstudio", write(root, task(image="1.jpg"), task(one)))
    found = said(lambda: [source.read(item) for item in source.items()])
    assert found.startswith(f"{root}/export.json:{fault}")


def test_what_has_no_box_is_left_out(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    point = result({"x": 1, "y": 2, "width": 1}, "keypoint")
    brush = result({"format": "rle", "rle": [0, 1]}, "brush", id="b")
    mask = result({"imageDataURL": "data:image/png;base64,"}, "bitmask", id="m")
    write(root, task(point, brush, mask, result(id="c")))
    main(["check", "labelstudio", str(root)])
    report = capsys.readouterr().out
    assert "1 objects: car 1" in report
    assert "(0.jpg): point: left out" in report
    assert "(0.jpg): brush mask: left out" in report
    assert "no box and no outline: 3 (" in report


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("{}", ":1: not well-formed JSON: '{' where a JSON list should be"),
        ("[7]", ":1: task 0 of the list: 7 where a task, an object, should be"),
        ('[{"data": {}}]', ":1: task 0 of the list: no image in the task's data"),
        (
            '[{"data": {"image": "a.jpg"},\n"annotations": 1}]',
            ":1: task 0 of the list: annotations",
        ),
        ("[", ":1: not well-formed JSON: the file ends where a value should be"),
        ("[]", ": no image in it"),
    ],
)
def test_files_that_are_not_label_studios(root: Path, content: str, fault: str) -> None:
    (root / "export.json").write_text(content)
    found = said(lambda: open_source("labelstudio", root).items())
    assert found.startswith(f"{root}/export.json{fault}")
