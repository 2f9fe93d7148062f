"""CreateML's JSON: boxes by their centres, the keys of Apple and of Roboflow, and bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_prep.sources import open_source
from tests.data_prep.conversions import read, said

CAR = {"label": "car", "coordinates": {"x": 20, "y": 16, "width": 11, "height": 4}}


def write(root: Path, *annotations: Any, **more: Any) -> Path:
    """An image on line 2, each annotation on a line from 3."""
    lines = ",\n".join(map(json.dumps, annotations))
    record = f'{{"image": "0.jpg", "annotations": [\n{lines}]}}'
    others = "".join(f",\n{json.dumps(one)}" for one in more.values())
    (root / "annotations.json").write_text(f"[\n{record}{others}\n]")
    return root


def test_a_box_by_its_centre(root: Path) -> None:
    # Centre 20, 16; half the sides: 5.5 and 2.
    expected = {"0.jpg": [("car", False, 14.5, 14, 25.5, 18)], "1.jpg": []}
    found = read(
        open_source("createml", write(root, CAR, more={"image": "1.jpg", "annotations": []}))
    )
    assert found == expected


def test_apples_keys(root: Path) -> None:
    apple = {"imagefilename": "1.jpg", "annotation": [CAR]}
    found = read(open_source("createml", write(root, more=apple)))
    assert found == {"0.jpg": [], "1.jpg": [("car", False, 14.5, 14, 25.5, 18)]}


def test_roboflows_splits(root: Path) -> None:
    (root / "train/_annotations.createml.json").write_text(
        json.dumps([{"image": "2.jpg", "annotations": [CAR]}])
    )
    source = open_source("createml", root)
    assert list(read(source)) == ["train/2.jpg"]
    assert list(read(source, "train")) == ["train/2.jpg"]


@pytest.mark.parametrize(
    ("annotation", "fault"),
    [
        ({"label": "car"}, "coordinates are null, not an object with x, y, width, height"),
        ({"coordinates": CAR["coordinates"]}, "no label"),
        (CAR | {"label": " "}, "a class without a name"),
        (CAR | {"coordinates": {"x": 1, "y": 2, "width": 3}}, "no height"),
        (CAR | {"coordinates": {"x": True, "y": 2}}, "x is true, not a number"),
        (5, "5 where an object with label and coordinates should be"),
    ],
)
def test_bad_annotations(root: Path, annotation: Any, fault: str) -> None:
    source = open_source("createml", write(root, CAR, annotation))
    found = said(lambda: [source.read(item) for item in source.items()])
    line = 4
    if not isinstance(annotation, dict):
        line = 2  # only objects know their lines
    place = f"{root}/annotations.json:{line}: 0.jpg: annotations[1]"
    assert found == f"{place}: {fault}"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('[{"annotations": []}]', ":1: image 0 of the list: no image or imagefilename"),
        ('[\n{"image": "a.jpg"}]', ":2: image 0 of the list: no annotations"),
        ('[{"image": "a.jpg", "annotations": {}}]', ":1: image 0 of the list: annotations is {}"),
        ('[{"image": 1.5}]', ":1: image 0 of the list: image is 1.5, not a text"),
        ("[[]]", ":1: image 0 of the list: [] where an object with image and annotations"),
        ("[] x", ":1: not well-formed JSON: text after the end of the JSON list"),
        ('[{"image": "a\\n.jpg", "annotations": []}]', ":1: image name 'a·.jpg' has characters"),
    ],
)
def test_files_that_are_not_createmls(root: Path, content: str, fault: str) -> None:
    (root / "annotations.json").write_text(content)
    found = said(lambda: open_source("createml", root).items())
    assert found.startswith(f"{root}/annotations.json{fault}")


def test_two_images_never_become_one_by_a_guess(tmp_path: Path, jpeg: bytes) -> None:
    """Only one of two images of a name is there; the objects of the other would be on it."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/1.jpg").write_bytes(jpeg)
    records = [{"image": f"/x/{folder}/1.jpg", "annotations": [CAR]} for folder in "ab"]
    file = tmp_path / "a.json"
    file.write_text(",\n".join(map(json.dumps, records)).join("[]"))
    both = "'/x/a/1.jpg' and '/x/b/1.jpg' would both be photos/1.jpg"
    told = said(lambda: read(open_source("createml", tmp_path)))
    assert told == f"{file}:2: photos/1.jpg: {both}"
    file.write_text(file.read_text().replace("/x/b/", "/y/a/"))
    (found,) = read(open_source("createml", tmp_path)).values()
    assert len(found) == 2
