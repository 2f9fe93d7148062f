"""Files outside a data set's folder, for every kind whose lists or paths can lead there."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep.cli import main
from ssd_common.errors import CaffeError

XML = """<annotation><filename>x.png</filename><size><width>64</width><height>48</height>
<depth>3</depth></size><object><name>cat</name><bndbox><xmin>4</xmin><ymin>5</ymin><xmax>20</xmax>
<ymax>25</ymax></bndbox></object></annotation>"""
ROW = "cat,4,5,20,25"
TABLE = f"filename,class,xmin,ymin,xmax,ymax\na.png,{ROW}\n"
YOLO = "0 0.5 0.5 0.2 0.3\n"
KITTI = "Car 0 0 0 4 5 20 25 1 1 1 1 1 1 0\n"
MAP = 'item { name: "none_of_the_above" label: 0 }\nitem { name: "cat" label: 1 }\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory, with an image and its annotations in `out`."""
    monkeypatch.chdir(tmp_path)
    write("out/x.xml", XML)
    write("out/x.txt", YOLO)
    image("out/x.png", 9)


def write(file: str, content: str) -> None:
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(content)


def image(file: str, value: int = 1) -> None:
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(file, np.full((48, 64, 3), value, np.uint8))


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What a check prints."""
    try:
        main(["check", *argv])
    except CaffeError as error:
        return f"{capsys.readouterr().out}\n{error}"
    return capsys.readouterr().out


CVAT = "".join(
    f'<image name="{name}" width="64" height="48"><box label="cat" xtl="4" ytl="5" xbr="20"'
    ' ybr="25"/></image>'
    for name in ("a.png", "../out/x.png")
)
COORDINATES = {"x": 12, "y": 15, "width": 16, "height": 20}
CREATEML = [
    {"image": name, "annotations": [{"label": "cat", "coordinates": COORDINATES}]}
    for name in ("a.png", "../out/x.png")
]
LABELSTUDIO = [
    {
        "data": {"image": name},
        "annotations": [{"result": [{"value": {**COORDINATES, "rectanglelabels": ["cat"]}}]}],
    }
    for name in ("a.png", "../out/x.png")
]
LABELME = {"shapes": [{"label": "cat", "points": [[4, 5], [20, 25]], "shape_type": "rectangle"}]}
VIA = {
    name: {
        "filename": name,
        "regions": [
            {
                "shape_attributes": {"name": "rect", "x": 4, "y": 5, "width": 16, "height": 20},
                "region_attributes": {"class": "cat"},
            }
        ],
    }
    for name in ("a.png", "../out/x.png")
}
SETS = {
    "cvat": ({"annotations.xml": f"<annotations>{CVAT}</annotations>"}, ""),
    "createml": ({"a.json": json.dumps(CREATEML)}, ""),
    "labelstudio": ({"a.json": json.dumps(LABELSTUDIO)}, "--class cat"),
    "labelme": (
        {
            "a.json": json.dumps(LABELME | {"imagePath": "a.png"}),
            "b.json": json.dumps(LABELME | {"imagePath": "../out/x.png"}),
        },
        "",
    ),
    "via": ({"a.json": json.dumps(VIA)}, ""),
    "voc": ({"a.xml": XML, "list": "a.png a.xml\n../out/x.png ../out/x.xml\n"}, "--list set/list"),
    "csv": ({"boxes.csv": f"{TABLE}../out/x.png,{ROW}\n"}, ""),
    "yolo": (
        {"classes.txt": "cat\n", "a.txt": YOLO, "list": "a.png\n../out/x.png\n"},
        "--list set/list",
    ),
    "kitti": (
        {"label_2/a.txt": KITTI, "image_2/a.png": "", "list": "a\n../../out/x\n"},
        "--list set/list",
    ),
    "annoset": (
        {"a.xml": XML, "map": MAP, "list": "a.png a.xml\n../out/x.png ../out/x.xml\n"},
        "--list set/list --labelmap set/map",
    ),
}


@pytest.mark.parametrize("kind", SETS)
def test_lists_and_tables_that_lead_out(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    files, flags = SETS[kind]
    image("set/a.png")
    for name, content in files.items():
        write(f"set/{name}", content)
        if name.endswith(".png"):
            image(f"set/{name}")
    argv = (kind, "set", *flags.split())
    report = said(capsys, *argv)
    assert "images outside the data set's folder: 1 (--confine refuses them)" in report
    report = said(capsys, *argv, "--confine")
    assert "files outside the data set's folder: 1" in report
    assert "out/x.png: is outside set" in report
    assert "1 error, 0 warnings" in report


@pytest.mark.parametrize("by", ["obj.data", "link"])
def test_class_names_from_elsewhere(by: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A data set could put the lines of any file of the reader's into a label map."""
    write("secret", "hunter2\n")
    image("set/a.png")
    write("set/a.txt", YOLO)
    if by == "link":
        Path("set/classes.txt").symlink_to("../secret")
    else:
        write("set/obj.data", "classes = 1\nnames = ../secret\n")
    assert "hunter2 1" in said(capsys, "yolo", "set")
    for flags in ("", "--classes dog"):
        report = said(capsys, "yolo", "set", *flags.split(), "--confine")
        assert ": is outside set; the data set names it for its classes" in report
        assert "hunter2" not in report
    with pytest.raises(CaffeError, match="is outside set"):
        main(["yolo", "set", "--out", "lmdb", "--confine"])
    assert not Path("lmdb").exists()
    assert "hunter2 1" in said(capsys, "yolo", "set", "--names", "secret", "--confine")


def test_a_table_may_be_elsewhere_where_the_user_names_it_but_not_by_a_link(
    capsys: pytest.CaptureFixture[str],
) -> None:
    image("set/a.png")
    write("elsewhere.csv", TABLE)
    assert "nothing is wrong" in said(capsys, "csv", "set", "--list", "elsewhere.csv", "--confine")
    Path("set/boxes.csv").symlink_to("../elsewhere.csv")
    assert "nothing is wrong" in said(capsys, "csv", "set")
    for flags in ("", "--classes cat"):
        report = said(capsys, "csv", "set", *flags.split(), "--confine")
        assert "set/boxes.csv: is outside set; a link of the data set leads there" in report


@pytest.mark.parametrize(
    ("kind", "name"),
    [("widerface", "wider_face_train_bbx_gt.txt"), ("csv", "a.csv"), ("coco", "a.json")],
)
def test_a_file_that_a_link_leads_to_is_not_read(
    kind: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A message could quote its first line."""
    write("secret", "hunter2,x,hunter2\n")
    Path("set").mkdir()
    Path("set", name).symlink_to("../secret")
    assert f"set/{name}:1" in said(capsys, kind, "set")
    report = said(capsys, kind, "set", "--confine").strip()
    assert report == f"set/{name}: is outside set; a link of the data set leads there"
