"""The layouts and lists of COCO-style JSON, and errors for files that are no such JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_prep.checks.item_checks import Rules, inspect
from data_prep.sources.coco import Coco
from data_prep.sources.csv import Csv
from data_prep.sources.json_stream import elements
from tests.data_prep.conversions import CAT, read, said


def coco(root: Path, **changes: Any) -> Path:
    whole = {
        "images": [{"id": 7, "file_name": "0.jpg", "width": 64, "height": 48}],
        "annotations": [
            {"id": 11, "image_id": 7, "category_id": 3, "bbox": [4, 5, 16, 20], "iscrowd": 0}
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 1, "name": "dog"}],
    } | changes
    path = root / "instances_train.json"
    path.write_text(json.dumps({k: v for k, v in whole.items() if v is not None}))
    return path


def box(**changes: Any) -> list[dict[str, Any]]:
    whole = {"id": 11, "image_id": 7, "category_id": 3, "bbox": [4, 5, 16, 20]} | changes
    return [{k: v for k, v in whole.items() if v is not None}]


@pytest.mark.parametrize("name", ["train/_annotations.csv", "train/_annotations.coco.json"])
def test_roboflows_folders_are_lists(name: str, root: Path) -> None:
    source: Csv | Coco = Csv(root) if name.endswith("csv") else Coco(root)
    for folder in ("", "images"):
        (root / folder / "0.jpg").unlink()
    for split in ("train", "valid"):
        path = root / name.replace("train", split)
        path.parent.mkdir(exist_ok=True)
        if isinstance(source, Csv):
            path.write_text(
                "filename,width,height,class,xmin,ymin,xmax,ymax\n0.jpg,64,48,cat,4,5,20,25\n"
            )
        else:
            coco(root).rename(path)
    assert source.sets() == ["train", "valid"]
    assert read(source, "train") == {"train/0.jpg": [CAT]}


@pytest.mark.parametrize(
    "layout", ["NAME.json", "annotations/instances_NAME.json", "NAME/_annotations.coco.json"]
)
def test_coco_layouts(layout: str, root: Path) -> None:
    path = root / layout.replace("NAME", "train")
    path.parent.mkdir(exist_ok=True)
    coco(root).rename(path)
    for folder in ("", "images"):
        (root / folder / "0.jpg").unlink()  # so that only the split's own folder has it
    assert read(Coco(root)) == {"train/0.jpg": [CAT]}
    source = Coco(path)
    assert len(source.items()) == 1
    assert (source.classes, source.aliases) == (["dog", "cat"], {"1": "dog", "2": "cat"})  # by id


def test_coco_test_dev(root: Path, jpeg: bytes) -> None:
    """Images without annotations, which lie in test2017."""
    for folder in ("annotations", "test2017"):
        (root / folder).mkdir()
    (root / "test2017/000000000001.jpg").write_bytes(jpeg)
    coco(root, images=[{"id": 1, "file_name": "000000000001.jpg"}], annotations=None).rename(
        root / "annotations/image_info_test-dev2017.json"
    )
    assert read(Coco(root), "test-dev2017") == {"test2017/000000000001.jpg": []}


def test_coco_boxes_are_those_of_the_fork(root: Path) -> None:
    """Corner and side are added in single precision, as in ReadJSONToAnnotatedDatum."""
    x, y, width, height = (np.float32(v) for v in (1.1, 2.7, 33.3, 0.1))
    ((found,),) = read(
        Coco(coco(root, annotations=box(bbox=[1.1, 2.7, 33.3, 0.1], iscrowd=1)))
    ).values()
    assert found == ("cat", True, float(x), float(y), float(x + width), float(y + height))
    assert float(x + width) != 1.1 + 33.3


def test_coco_images_without_annotations_and_lists(root: Path) -> None:
    path = coco(
        root, images=[{"id": i, "file_name": f"{i}.jpg"} for i in range(3)], annotations=None
    )
    assert read(Coco(path)) == {"0.jpg": [], "1.jpg": [], "2.jpg": []}
    (root / "some.txt").write_text("2.jpg instances_train.json#2\n1\n")
    items = Coco(root).read_list("some.txt")
    assert [(i.image, i.name, i.place) for i in items] == [
        ("2.jpg", "2", f"{root}/some.txt:1"),
        ("1.jpg", "1", f"{root}/some.txt:2"),
    ]
    (root / "some.txt").write_text("3.jpg\n")
    assert said(lambda: Coco(root).read_list("some.txt")).startswith(
        f"{root}/some.txt:1: no image '3.jpg' in the annotation files (did you mean"
    )


def test_coco_ids_of_any_length_are_in_order(root: Path) -> None:
    ids = ["9" * 5000, "10", "9"]
    categories = [{"id": number, "name": f"c{len(number)}"} for number in ids]
    coco(root, categories=categories, annotations=box(category_id="10"))
    source = Coco(root)
    source.read_list("train")
    assert source.classes == ["c1", "c2", "c5000"]


def test_coco_splits_that_are_not_there(root: Path) -> None:
    assert (
        said(lambda: Coco(root).read_list("minival"))
        == f"{root}: no annotation file (*.json) there or in its folder 'annotations'"
    )
    coco(root)
    assert (
        said(lambda: Coco(root).read_list("minival"))
        == f"{root}: minival is minival2014, or val2017, but there is train"
    )
    assert (
        said(lambda: Coco(root).read_list("trian")) == "trian: no such list (did you mean 'train'?)"
    )


BAD_COCO: dict[str, tuple[dict[str, Any], str]] = {
    "no images": ({"images": None}, "FILE: no 'images' in it: not a COCO-style annotation file"),
    "category id twice": (
        {"categories": [{"id": 3, "name": "cat"}, {"id": 3.0, "name": "dog"}]},
        "FILE:1: categories[1]: 'dog' has the id 3, as 'cat' has: one would be lost",
    ),
    "category": (
        {"annotations": box(category_id=2)},
        "FILE:1: 0.jpg: category 2 is not among the 2 categories (1, 3)",
    ),
    "no bbox": (
        {"annotations": box(bbox=None)},
        "FILE:1: 0.jpg: annotation 11: no bbox and no segmentation (is this a file of captions?)",
    ),
    "short bbox": (
        {"annotations": box(bbox=[1, 2])},
        "FILE:1: 0.jpg: annotation 11: bbox is [1, 2], not [x, y, width, height] in pixels",
    ),
    "image_id": (
        {"annotations": box(image_id=None, imageid=7)},
        "FILE:1: annotations[0] without 'image_id' (there is 'imageid'?)",
    ),
    "no object": ({"annotations": [1]}, "FILE:1: annotations[0] is 1, not an object"),
    "no list": (
        {"annotations": {}},
        "FILE:1: not well-formed JSON: 'annotations' should be a list",
    ),
    "file_name": (
        {"images": [{"id": 7, "filename": "0.jpg"}]},
        "FILE:1: images[0] without 'file_name' (there is 'filename'?)",
    ),
    "same id": (
        {"images": [{"id": 7, "file_name": "0.jpg"}] * 2},
        "FILE:1: images[1]: there is another image with id 7",
    ),
}


@pytest.mark.parametrize("case", BAD_COCO)
def test_bad_coco(case: str, root: Path) -> None:
    changes, expected = BAD_COCO[case]
    file = coco(root, **changes)
    assert said(lambda: read(Coco(file))) == expected.replace("FILE", str(file))


def test_a_fault_is_named_by_its_line_and_image(root: Path) -> None:
    """The line is the annotation's own in the file, so that editors go there.

    In a file of one line the image says which annotation it is.
    """
    file = coco(root, annotations=[*box(), *box(id=12, bbox=[60, 5, 16, 20])])
    file.write_text(json.dumps(json.loads(file.read_text()), indent=0))
    source = Coco(root)
    ((found,),) = (
        inspect(source, item, Rules({"cat": 1}, "map", whole_pixels=False)).faults
        for item in source.items()
    )
    lines = file.read_text().splitlines()
    assert lines[int(found.place.split(":")[-1].split()[0])] == '"id": 12,'
    assert found.place.endswith(" (0.jpg)")
    table = root / "boxes.csv"
    table.write_text("0.jpg,4,5,20,25,cat\n0.jpg,60,5,76,25,cat\n")
    (item,) = Csv(table).items()
    (found,) = inspect(Csv(table), item, Rules({"cat": 1}, "map", whole_pixels=False)).faults
    assert str(found) == f"{table}:2 (0.jpg): box 60 5 76 25 of 'cat' is outside the image of 64x48"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ":1: not well-formed JSON: the file ends where a JSON object should be"),
        ("[]", ":1: not well-formed JSON: '[' where a JSON object should be"),
        ('{"images": [\n{"id": 1},\n{"id": }]}', ":3: not well-formed JSON: expecting value"),
        (
            '{"images": [{"id": 1}\n{"id": 2}]}',
            ":2: not well-formed JSON: '{' where ',' or ']' should be",
        ),
        (
            '{"images": [{"id": 1}]} more',
            ":1: not well-formed JSON: text after the end of the JSON object",
        ),
        ('{"images": [{"id": 1}, {"id"', ":1: not well-formed JSON: expecting ':' delimiter"),
        ('{"info": "', ":1: not well-formed JSON: unterminated string"),
    ],
)
def test_malformed_json(content: str, message: str, root: Path) -> None:
    (root / "a.json").write_text(content)
    assert said(lambda: list(elements(root / "a.json", ("images",)))) == f"{root}/a.json{message}"


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 1 << 20])
def test_json_in_any_chunks(chunk: int, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_prep.sources.json_stream.CHUNK", chunk)
    values = [{"id": 12345, "name": 'ñ🐈\\"}', "box": [1.5, -2e-3, True, None]}, 17, "x", [[]], {}]
    (root / "a.json").write_text(
        "\ufeff"
        + json.dumps(
            {"a": values, "n": 123, "other": [1] * 9, "b": [12, 345]}, indent=1, ensure_ascii=False
        )
    )
    found = list(elements(root / "a.json", ("a", "b")))
    assert [e.value for e in found] == [*values, 12, 345]
    assert [(e.section, e.number) for e in found][-3:] == [("a", 4), ("b", 0), ("b", 1)]
    lines = (root / "a.json").read_text().splitlines()
    assert [lines[e.line - 1].strip(" ,") for e in found[-2:]] == ["12", "345"]
