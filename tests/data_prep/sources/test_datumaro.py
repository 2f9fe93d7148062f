"""Formats that Datumaro reads: its writers' files give the same boxes; what it cannot is said."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest

import data_prep
from caffe_ir import caffe_ir_pb2 as pb
from data_prep.cli import main
from data_prep.sources import open_source
from data_prep.writers.formats import FORMATS
from tests.data_prep.conversions import read, said
from tests.data_prep.support import records, refused, voc_folder

BOXES = [("car", [1, 2, 20, 30.25]), ("van", [5, 6, 64, 48])]


def library() -> Any:
    return pytest.importorskip("datumaro", reason="Datumaro is not installed: the extra [formats]")


@pytest.fixture
def dataset(tmp_path: Path, jpeg: bytes) -> Any:
    """Datumaro's data set of one image with two boxes, the second difficult, and a point."""
    datumaro = library()
    (tmp_path / "a.jpg").write_bytes(jpeg)
    shapes: list[Any] = []
    for index, (_, (xmin, ymin, xmax, ymax)) in enumerate(BOXES):
        sides = (xmax - xmin, ymax - ymin)
        attributes = {"is_crowd": False, "difficult": index == 1, "occluded": index == 0}
        box = datumaro.Bbox(xmin, ymin, *sides, label=index, attributes=attributes)
        shapes.append(box)
    image = datumaro.Image.from_file(path=str(tmp_path / "a.jpg"))
    item = datumaro.DatasetItem("a", subset="train", media=image, annotations=shapes)
    return datumaro.Dataset.from_iterable([item], categories=["car", "van"])


def boxes(source: Any, listed: str | None = None) -> list[tuple]:
    [objects] = read(source, listed).values()
    return [(name, list(box)) for name, _, *box in objects]


@pytest.mark.parametrize("name", ["datumaro", "cvat", "coco_instances", "vott_like", "label_me"])
def test_boxes_of_its_formats(name: str, dataset: Any, tmp_path: Path) -> None:
    root = tmp_path / "out"
    if name == "vott_like":  # Datumaro only reads it
        name = "vott_json"
        write_vott(root, tmp_path / "a.jpg")
    else:
        dataset.export(str(root), name, save_media=True)
    source = open_source("datumaro", root, format=name)
    assert sorted(boxes(source)) == BOXES
    assert source.classes == ["car", "van"]
    for item in source.items():
        assert (source.root / item.image).is_file()


def write_vott(root: Path, image: Path) -> None:
    root.mkdir()
    (root / "a.jpg").write_bytes(image.read_bytes())
    regions = []
    for name, (xmin, ymin, xmax, ymax) in BOXES:
        box = {"left": xmin, "top": ymin, "width": xmax - xmin, "height": ymax - ymin}
        regions.append({"id": name, "type": "RECTANGLE", "tags": [name], "boundingBox": box})
    whole = {
        "name": "mine",
        "tags": [{"name": name} for name, _ in BOXES],
        "assets": {
            "1": {
                "asset": {"id": "1", "name": "a.jpg", "path": "file:/home/me/a.jpg"},
                "regions": regions,
            }
        },
    }
    (root / "mine-export.json").write_text(json.dumps(whole))


def test_mot_is_found_by_itself_and_builds(dataset: Any, tmp_path: Path, jpeg: bytes) -> None:
    root = tmp_path / "mot"
    for folder in ("gt", "img1"):
        (root / folder).mkdir(parents=True)
    (root / "img1/000001.jpg").write_bytes(jpeg)
    (root / "gt/labels.txt").write_text("person\ncar\n")
    # Frame, track, box, counts or not, class (from 1), visibility.
    (root / "gt/gt.txt").write_text("1,1,5,6,20,30,1,1,1\n1,2,8,9,10,10,0,2,0.5\n")
    for options in ({}, {"format": "mot"}):
        source = open_source("datumaro", root, **options)
        [objects] = read(source).values()
        assert sorted(objects) == [("car", True, 8, 9, 18, 19), ("person", False, 5, 6, 25, 36)]
    main(["datumaro", str(root), "--out", str(tmp_path / "lmdb")])
    [(key, value)] = records(tmp_path / "lmdb").items()
    assert key == b"00000000_img1/000001.jpg"
    record = pb.AnnotatedDatum.FromString(value)
    assert record.datum.data == jpeg
    assert len(record.annotation_group) == 2


def test_outlines_points_and_difficult_objects(dataset: Any, tmp_path: Path) -> None:
    datumaro = library()
    [item] = dataset
    parts = [[1, 1, 9, 1, 9, 9], [20, 20, 30, 20, 30, 40]]
    for points in parts:
        item.annotations.append(datumaro.Polygon(points, label=0, id=7, group=7))
    item.annotations.append(datumaro.Points([3, 4], label=1))
    item.annotations.append(datumaro.Label(0))
    dataset.export(str(tmp_path / "out"), "datumaro", save_media=True)
    source = open_source("datumaro", tmp_path / "out", format="datumaro")
    [objects] = read(source, "train").values()
    assert ("car", False, 1, 1, 30, 40) in objects
    assert len(objects) == 3
    assert [found[1] for found in objects if found[0] == "van"] == [True]
    [item] = source.items()
    remarks = {(remark.kind, remark.subject) for remark in source.read(item).remarks}
    assert remarks == {("enclosed", "polygon"), ("left-out", "points"), ("left-out", "label")}
    source = open_source("datumaro", tmp_path / "out", difficult_if="occluded", format="datumaro")
    [objects] = read(source).values()
    assert [found[1] for found in objects if found[0] == "car"].count(True) == 1


def test_images_inside_other_files(dataset: Any, tmp_path: Path) -> None:
    root = tmp_path / "out"
    dataset.export(str(root), "arrow", save_media=True)
    source = open_source("datumaro", root, format="arrow")
    assert said(source.items).endswith("--unpack FOLDER writes them there")
    source = open_source("datumaro", root, format="arrow", unpack=tmp_path / "unpacked")
    assert sorted(boxes(source)) == BOXES
    [item] = source.items()
    image = cv2.imread(str(source.root / item.image))  # Datumaro's writer makes it a PNG
    assert (image == cv2.imread(str(tmp_path / "a.jpg"))).all()


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    library()
    (tmp_path / "gt").mkdir()
    (tmp_path / "gt/gt.txt").write_text("1,x\n")
    fault = said(lambda: open_source("datumaro", tmp_path, format="mot").items())
    assert fault.startswith(f"{tmp_path}: Datumaro cannot read it as mot_seq: ")
    fault = said(lambda: open_source("datumaro", tmp_path, format="vot_json"))
    assert fault == "Datumaro has no format 'vot_json' (did you mean 'vott_json'?)"
    (tmp_path / "empty").mkdir()
    fault = said(lambda: open_source("datumaro", tmp_path / "empty"))
    assert fault.endswith("none of its formats; name one with --format")
    fault = said(lambda: open_source("datumaro", tmp_path / "none"))
    assert fault == f"{tmp_path}/none: no such folder or file"


@pytest.mark.parametrize("name", FORMATS)
def test_it_reads_what_export_writes(name: str, tmp_path: Path, jpeg: bytes) -> None:
    library()
    main(["voc", str(voc_folder(tmp_path / "voc", jpeg)), "--out", str(tmp_path / "train_lmdb")])
    data_prep.export(tmp_path / "train_lmdb", tmp_path / "out", format=name)
    found = read(open_source("datumaro", tmp_path / "out", format=name), "train")
    assert {Path(image).name: objects for image, objects in found.items()} == {
        f"{i}.jpg": [("cat", False, 4, 5, 20, 25)] for i in range(3)
    }


def test_without_datumaro_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "datumaro", None)
    error = refused(capsys, "datumaro", tmp_path, "--format", "mot", "--out", tmp_path / "x")
    assert error == "data_prep datumaro needs Datumaro: pip install 'ssd-zoo[formats]'"
