"""The forms that tables and COCO JSON come in: headers, layouts, lists; and what is said of those that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_prep.checks.item_checks import Rules, inspect
from data_prep.sources import csv
from data_prep.sources.coco import Coco
from data_prep.sources.csv import Csv
from data_prep.sources.json_stream import elements
from tests.data_prep.conversions import CAT, read, said
from tests.data_prep.support import refused

# ---- Tables

TABLES = {
    "tensorflow": "filename,width,height,class,xmin,ymin,xmax,ymax\n0.jpg,64,48,cat,4,5,20,25\n",
    "keras-retinanet": "0.jpg,4,5,20,25,cat\n1.jpg,,,,,\n",
    "keras-retinanet, empty first": "1.jpg,,,,,\n0.jpg,4,5,20,25,cat\n",
    "class second": "0.jpg,cat,4,5,20,25\n",
    "no header, tensorflow": "0.jpg,64,48,cat,4,5,20,25\n",
    "semicolons": "image;label;x1;y1;x2;y2\n0.jpg;cat;4;5;20;25\n",
    "tabs, quotes, spaces": '"File Name"\tX Min\tY Min\tX Max\tY Max\tClass\n"0.jpg"\t 4\t5 \t20\t25\tcat\n',
    "corner and sides": "image_path,x,y,w,h,category\n./0.jpg,4,5,16,20,cat\n",
    "corner, width, height": "image,x,y,width,height,label\n0.jpg,4,5,16,20,cat\n",
    "bbox_x": "image_name,bbox_x,bbox_y,bbox_width,bbox_height,image_width,image_height,label_name\n0.jpg,4,5,16,20,64,48,cat\n",
    "open images": "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf\n0,xclick,cat,1,0.0625,0.3125,0.10416666666666667,"
    "0.5208333333333334,0\n",
    "byte order mark, windows": "\ufefffilename,class,xmin,ymin,xmax,ymax\r\n0.jpg,cat,4,5,20,25\r\n",
    "floats that are whole": "filename,class,xmin,ymin,xmax,ymax\n0.jpg,cat,4.0,5.0,20.0,25.0\n",
}


@pytest.mark.parametrize("form", TABLES)
def test_table(form: str, root: Path) -> None:
    (root / "boxes.csv").write_text(TABLES[form], newline="")
    found = read(Csv(root))
    assert found.pop("0.jpg") == [pytest.approx(CAT)]
    assert found in ({}, {"1.jpg": []})


def test_rows_of_an_image_need_not_follow_each_other(root: Path) -> None:
    (root / "boxes.csv").write_text("0.jpg,4,5,20,25,cat\n1.jpg,1,2,3,4,dog\n0.jpg,5,6,7,8,dog\n")
    assert read(Csv(root / "boxes.csv")) == {"0.jpg": [CAT, ("dog", False, 5, 6, 7, 8)], "1.jpg": [("dog", False, 1, 2, 3, 4)]}


def test_groups_of_open_images_are_difficult_and_fractions_need_the_image(root: Path) -> None:
    (root / "train.csv").write_text("ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\n0,/m/1,0,0.5,0,1,1\n9,/m/1,0,0.5,0,1,1\n")
    assert read(Csv(root)) == {"0.jpg": [("/m/1", True, 0, 0, 32, 48)], "9.jpg": []}  # that there is no 9.jpg is told with its image


BAD_TABLES = {
    "": "FILE: is empty",
    "a,b\n": "FILE:1: a header such as filename,xmin,ymin,xmax,ymax,class is missing, and these 2 columns are not known without",
    "filename,xmin,ymin,xmax,ymax\n": "FILE:1: no column 'class'; there are filename, xmin, ymin, xmax, ymax",
    "filename,xmni,ymin,xmax,ymax,class\n": "FILE:1: no column 'xmin' (there is 'xmni'?)",
    "filename,xmin,ymin,xmax,ymax,class\n": "FILE: a table without a row",
    "filename,xmin,ymin,xmax,ymax,class\n,1,2,3,4,cat\n": "FILE:2: an image without a name",
    "filename,xmin,ymin,xmax,ymax,class\n0.jpg,1,two,3,4,cat\n": "FILE:2: ymin is 'two', not a number",
    "filename,xmin,ymin,xmax,ymax,class\n0.jpg,1,2,3,4,cat\n0.jpg,1,2,3\n": "FILE:3: ymax is '', not a number",
    "filename,xmin,ymin,xmax,ymax,class\n0.jpg,1,2,3,4,\n": "FILE:2: a class without a name",
    "filename;xmin;ymin;xmax;ymax;class\n0.jpg;1,5;2;3;4;cat\n": "FILE:2: xmin is '1,5', not a number",
}


@pytest.mark.parametrize("content", BAD_TABLES)
def test_bad_table(content: str, root: Path) -> None:
    file = root / "boxes.csv"
    file.write_text(content)
    assert said(lambda: read(Csv(root))) == BAD_TABLES[content].replace("FILE", str(file))


@pytest.mark.parametrize("name", ["9.jpg", "0.jpg/1.jpg", "images"])
def test_images_that_are_none(name: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "boxes.csv").write_text(f"0.jpg,4,5,20,25,cat\n{name},4,5,20,25,cat\n")
    for other in ("1.jpg", "2.jpg"):
        (root / other).unlink()  # else a note says that they have no annotation
    assert refused(capsys, "csv", root, "--out", tmp_path / "out/lmdb") == f"{root / name}: no such image"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings_of_tables(encoding: str, root: Path) -> None:
    begin = "\ufeff" if encoding.endswith("e") else ""  # Python writes it for the others
    (root / "boxes.csv").write_text(f"{begin}filename,xmin,ymin,xmax,ymax,class\n0.jpg,4,5,20,25,Käse\n", encoding=encoding)
    assert read(Csv(root)) == {"0.jpg": [("Käse", *CAT[1:])]}


def test_other_encodings_are_refused_with_a_remedy(root: Path) -> None:
    file = root / "boxes.csv"
    file.write_text("0.jpg,4,5,20,25,Käse\n", encoding="cp1252")
    remedy = "it is neither UTF-8 nor UTF-16 text (save it as UTF-8, or: iconv -f CP1252 -t UTF-8)"
    assert said(lambda: read(Csv(root))) == f"{file}: not a table: {remedy}"


@pytest.mark.parametrize("name", ["/nowhere/at all/1.jpg", r"C:\Users\me\1.jpg", "D:/1.jpg"])
def test_paths_of_another_machine(name: str, root: Path) -> None:
    file = root / "boxes.csv"
    file.write_text(f"{root}/0.jpg,4,5,20,25,cat\n")
    assert read(Csv(root)) == {f"{root}/0.jpg": [CAT]}
    file.write_text(f"0.jpg,4,5,20,25,cat\n{name},4,5,20,25,cat\n{name}2,4,5,20,25,cat\n")
    shown = name.replace("\\", "/")
    remedy = "write names without folders in this column, or with those in DIR"
    assert said(lambda: read(Csv(root))) == f"{file}:2: '{shown}' is a path of another machine, whose folder is not here: {remedy}"


def test_several_tables_are_lists(root: Path) -> None:
    for name in ("train", "test"):
        (root / f"{name}.csv").write_text("0.jpg,4,5,20,25,cat\n")
    assert Csv(root).sets() == ["test", "train"]
    assert read(Csv(root), "train") == {"0.jpg": [CAT]}
    assert said(lambda: read(Csv(root))) == f"{root}: several annotation files; choose with --list: test, train"
    assert said(lambda: read(Csv(root), "tset")) == "tset: no such list (did you mean 'test'?)"


@pytest.mark.parametrize("name", ["train/_annotations.csv", "train/_annotations.coco.json"])
def test_roboflows_folders_are_lists(name: str, root: Path) -> None:
    source: Csv | Coco = Csv(root) if name.endswith("csv") else Coco(root)
    for folder in ("", "images"):
        (root / folder / "0.jpg").unlink()
    for split in ("train", "valid"):
        path = root / name.replace("train", split)
        path.parent.mkdir(exist_ok=True)
        if isinstance(source, Csv):
            path.write_text("filename,width,height,class,xmin,ymin,xmax,ymax\n0.jpg,64,48,cat,4,5,20,25\n")
        else:
            coco(root).rename(path)
    assert source.sets() == ["train", "valid"]
    assert read(source, "train") == {"train/0.jpg": [CAT]}


def test_every_column_has_one_meaning() -> None:
    known = [name for names in csv.COLUMNS.values() for name in names]
    assert len(known) == len(set(known))


# ---- COCO


def coco(root: Path, **changes: Any) -> Path:
    whole = {
        "images": [{"id": 7, "file_name": "0.jpg", "width": 64, "height": 48}],
        "annotations": [{"id": 11, "image_id": 7, "category_id": 3, "bbox": [4, 5, 16, 20], "iscrowd": 0}],
        "categories": [{"id": 3, "name": "cat"}, {"id": 1, "name": "dog"}],
    } | changes
    path = root / "instances_train.json"
    path.write_text(json.dumps({k: v for k, v in whole.items() if v is not None}))
    return path


def box(**changes: Any) -> list[dict[str, Any]]:
    whole = {"id": 11, "image_id": 7, "category_id": 3, "bbox": [4, 5, 16, 20]} | changes
    return [{k: v for k, v in whole.items() if v is not None}]


@pytest.mark.parametrize("layout", ["NAME.json", "annotations/instances_NAME.json", "NAME/_annotations.coco.json"])
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
    ((found,),) = read(Coco(coco(root, annotations=box(bbox=[1.1, 2.7, 33.3, 0.1], iscrowd=1)))).values()
    assert found == ("cat", True, float(x), float(y), float(x + width), float(y + height))
    assert float(x + width) != 1.1 + 33.3


def test_coco_images_without_annotations_and_lists(root: Path) -> None:
    path = coco(root, images=[{"id": i, "file_name": f"{i}.jpg"} for i in range(3)], annotations=None)
    assert read(Coco(path)) == {"0.jpg": [], "1.jpg": [], "2.jpg": []}
    (root / "some.txt").write_text("2.jpg instances_train.json#2\n1\n")
    items = Coco(root).read_list("some.txt")
    assert [(i.image, i.name, i.place) for i in items] == [("2.jpg", "2", f"{root}/some.txt:1"), ("1.jpg", "1", f"{root}/some.txt:2")]
    (root / "some.txt").write_text("3.jpg\n")
    assert said(lambda: Coco(root).read_list("some.txt")).startswith(
        f"{root}/some.txt:1: no image '3.jpg' in the annotation files (did you mean"
    )


def test_coco_splits_that_are_not_there(root: Path) -> None:
    assert said(lambda: Coco(root).read_list("minival")) == f"{root}: no annotation file (*.json) there or in its folder 'annotations'"
    coco(root)
    assert said(lambda: Coco(root).read_list("minival")) == f"{root}: minival is minival2014, or val2017, but there is train"
    assert said(lambda: Coco(root).read_list("trian")) == "trian: no such list (did you mean 'train'?)"


BAD_COCO: dict[str, tuple[dict[str, Any], str]] = {
    "no images": ({"images": None}, "FILE: no 'images' in it: not a COCO-style annotation file"),
    "stray": ({"annotations": box(image_id=8)}, "FILE: annotations of 1 images that are not in 'images', the first of image 8"),
    "category": ({"annotations": box(category_id=2)}, "FILE:1: 0.jpg: category 2 is not among the 2 categories (1, 3)"),
    "no bbox": ({"annotations": box(bbox=None)}, "FILE:1: 0.jpg: annotation 11: no bbox (is this a file of captions?)"),
    "short bbox": ({"annotations": box(bbox=[1, 2])}, "FILE:1: 0.jpg: annotation 11: bbox is [1, 2], not [x, y, width, height] in pixels"),
    "image_id": ({"annotations": box(image_id=None, imageid=7)}, "FILE:1: annotations[0] without 'image_id' (there is 'imageid'?)"),
    "no object": ({"annotations": [1]}, "FILE:1: annotations[0] is 1, not an object"),
    "no list": ({"annotations": {}}, "FILE:1: not well-formed JSON: 'annotations' should be a list"),
    "file_name": ({"images": [{"id": 7, "filename": "0.jpg"}]}, "FILE:1: images[0] without 'file_name' (there is 'filename'?)"),
    "same id": ({"images": [{"id": 7, "file_name": "0.jpg"}] * 2}, "FILE:1: images[1]: there is another image with id 7"),
}


@pytest.mark.parametrize("case", BAD_COCO)
def test_bad_coco(case: str, root: Path) -> None:
    changes, expected = BAD_COCO[case]
    file = coco(root, **changes)
    assert said(lambda: read(Coco(file))) == expected.replace("FILE", str(file))


def test_a_fault_is_named_by_its_line_and_image(root: Path) -> None:
    """The line is the one of the annotation in the file, so that editors go there; in a file of one line the image says which."""
    file = coco(root, annotations=[*box(), *box(id=12, bbox=[60, 5, 16, 20])])
    file.write_text(json.dumps(json.loads(file.read_text()), indent=0))
    source = Coco(root)
    ((found,),) = (inspect(source, item, Rules({"cat": 1}, "map", whole_pixels=False)).faults for item in source.items())
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
        ('{"images": [{"id": 1}\n{"id": 2}]}', ":2: not well-formed JSON: '{' where ',' or ']' should be"),
        ('{"images": [{"id": 1}]} more', ":1: not well-formed JSON: text after the end of the JSON object"),
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
        "\ufeff" + json.dumps({"a": values, "n": 123, "other": [1] * 9, "b": [12, 345]}, indent=1, ensure_ascii=False)
    )
    found = list(elements(root / "a.json", ("a", "b")))
    assert [e.value for e in found] == [*values, 12, 345]
    assert [(e.section, e.number) for e in found][-3:] == [("a", 4), ("b", 0), ("b", 1)]
    lines = (root / "a.json").read_text().splitlines()
    assert [lines[e.line - 1].strip(" ,") for e in found[-2:]] == ["12", "345"]
