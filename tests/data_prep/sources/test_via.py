"""VIA's projects, JSON and CSV: shapes, which attribute is the class, and bad input."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from data_prep.cli import main
from data_prep.sources import open_source
from tests.data_prep.conversions import read, said
from tests.data_prep.support import refused

RECT = {"name": "rect", "x": 10, "y": 20, "width": 40, "height": 20.5}
COLUMNS = (
    *("filename", "file_size", "file_attributes", "region_count", "region_id"),
    *("region_shape_attributes", "region_attributes"),
)


def region(shape: Any = RECT, **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes}


def write(root: Path, *regions: Any, name: str = "0.jpg") -> Path:
    """A JSON with a region on each line from line 2."""
    lines = ",\n".join(json.dumps(one) for one in regions)
    record = f'{{"filename": "{name}", "size": 9, "regions": [\n{lines}\n]}}'
    (root / "via.json").write_text(f'{{"{name}9": {record}}}')
    return root


def table(root: Path, *regions: Any, first: str = "filename") -> Path:
    with (root / "via.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([first, *COLUMNS[1:]])
        for number, (image, shape, attributes) in enumerate(regions):
            cells = [json.dumps(value) for value in (shape, attributes)]
            writer.writerow([image, 9, "{}", len(regions), number, *cells])
    return root


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        (RECT, (10, 20, 50, 40.5)),
        ({"name": "rect", "x": "10", "y": "2", "width": "4", "height": "3"}, (10, 2, 14, 5)),
        ({"name": "circle", "cx": 30, "cy": 20, "r": 5.5}, (24.5, 14.5, 35.5, 25.5)),
        ({"name": "ellipse", "cx": 30, "cy": 20, "rx": 10, "ry": 5}, (20, 15, 40, 25)),
        (
            {"name": "polygon", "all_points_x": [1, 9, 5], "all_points_y": [2, 4, 30]},
            (1, 2, 9, 30),
        ),
        ({"name": "polyline", "all_points_x": [1, 9], "all_points_y": [4, 2]}, (1, 2, 9, 4)),
    ],
    ids=["rect", "texts", "circle", "ellipse", "polygon", "polyline"],
)
def test_the_box_of_a_shape(root: Path, shape: dict, box: tuple[float, ...]) -> None:
    expected = {"0.jpg": [("car", False, *box)]}
    assert read(open_source("via", write(root, region(shape, kind="car")))) == expected
    (root / "via.json").unlink()
    assert read(open_source("via", table(root, ("0.jpg", shape, {"kind": "car"})))) == expected


def test_an_ellipse_that_is_turned(root: Path) -> None:
    shape = {"name": "ellipse", "cx": 30, "cy": 20, "rx": 10, "ry": 5, "theta": 1.5707963267948966}
    [[(_, _, *box)]] = read(open_source("via", write(root, region(shape, kind="car")))).values()
    assert box == pytest.approx([25, 10, 35, 30])


def test_the_three_forms_of_json(root: Path) -> None:
    record = {"filename": "0.jpg", "size": 9, "regions": [region(kind="car")]}
    expected = {"0.jpg": [("car", False, 10, 20, 50, 40.5)]}
    project = {"_via_settings": {"core": {"default_filepath": ".\\images\\"}}}
    for whole, image in (
        ({"0.jpg9": record}, "0.jpg"),
        ({"0.jpg9": record | {"regions": {"0": region(kind="car")}}}, "0.jpg"),  # VIA 1
        ({"_via_img_metadata": {"0.jpg9": record}}, "0.jpg"),
        (project | {"_via_img_metadata": {"0.jpg9": record}}, "images/0.jpg"),
    ):
        (root / "via.json").write_text(json.dumps(whole))
        assert read(open_source("via", root)) == {image: expected["0.jpg"]}


def test_table_with_several_regions_and_images_without(root: Path) -> None:
    rows = [
        ("0.jpg", RECT, {"kind": "car"}),
        ("1.jpg", {}, {}),
        ("0.jpg", RECT | {"x": 1}, {"kind": "bus"}),
    ]
    found = read(open_source("via", table(root, *rows, first="#filename")))
    assert [len(objects) for objects in found.values()] == [2, 0]
    assert [name for name, *_ in found["0.jpg"]] == ["car", "bus"]


@pytest.mark.parametrize(
    ("attributes", "options", "name"),
    [
        ({"whatever": "car"}, {}, "car"),
        ({"colour": "red", "Type": "car"}, {}, "car"),
        ({"colour": "red", "kind": "car"}, {"attribute": "kind"}, "car"),
        ({"kind": {"car": True, "bus": False}}, {}, "car"),
        ({"kind": 3}, {}, "3"),
        ({}, {"class_name": "balloon"}, "balloon"),
        ({"kind": "car"}, {"class_name": "balloon"}, "balloon"),
    ],
)
def test_the_class(root: Path, attributes: dict, options: dict, name: str) -> None:
    [[(found, *_)]] = read(
        open_source("via", write(root, region(**attributes)), **options)
    ).values()
    assert found == name


@pytest.mark.parametrize(
    ("attributes", "options", "fault"),
    [
        (
            {"colour": "red", "kind": "car"},
            {},
            ": regions have the attributes colour, kind; choose the class's with --attribute",
        ),
        (
            {"colour": "red", "kind": "car"},
            {"attribute": "knid"},
            ": no region has an attribute 'knid' (did you mean 'kind'?)",
        ),
        ({}, {}, ": no region has an attribute; name the class of all with --class NAME"),
        (
            {"kind": "  "},
            {},
            ":2: 0.jpg: regions[0]: region without its class, the attribute 'kind'",
        ),
        (
            {"kind": {"car": True, "bus": True}},
            {},
            ":2: 0.jpg: regions[0]: attribute 'kind' is"
            ' {"car": true, "bus": true}: not one class',
        ),
    ],
)
def test_no_class(root: Path, attributes: dict, options: dict, fault: str) -> None:
    source = open_source("via", write(root, region(**attributes)), **options)
    found = said(lambda: [source.read(item) for item in source.items()])
    assert found == f"{root}/via.json{fault}"


def test_the_flags(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(root, region(), region({"name": "point", "cx": 1, "cy": 2}))
    main(["check", "via", str(root), "--class", "balloon"])
    report = capsys.readouterr().out
    assert "1 objects: balloon 1" in report
    assert f"{root}/via.json:3 (0.jpg): point: left out" in report
    for flag, more, difficult in (
        ("Difficult", None, True),
        ("occluded", None, False),
        ("occluded", "occluded", True),
    ):
        write(root, region(kind="car", **{flag: "yes"}))
        source = open_source("via", root, attribute="kind", difficult_if=more)
        [[(_, found, *_)]] = read(source).values()
        assert found is difficult


@pytest.mark.parametrize(
    ("one", "fault"),
    [
        (region({"name": "rect", "x": 1}, kind="car"), "regions[0]: no y"),
        (region(RECT | {"x": None}, kind="car"), "regions[0]: x is null, not a number"),
        (
            region({"name": "rectangle"}, kind="car"),
            "regions[0]: unknown shape \"rectangle\" (did you mean 'rect'?)",
        ),
        (
            region({"name": "polygon", "all_points_x": [1], "all_points_y": []}, kind="car"),
            "regions[0]: 1 numbers in all_points_x, 0 in all_points_y",
        ),
        (
            7,
            "regions[0]: 7 where an object with shape_attributes and region_attributes should be",
        ),
    ],
)
def test_bad_regions(root: Path, one: Any, fault: str) -> None:
    source = open_source("via", write(root, one))
    found = said(lambda: [source.read(item) for item in source.items()])
    assert found.startswith(f"{root}/via.json:")
    assert found.endswith(f": 0.jpg: {fault}")


def test_bad_rows(root: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(root, ("0.jpg", RECT, {"kind": "car"}))
    text = (root / "via.csv").read_text()
    (root / "via.csv").write_text(text.replace('"{""name""', '"{name""'))
    source = open_source("via", root)
    found = said(lambda: [source.read(item) for item in source.items()])
    assert found.startswith(f"{root}/via.csv:2: 0.jpg: region_shape_attributes is '{{name\"")
    (root / "via.csv").write_text(text)
    fault = refused(capsys, "csv", root, "--out", out)
    looks = f"looks like: data_prep via {root}"
    assert fault == f"{root}/via.csv:1: VIA's CSV, which is another kind ({looks})"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("[]", ":1: [] where an object should be: not VIA's JSON"),
        ('{"a": 1}', ":1: 'a' is no image with regions: not VIA's JSON"),
        ('{"a": {"regions": []}}', ":1: 'a': no filename"),
        ('{"metadata": {}, "view": {}}', ":1: a project of VIA 3, for video and sound"),
        ("{", ":1: not well-formed JSON: "),
        ("{}", ": no image in it"),
    ],
)
def test_files_that_are_not_vias(root: Path, content: str, fault: str) -> None:
    (root / "via.json").write_text(content)
    found = said(lambda: open_source("via", root / "via.json").items())
    assert found.startswith(f"{root}/via.json{fault}")
