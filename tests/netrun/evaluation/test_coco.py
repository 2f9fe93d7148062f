"""COCO's metrics: figures by hand, from files and from a test net as it runs."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import lmdb
import pytest
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.text import parse
from data_prep.cli import main as data_prep
from netrun import Net, cli
from netrun.evaluation.coco import CocoMetrics, Collector
from netrun.evaluation.coco_files import read_results, read_truth
from ssd_common.errors import CaffeError, ParseError
from tests.netrun.narrow import train_test_net


def box(image: int, x: float, size: float, category: int = 1) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": [x, 0.0, size, size]}


def truth(*boxes: dict[str, Any], crowds: tuple[int, ...] = ()) -> dict[str, Any]:
    annotations = [
        {
            **copy.deepcopy(b),
            "id": i,
            "area": b["bbox"][2] * b["bbox"][3],
            "iscrowd": int(i in crowds),
        }
        for i, b in enumerate(boxes, 1)
    ]
    return {
        "images": [{"id": 1}, {"id": 2}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }


def scored(b: dict[str, Any], score: float) -> dict[str, Any]:
    return {**b, "score": score}


SMALL, LARGE = box(1, 0, 20), box(2, 0, 200)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            [scored(SMALL, 0.9), scored(LARGE, 0.8)],
            {"AP": 1, "AP50": 1, "APs": 1, "APm": -1, "APl": 1, "AR100": 1},
        ),
        # one of two: precision 1 at the 51 of 101 recalls up to a half
        ([scored(SMALL, 0.9)], {"AP": 51 / 101, "AR1": 0.5, "APs": 1, "APl": 0}),
        # a false one before the two right ones: precision 2/3 at best, everywhere
        (
            [scored(box(1, 100, 30), 0.95), scored(SMALL, 0.9), scored(LARGE, 0.8)],
            {"AP": 2 / 3, "AR1": 0.5, "AR10": 1},
        ),
        # 200 x 160 of 200 x 200 overlap 0.8: right at 7 of the 10 overlaps 0.5, 0.55, ... 0.95
        (
            [scored(SMALL, 0.9), scored({**LARGE, "bbox": [0, 0, 200, 160]}, 0.8)],
            {"AP": 0.7 + 0.3 * 51 / 101, "AP75": 1, "APl": 0.7},
        ),
        ([], {"AP": 0, "AR100": 0, "APm": -1}),
    ],
)
def test_figures_by_hand(found: list[dict[str, Any]], expected: dict[str, float]) -> None:
    metrics = CocoMetrics(truth(SMALL, LARGE), found)
    assert {name: metrics.figures[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert metrics.per_class == pytest.approx({"cat": expected["AP"], "dog": -1})
    assert re.search(
        r"Average Precision +\(AP\) @\[ IoU=0.50:0.95 \| area= +all \| maxDets=100 \] = ",
        metrics.summary,
    )
    assert len(metrics.summary.splitlines()) == 12


def test_a_crowd_may_be_found_or_not() -> None:
    found = [scored(SMALL, 0.9)]
    assert CocoMetrics(truth(SMALL, LARGE, crowds=(2,)), found).figures["AP"] == pytest.approx(1)
    assert CocoMetrics(truth(SMALL, LARGE, crowds=(2,)), [*found, scored(LARGE, 0.99)]).figures[
        "AP"
    ] == pytest.approx(1)


def test_the_command(tmp_path: Path, capsys) -> None:
    (tmp_path / "truth.json").write_text(json.dumps(truth(SMALL, LARGE)))
    (tmp_path / "found.json").write_text(json.dumps([scored(SMALL, 0.9)]))
    assert (
        cli.main(
            [
                "coco",
                str(tmp_path / "found.json"),
                "--annotations",
                str(tmp_path / "truth.json"),
                "--per-class",
            ]
        )
        == 0
    )
    said = capsys.readouterr()
    assert "cat  0.5050" in said.out
    assert "maxDets=100 ] = 0.505" in said.out
    assert "no detections on 1 of the 2 images" in said.err


@pytest.mark.parametrize(
    ("annotations", "results", "said"),
    [
        ("", "[]", "truth.json:1:1: is not JSON"),
        ("[]", "[]", "truth.json: is no COCO annotation file: it has no list 'images'"),
        (json.dumps({**truth(SMALL), "annotations": []}), "[]", "truth.json: has no annotations"),
        (
            json.dumps({**truth(SMALL), "annotations": [{"id": 1}]}),
            "[]",
            r"truth.json: annotations\[0\] has no 'image_id'",
        ),
        (json.dumps(truth(SMALL)), "{}", "found.json: is no COCO result file"),
        (json.dumps(truth(SMALL)), '[{"image_id": 1}]', "found.json: entry 0: a detection has"),
        (
            json.dumps(truth(SMALL)),
            json.dumps([scored(box(9, 0, 1), 1)]),
            "entry 0: image 9 is none of the annotation file's 2",
        ),
        (
            json.dumps(truth(SMALL)),
            json.dumps([scored(SMALL, 1), scored(box(1, 0, 1, 7), 1)]),
            "entry 1: category 7 is none",
        ),
        (
            json.dumps(truth(SMALL)),
            json.dumps([scored(SMALL, float("nan"))]),
            "entry 0: a detection has",
        ),
        (None, "[]", "truth.json: No such file"),
    ],
)
def test_bad_files(tmp_path: Path, annotations: str | None, results: str, said: str) -> None:
    if annotations is not None:
        (tmp_path / "truth.json").write_text(annotations)
    (tmp_path / "found.json").write_text(results)
    with pytest.raises(CaffeError, match=said):
        cli.main(
            ["coco", str(tmp_path / "found.json"), "--annotations", str(tmp_path / "truth.json")]
        )


@pytest.mark.parametrize(
    ("part", "field", "value", "said"),
    [
        ("annotations", "bbox", [0, 0], "bbox should be"),
        ("annotations", "bbox", None, "bbox should be"),
        ("annotations", "bbox", [0, 0, 5, float("nan")], "bbox should be"),
        ("annotations", "bbox", [0, 0, 5, 10**400], "bbox should be"),
        ("annotations", "area", None, "area should be a number, not None"),
        ("annotations", "area", 10**400, "area should be a number, not 1000"),
        ("annotations", "iscrowd", 256, "iscrowd should be 0 or 1, not 256"),
        ("annotations", "iscrowd", "0", "iscrowd should be 0 or 1, not '0'"),
        ("annotations", "id", 10**400, "id should be a number or a text, not 1000"),
        ("annotations", "image_id", [1], r"image_id should be a number or a text, not \[1\]"),
        ("images", "id", {"a": 1}, "id should be a number or a text, not {'a': 1}"),
        ("images", "id", "1", "ids are texts and numbers: '1' and 2"),
        ("categories", "id", "1", "ids are texts and numbers: '1' and 2"),
    ],
)
def test_values_that_are_no_truth(
    tmp_path: Path, part: str, field: str, value: Any, said: str
) -> None:
    spoilt = truth(SMALL)
    spoilt[part][0][field] = value
    file = tmp_path / "truth.json"
    file.write_text(json.dumps(spoilt))
    with pytest.raises(ParseError, match=said):
        read_truth(str(file))


@pytest.mark.parametrize(
    "spoilt",
    [
        {"score": True},
        {"score": 10**400},
        {"bbox": [0, 0, 5, 10**400]},
        {"image_id": [1]},
        {"category_id": {}},
    ],
)
def test_values_that_are_no_detection(tmp_path: Path, spoilt: dict[str, Any]) -> None:
    file = tmp_path / "found.json"
    file.write_text(json.dumps([{**scored(SMALL, 0.5), **spoilt}]))
    with pytest.raises(ParseError, match="entry 0: a detection has image_id"):
        read_results(str(file), truth(SMALL))


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "truth.json"
    file.write_text("[" * 200_000)
    with pytest.raises(ParseError, match="nested too deeply"):
        read_truth(str(file))


def test_ids_of_annotations_do_not_matter() -> None:
    """COCOeval alone takes the object with the id 0 for one that nobody found."""
    counted_from_0 = truth(SMALL, LARGE)
    for i, annotation in enumerate(counted_from_0["annotations"]):
        annotation["id"] = i
    found = [scored(SMALL, 0.9), scored(LARGE, 0.8)]
    assert CocoMetrics(counted_from_0, found).figures["AP"] == pytest.approx(1)


@pytest.fixture
def detector(tmp_path: Path, monkeypatch) -> pb.NetParameter:
    monkeypatch.chdir(tmp_path)
    data_prep(["shapes", "--out", "data", "--train", "2", "--test", "5", "--size", "96"])
    return parse(train_test_net("data/train_lmdb", "data/test_lmdb"), pb.NetParameter)


def test_a_net_as_it_runs(detector: pb.NetParameter) -> None:
    """Its detections replaced by the truth itself, and by the truth moved away: each of five images
    counts once in three batches of 2.
    """
    for shift, expected in ((0.0, 1.0), (0.9, 0.0)):
        net = Net(detector, pb.TEST)
        collector = Collector(net, {1: "first"})
        for batch in range(3):
            net.run()
            rows = net.blobs["label"].tensor.reshape(-1, 8)
            found = torch.cat(
                [rows[:, :2], torch.full((len(rows), 1), 0.5), (rows[:, 3:7] + shift).clamp(max=1)],
                1,
            )
            net.blobs["detection_out"].tensor = found[None, None]
            collector.take(batch)
        net.close()
        metrics = collector.metrics()
        assert metrics.figures["AP"] == pytest.approx(expected)
        assert {t["image_id"] for t in collector.truth} == set(range(5))
        drawn = [line.split() for line in Path("data/test_name_size.txt").read_text().splitlines()]
        assert all(
            collector.sizes[i] == (int(height), int(width))
            for i, (_, height, width) in enumerate(drawn)
            if i in collector.sizes
        )
        width = collector.truth[0]["bbox"][2]
        assert width == pytest.approx(
            round(width), abs=1e-3
        )  # pixels of the drawn image, not of the net's input


def test_what_it_looks_at_is_not_let_go_of(detector: pb.NetParameter) -> None:
    """netrun test keeps no blobs; a net that has learned nothing sees every class everywhere."""
    net = Net(detector, pb.TEST, keep_blobs=False)
    collector = Collector(net, {})
    net.run()
    collector.take(0)
    net.close()
    assert {d["category_id"] for d in collector.detections} <= set(range(1, 6))
    assert max(d["score"] for d in collector.detections) > 0.01
    assert not net.blobs["conf_soft"].tensor.any()


@pytest.mark.parametrize("whole", [False, True], ids=["nothing", "half a JPEG"])
def test_a_corrupt_record_does_not_count(detector: pb.NetParameter, whole: bool) -> None:
    """Its neighbour is taken in its place, and counts once all the same."""
    with lmdb.open("data/test_lmdb", map_size=1 << 26) as db, db.begin(write=True) as transaction:
        first = pb.AnnotatedDatum.FromString(next(iter(transaction.cursor()))[1])
        first.datum.data = first.datum.data[: len(first.datum.data) // 2]
        transaction.put(b"00000000_bad", first.SerializeToString() if whole else b"\xff")
    net = Net(detector, pb.TEST)
    collector = Collector(net, {})
    for batch in range(3):
        net.run()
        collector.take(batch)
    net.close()
    whole_ones = {i for i, key in enumerate(collector.reader.keys) if not key.endswith(b"_bad")}
    assert {entry["image_id"] for entry in collector.truth} == whole_ones
    assert {entry["image_id"] for entry in collector.detections} <= whole_ones
    assert len(collector.metrics().summary.splitlines()) == 12


def test_the_test_command_prints_them(detector: pb.NetParameter, capsys) -> None:
    Path("test.prototxt").write_text(
        train_test_net("data/train_lmdb", "data/test_lmdb", "data/labelmap.prototxt")
    )
    Net("test.prototxt", pb.TEST).save("n.caffemodel")
    assert (
        cli.main(["test", "--model", "test.prototxt", "--weights", "n.caffemodel", "--coco"]) == 0
    )
    assert len(re.findall(r"Average (?:Precision|Recall)", capsys.readouterr().out)) == 12


def test_nets_that_have_none(detector: pb.NetParameter) -> None:
    padded, cropped = copy.deepcopy(detector), copy.deepcopy(detector)
    for pads, crops in zip(padded.layer, cropped.layer, strict=True):
        if pads.type == "AnnotatedData":
            pads.transform_param.resize_param.resize_mode = (
                pb.ResizeParameter.FIT_LARGE_SIZE_AND_PAD
            )
            crops.transform_param.crop_size = 64
    for net in (padded, cropped):
        with pytest.raises(CaffeError, match=r"need resize_mode WARP and no crop.*netrun coco"):
            Collector(Net(net, pb.TEST), {})
    with pytest.raises(CaffeError, match="need an AnnotatedData and a DetectionEvaluate layer"):
        Collector(Net(detector, pb.TRAIN), {})
