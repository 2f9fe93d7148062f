"""COCO's metrics by size: with the areas of an annotation file, while a test net runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import dataset_file
from caffe_ir.text import parse
from data_prep.cli import main as data_prep
from netrun import Net, cli
from netrun.evaluation.coco import BOX_AREAS, CocoMetrics, Collector
from netrun.evaluation.coco_files import read_truth
from netrun.evaluation.coco_truth import Truth
from ssd_common.errors import CaffeError
from tests.netrun.narrow import train_test_net

NAMES = {1: "cat", 2: "dog"}


def annotation(number: int, image: int, box: list[int], area: float, crowd: int = 0) -> dict:
    return {
        "id": number,
        "image_id": image,
        "category_id": 10 * (1 + number % 2),
        "bbox": box,
        "area": area,
        "iscrowd": crowd,
    }


# Boxes of 40x40 and 100x100 pixels are medium and large; outlines of 900 and 5000 pixels small and
# medium.
TRUTH: dict[str, Any] = {
    "images": [
        {"id": 70 + i, "file_name": f"picture{i}.jpg", "height": 120, "width": 160}
        for i in range(4)
    ],
    "annotations": [
        annotation(1, 71, [0, 0, 40, 40], 900),
        annotation(2, 72, [10, 10, 100, 100], 5000),
        annotation(3, 73, [10, 10, 100, 100], 9990),
        annotation(4, 73, [0, 0, 8, 8], 60, crowd=1),
    ],
    "categories": [{"id": 10, "name": "cat"}, {"id": 20, "name": "dog"}],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """COCO files for training and tests, and the data set that data_prep makes of them."""
    monkeypatch.chdir(tmp_path)
    Path("coco/annotations").mkdir(parents=True)
    for i in range(4):
        cv2.imwrite(f"coco/picture{i}.jpg", np.full((120, 160, 3), 40 * i, np.uint8))
    for split in ("train", "val"):
        Path(f"coco/annotations/instances_{split}.json").write_text(json.dumps(TRUTH))
    lists = ["--train-list", "train", "--test-list", "val"]
    data_prep(["coco", "coco", "--out", "made", *lists])
    return tmp_path


def collected(annotations: str | None = None) -> CocoMetrics:
    """The metrics of detections that are the LMDB's own objects."""
    net = Net(parse(train_test_net("made/train_lmdb", "made/test_lmdb"), pb.NetParameter), pb.TEST)
    collector = Collector(net, NAMES, annotations)
    for batch in range(2):
        net.run()
        rows = net.blobs["label"].tensor.reshape(-1, 8)
        score = torch.full((len(rows), 1), 0.5)
        found = torch.cat([rows[:, :2], score, rows[:, 3:7]], 1)
        net.blobs["detection_out"].tensor = found[None, None]
        collector.take(batch)
    net.close()
    return collector.metrics()


def by_size(metrics: CocoMetrics) -> list[bool]:
    """Whether there are small, medium and large objects."""
    return [metrics.figures[name] >= 0 for name in ("APs", "APm", "APl")]


def test_areas_of_the_file_that_dataset_json_names(folder: Path) -> None:
    about = dataset_file.read("made")
    assert about.annotations == "../coco/annotations/instances_val.json"
    metrics = collected()
    assert by_size(metrics) == [True, True, True]
    assert metrics.images == 4, "the image without objects counts"
    # The same figures as from a result file.
    found = []
    for entry in TRUTH["annotations"]:
        fields = ("image_id", "category_id", "bbox")
        found.append({name: entry[name] for name in fields} | {"score": 0.5})
    expected = CocoMetrics(read_truth("coco/annotations/instances_val.json"), found)
    assert metrics.figures == pytest.approx(expected.figures)


def test_areas_of_boxes_without_it(folder: Path) -> None:
    Path("coco/annotations/instances_val.json").unlink()
    metrics = collected()
    assert by_size(metrics) == [False, True, True]
    assert metrics.areas == BOX_AREAS


def test_an_annotation_file_by_flag(folder: Path, capsys: pytest.CaptureFixture) -> None:
    Path("made/dataset.json").unlink()
    Path("test.prototxt").write_text(
        train_test_net("made/train_lmdb", "made/test_lmdb", "made/labelmap.prototxt")
    )
    Net("test.prototxt", pb.TEST).save("n.caffemodel")
    command = ["test", "--model", "test.prototxt", "--weights", "n.caffemodel", "--coco"]
    file = "coco/annotations/instances_train.json"
    assert cli.main([*command, "--annotations", file]) == 0
    output = capsys.readouterr().out
    assert f"large by the areas of outlines, from {file}" in output
    small = re.findall(r"area= small .* = (\S+)", output)
    assert "-1.000" not in small
    assert len(small) == 2
    assert cli.main(command) == 0
    output = capsys.readouterr().out
    assert f"large by the areas {BOX_AREAS}" in output
    assert re.findall(r"area= small .* = (\S+)", output) == ["-1.000", "-1.000"]


@pytest.mark.parametrize(
    ("part", "field", "value", "said"),
    [
        ("images", "file_name", "other.jpg", "no image has the name of record 00000000_picture0.j"),
        ("categories", "name", "tiger", "no category 'cat' \\(label 1\\)"),
    ],
)
def test_a_file_of_other_images(folder: Path, part: str, field: str, value: str, said: str) -> None:
    """Given by flag it is refused before the test; in dataset.json it is left alone."""
    changed = json.loads(json.dumps(TRUTH))
    changed[part][0][field] = value
    Path("coco/annotations/instances_val.json").write_text(json.dumps(changed))
    with pytest.raises(CaffeError, match=said):
        collected("coco/annotations/instances_val.json")
    assert collected().areas == BOX_AREAS


def test_images_of_one_name_in_several_folders(tmp_path: Path) -> None:
    names = ["a/1.jpg", "b/1.jpg", "c\\2.jpg", "3.jpg", "image_4.jpg", "0_5.jpg"]
    images = [{"id": 10 + i, "file_name": name} for i, name in enumerate(names)]
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(TRUTH | {"images": images}))
    truth = Truth(path)
    keys = [b"00000000_b/1.jpg", b"00000001_d/a/1.jpg", b"00000002_2.jpg", b"00000003_d/3.jpg"]
    assert [truth.image(key) for key in keys] == [11, 10, 12, 13]
    other_tools = [b"image_4.jpg", b"0_5.jpg", b"00000005_0_5.jpg"]
    assert [truth.image(key) for key in other_tools] == [14, 15, 15]
    with pytest.raises(CaffeError, match="several images have the name of record 00000004_e"):
        truth.image(b"00000004_e/1.jpg")


@pytest.mark.parametrize("flags", [["--classes", "cat"], ["--test-list", "none"]])
def test_other_data_sets_name_no_file(folder: Path, flags: list[str]) -> None:
    """A selection of classes is not the file's truth."""
    if flags[0] == "--test-list":
        data_prep(["shapes", "--out", "other", "--train", "2", "--test", "2", "--size", "64"])
    else:
        lists = ["--train-list", "train", "--test-list", "val"]
        data_prep(["coco", "coco", "--out", "other", *lists, *flags])
    assert "annotations" not in json.loads(Path("other/dataset.json").read_text())
