"""What a report says of class names, of a label map that was there, and how it writes numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_prep.cli import main
from data_prep.sources.fields import corners_float32, written
from tests.data_prep.support import XML, voc_folder


def name_objects(folder: Path, *names: str) -> None:
    for i, name in enumerate(names):
        (folder / f"Annotations/{i}.xml").write_text(XML.format(name=name))


def notes(folder: Path, kind: str, capsys: pytest.CaptureFixture[str], *more: str) -> list[str]:
    """The messages of a kind in a check's report."""
    file = folder / "report.json"
    main(["check", "voc", str(folder), "--report", str(file), *more])
    capsys.readouterr()
    faults = json.loads(file.read_text())["faults"]
    return [fault["message"] for fault in faults if fault["kind"] == kind]


def test_names_that_differ_in_capitals_are_noted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name_objects(folder, "CAR", "Car", "car")
    listed = "'CAR' (1), 'Car' (1), 'car' (1)"
    wanted = [f"classes {listed} have one name; --map makes one of them"]
    assert notes(folder, "alike-class", capsys) == wanted
    assert notes(folder, "rare-class", capsys) == []


def test_names_that_differ_in_separators_are_noted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name_objects(folder, "traffic light", "Traffic-Light", "cart")
    listed = "'Traffic-Light' (1), 'traffic light' (1)"
    wanted = [f"classes {listed} have one name; --map makes one of them"]
    assert notes(folder, "alike-class", capsys) == wanted


def test_names_of_a_chosen_label_map_are_not_noted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name_objects(folder, "Car", "car", "car")
    file = tmp_path / "map.prototxt"
    items = [
        f'item {{ name: "{name}" label: {i} }}\n' for i, name in enumerate(("b", "Car", "car"))
    ]
    file.write_text("".join(items))
    assert notes(folder, "alike-class", capsys, "--labelmap", str(file)) == []


@pytest.mark.parametrize("name", ["background", "__background__", "Background"])
def test_a_class_called_background_is_noted(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    name_objects(folder, name, "car", "stop sign")
    label = sorted([name, "car", "stop sign"]).index(name) + 1
    [said] = notes(folder, "background-name", capsys)
    way = "--classes 'car,stop sign' leaves it out"
    assert said == f"class '{name}' (1 object) is label {label}; {way}"
    assert notes(folder, "background-name", capsys, "--classes", "car,stop sign") == []


def test_a_label_map_that_was_there_is_told(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["voc", str(folder), "--out", str(out)])
    assert "labelmap" not in capsys.readouterr().err
    main(["voc", str(folder), "--out", str(out.with_name("more_lmdb"))])
    file = out.with_name("labelmap.prototxt")
    assert f"note: {file}: was there already" in capsys.readouterr().err
    main(["voc", str(folder), "--labelmap", str(file), "--out", str(out.with_name("b_lmdb"))])
    assert "was there already" not in capsys.readouterr().err


def test_a_chosen_label_map_is_copied_byte_for_byte(
    folder: Path, out: Path, tmp_path: Path
) -> None:
    chosen = tmp_path / "mine.prototxt"
    content = b'# \xc0 la carte\r\nitem { name: "cat" label: 1 display_name: "cat" }\r\n'
    chosen.write_bytes(content)
    main(["voc", str(folder), "--classes", "cat", "--labelmap", str(chosen), "--out", str(out)])
    assert out.with_name("labelmap.prototxt").read_bytes() == content


def test_numbers_are_written_as_people_write_them(
    tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = voc_folder(tmp_path / "images", jpeg, 1)
    table = {
        "images": [{"id": 1, "file_name": "JPEGImages/0.jpg", "width": 64, "height": 48}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0.1, 0.2, 64, 12.3]}],
    }
    (folder / "boxes.json").write_text(json.dumps(table))
    main(["check", "coco", str(folder), "--fix", "clip"])
    said = capsys.readouterr().out
    assert "box 0.1 0.2 64.1 12.5 of 'cat' is outside" in said
    assert "cut to 0.1 0.2 64 12.5" in said


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (corners_float32([0.1, 0, 0, 0])[0], "0.1"),
        (100 / 3, "33.33333"),
        (12345678, "12345678"),
        (12345678.5, "12345678.5"),
        (0.99999999, "0.99999999"),
        (-0.25, "-0.25"),
    ],
)
def test_written_numbers(value: float, wanted: str) -> None:
    assert written(value) == wanted
