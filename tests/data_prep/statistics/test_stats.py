"""stats: counts by hand, clusters; prior boxes and overlaps equal netrun's to the last bit."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
import torch

import data_prep
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.phase import filter_net
from caffe_ir.walk import walk
from data_prep.cli import main
from data_prep.statistics import clusters, object_table, prior_coverage, tables
from data_prep.statistics.stats import stats
from netrun import Net
from netrun.data.boxes import Annotations
from netrun.data.resize import Resize
from netrun.detection.boxes import iou
from netrun.layers import Context, create
from tests.data_prep.support import BCCD, XML, build, refused
from tests.support import ROOT, needs_shared


def rows(shown: str, heading: str) -> list[list[str]]:
    """The rows below a heading of what stats printed, without the names of the columns."""
    block = next(b for b in shown.split("\n\n") if b.startswith(heading))
    return [line.split() for line in block.splitlines()[2:]]


@pytest.fixture
def three(folder: Path) -> Path:
    """Images of 64x48 with a cat of 16x20 each, the second also with a dog of 60x36."""
    dog = (
        XML.split("</size>")[1]
        .replace("{name}", "dog")
        .replace("<xmin>4", "<xmin>0")
        .replace("<ymin>5", "<ymin>0")
    )
    file = folder / "Annotations/1.xml"
    dog = dog.replace("<xmax>20", "<xmax>60").replace("<ymax>25", "<ymax>36")
    file.write_text(file.read_text().replace("</annotation>", dog))
    return folder


def test_tables(three: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(three, out)
    capsys.readouterr()
    main(["stats", "lmdb", str(out)])
    shown = capsys.readouterr().out
    main(["stats", "voc", str(three)])
    assert capsys.readouterr().out == shown
    assert shown.startswith(
        "3 images, 4 objects of 2 classes; 1.3 objects per image, 2 at most, 0 images without\n"
    )
    # √(16 x 20) = 17.89, √(60 x 36) = 46.48
    assert rows(shown, "classes") == [
        ["cat", "3", "75.0", "%", "3", "17.89"],
        ["dog", "1", "25.0", "%", "1", "46.48"],
    ]
    assert rows(shown, "objects per image") == [["1", "2", "66.7", "%"], ["2", "1", "33.3", "%"]]
    sizes = {row[0]: row[-3] for row in rows(shown, "size")}
    assert {name for name, count in sizes.items() if count != "0"} == {
        "small",
        "medium",
        "16-32",
        "32-64",
    }
    assert (sizes["small"], sizes["medium"], sizes["16-32"], sizes["32-64"]) == ("3", "1", "3", "1")
    shapes = [row[-3] for row in rows(shown, "shape")]
    assert shapes == ["0", "0", "0", "3", "0", "1", "0", "0"]  # 16:20 = 1:1.25 and 60:36 = 1.67:1
    # In the square: 16/64 x 20/48 = 25 x 41.67 %, and 60/64 x 36/48 = 93.75 x 75 %
    assert rows(shown, "clusters") == [
        ["1", "75.0", "%", "25.00", "41.67", "0.60", "1.67"],
        ["2", "25.0", "%", "93.75", "75.00", "1.25", "1.25"],
    ]


@needs_shared
def test_bccd_against_ssd300(capsys: pytest.CaptureFixture[str]) -> None:
    main(["stats", "voc", str(BCCD), "--net", "ssd300_voc0712"])
    shown = capsys.readouterr().out
    summary = (
        "364 images, 4888 objects of 3 classes; "
        "13.4 objects per image, 30 at most, 0 images without"
    )
    assert summary in shown
    assert [row[:2] for row in rows(shown, "classes")] == [
        ["RBC", "4155"],
        ["WBC", "372"],
        ["Platelets", "361"],
    ]
    table = rows(shown, "8732 prior boxes of ssd300_voc0712 over 4888 objects")
    assert table[0][:5] == ["all", "4888", "0.70", "96.2", "%"]
    # Too small for any prior box.
    small = next(row for row in table if row[0] == "8-16")
    assert small[1:5] == ["15", "0.25", "0.0", "%"]


def test_nothing_to_count(folder: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in (folder / "Annotations").iterdir():
        file.write_text("<annotation/>")
    assert refused(capsys, "stats", "voc", folder) == "3 images, and not one object"
    for file in (folder / "Annotations").iterdir():
        file.write_text("<annotation>")
    assert refused(capsys, "stats", "voc", folder).startswith(
        "0 images, and not one object; 3 left out that cannot be read, or their ann"
    )


def test_what_cannot_be_read_is_counted(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (three / "JPEGImages/0.jpg").write_bytes(b"no image")
    (three / "Annotations/2.xml").write_text("<annotation>")
    main(["stats", "voc", str(three)])
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("1 images, 2 objects of 2 classes;")
    assert first.endswith(
        "; 2 left out that cannot be read, or their annotations (data_prep check says why)"
    )


@pytest.mark.parametrize(
    ("nets", "suffix"),
    [(["fssd_tiny_shapes"], ".png"), (["fssd_tiny_shapes", "ssd300"], ".pdf"), ([], ".svg")],
)
def test_picture(
    three: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], nets: list[str], suffix: str
) -> None:
    out = tmp_path / f"stats{suffix}"
    main(["stats", "voc", str(three), "--out", str(out), *(f"--net={net}" for net in nets)])
    assert capsys.readouterr().out.endswith(f"\n{out}\n")
    if suffix == ".png":
        assert cv2.imread(str(out)).shape == (825, 1430, 3)
    assert out.stat().st_size > 20_000


def test_sizes_that_the_datum_does_not_say(
    three: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(three, out)
    main(["stats", "lmdb", str(out)])
    said = capsys.readouterr().out.split("\n", 1)[1]
    with (
        lmdb.open(str(out), map_size=1 << 26, lock=False) as db,
        db.begin(write=True) as transaction,
    ):
        for key, value in list(transaction.cursor()):
            record = pb.AnnotatedDatum.FromString(value)
            record.datum.ClearField("height")
            transaction.put(key, record.SerializeToString())
    main(["stats", "lmdb", str(out)])
    assert capsys.readouterr().out == said
    main(["verify", str(out)])
    assert capsys.readouterr().out.endswith("\nnothing is wrong\n")


def test_plain_datums_are_told(three: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(three, out)
    with (
        lmdb.open(str(out), map_size=1 << 26, lock=False) as db,
        db.begin(write=True) as transaction,
    ):
        transaction.put(
            b"00000001_JPEGImages/1.jpg",
            pb.Datum(channels=3, height=8, width=8, data=b"x", label=2).SerializeToString(),
        )
    said = f"{out}: record 00000001_JPEGImages/1.jpg is no AnnotatedDatum"
    capsys.readouterr()
    assert refused(capsys, "stats", "lmdb", out) == said
    assert refused(capsys, "verify", out) == "1 error, 0 warnings"


def test_bad_flags(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "stats", "voc", three, "--net", "ssd300_voc071").startswith(
        "no detector 'ssd300_voc071'"
    )
    assert refused(capsys, "stats", "voc", three, "--net", three / "net.prototxt").startswith(
        f"{three}/net.prototxt: No such file"
    )
    deploy = ROOT / "prototxt/ssd300_voc0712/deploy.prototxt"
    headless = three / "net.prototxt"
    headless.write_text(deploy.read_text().split('name: "conv4_3_norm"')[0].rsplit("layer {", 1)[0])
    assert (
        refused(capsys, "stats", "voc", three, "--net", headless)
        == f"{headless}: a net without PriorBox layers"
    )
    capsys.readouterr()
    assert (
        refused(capsys, "stats", "voc", three, "--out", "x.bmp", status=2)
        == "x.bmp: no picture's name; use .png, .svg or .pdf; see data_prep stats voc --help"
    )


def test_a_net_is_refused_before_data_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (("voc", "nowhere"), ("lmdb", "nowhere")):
        said = refused(capsys, "stats", *argv, "--net", "ssd300_voc071")
        assert said.startswith("no detector 'ssd300_voc071'")


def test_nets_may_be_read_before(three: Path) -> None:
    source = data_prep.open_source("voc", three)
    name = "ssd300_voc0712"
    read = prior_coverage.read_net(name)
    assert str(stats(source, nets=[read])) == str(stats(source, nets=[name]))


# ---- Clusters


def test_kmeans_is_the_best_there_is() -> None:
    """Against every way to cut sorted values into three parts."""
    values = np.sort(np.random.default_rng(3).gamma(2, size=40))

    def spread(cut: tuple[int, ...]) -> float:
        parts = np.split(values, cut)
        return sum(float(((part - part.mean()) ** 2).sum()) for part in parts)

    best = min(map(spread, combinations(range(1, len(values)), 2)))
    centres, error = clusters.kmeans(values, 3)
    assert error == pytest.approx((np.abs(values[:, None] - centres).min(1) ** 2).sum())
    assert best <= error * 1.000001 <= 1.05 * best  # Lloyd's ends in a local minimum


def test_clusters_grow_while_they_pay() -> None:
    # Two centres of 0 0 10 10 20 20: 5 and 20 (or 0 and 15), error 4 * 25 = 100; three have none.
    np.testing.assert_allclose(clusters.grow(np.array([20.0, 0, 10, 0, 20, 10])), [0, 10, 20])
    # 0 0 2 2 | 100 100 102 102: two centres leave 8 * 1 = 8; a third halves that
    # (it splits one pair of pairs), and a fourth ends it.
    np.testing.assert_allclose(
        clusters.grow(np.array([0.0, 0, 2, 2, 100, 100, 102, 102])), [0, 2, 100, 102]
    )
    assert len(clusters.grow(np.full(9, 3.0))) == 1


def test_ratios_are_found_again() -> None:
    square = (0.2, 0.2)
    tall = (0.1, 0.3)
    wide = (0.4, 0.2)
    assert clusters.ratios(np.array([square] * 50)) == ([], 1.0)
    found = clusters.ratios(np.array([square] * 40 + [tall] * 30 + [wide] * 30))
    assert found.values == [2.0, 3.0]
    assert found.fit == pytest.approx(1)
    # Square priors alone: a 1:2 box of area 2 within √2 x √2 has 1 x √2 in common,
    # √2 / (4 - √2) = 0.547.
    assert clusters.fit(np.array([wide]), []) == pytest.approx(2**0.5 / (4 - 2**0.5))


# ---- Prior boxes


@pytest.mark.parametrize(
    "zoo_id",
    ["ssd300_voc0712", "ssd512_coco", "dssd321_voc0712", "dsod300_voc0712_release", "ppn300_coco"],
)
def test_prior_boxes_are_netruns(zoo_id: str) -> None:
    ours = prior_coverage.read_net(zoo_id)
    deploy = ROOT / f"prototxt/{zoo_id}/deploy.prototxt"
    names = []
    for step in walk(filter_net(text.read_net(deploy), pb.TEST)).layers:
        if step.layer.type == "PriorBox":
            layer = create(step.layer, step.facts, Context(pb.TEST, torch.device("cpu")))
            [top] = layer.forward([torch.empty(0, *shape[1:]) for shape in step.bottoms])
            np.testing.assert_array_equal(ours.maps[step.layer.name].ravel(), top[0, 0].numpy())
            names.append(step.layer.name)
    assert names == list(ours.maps)
    assert prior_coverage.read_net(str(deploy)).boxes.tobytes() == ours.boxes.tobytes()


def test_prior_boxes_of_a_net_that_ran() -> None:
    net = Net(str(ROOT / "prototxt/fssd_tiny_shapes/deploy.prototxt"), pb.TEST)
    net.forward(data=np.zeros(net.blobs["data"].shape, np.float32))
    ours = prior_coverage.read_net("fssd_tiny_shapes")
    np.testing.assert_array_equal(ours.boxes.ravel(), net.blobs["mbox_priorbox"].data[0, 0])


def test_prior_boxes_without_an_image(tmp_path: Path) -> None:
    prototxt = """
    layer {
      name: "f" type: "Input" top: "f" input_param { shape { dim: 1 dim: 8 dim: 2 dim: 4 } }
    }
    layer {
      name: "p" type: "PriorBox" bottom: "f" top: "p"
      prior_box_param { min_size: 10 img_h: 100 img_w: 200 }
    }
    """
    (tmp_path / "net.prototxt").write_text(prototxt)
    net = prior_coverage.read_net(str(tmp_path / "net.prototxt"))
    assert (net.width, net.height) == (200, 100)
    # Centres 25, 75, 125, 175 across and 25, 75 down; 10 of 200 is 0.05, and 10 of 100 is 0.1.
    np.testing.assert_allclose(
        net.boxes[[0, 5]], [[0.1, 0.2, 0.15, 0.3], [0.35, 0.7, 0.4, 0.8]], rtol=1e-6
    )


def test_overlaps_are_netruns() -> None:
    net = prior_coverage.read_net("fssd_tiny_shapes")
    corners = np.sort(np.random.default_rng(0).random((50, 2, 2)), axis=1).reshape(50, 4)
    corners[7] = net.boxes[1234].astype(float)
    found = prior_coverage.cover(corners, net)
    table = iou(torch.from_numpy(corners).float(), torch.from_numpy(net.boxes)).numpy()
    np.testing.assert_allclose(found.best, table.max(1), rtol=1e-5)
    np.testing.assert_array_equal(found.matched, (table >= 0.5).sum(1))
    assert found.best[7] == pytest.approx(1)
    ends = np.cumsum([len(b) for b in net.maps.values()])
    np.testing.assert_array_equal(found.map, (table.argmax(1)[:, None] >= ends).sum(1))


@pytest.mark.parametrize("mode", ["WARP", "FIT_LARGE_SIZE_AND_PAD"])
def test_boxes_at_the_input_are_netruns(mode: str) -> None:
    param = pb.ResizeParameter(
        prob=1, height=200, width=300, resize_mode=pb.ResizeParameter.Resize_mode.Value(mode)
    )
    net = prior_coverage.NetPriors("net", {}, 300, 200, param)
    corners = np.array([[0.1, 0.2, 0.5, 0.9], [0, 0, 1, 1]])
    for width, height in ((640, 480), (100, 400), (300, 200)):
        ours = prior_coverage.at_input(corners, np.array([[width, height]] * 2, float), net)
        annotations = Annotations(
            corners.astype(np.float32), np.full(2, np.nan, np.float32), np.zeros((2, 3), np.float32)
        )
        np.testing.assert_allclose(
            ours, Resize(param).boxes(annotations, width, height).boxes, atol=1e-6
        )


def test_a_sample_stands_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    corners = np.sort(draw.random((400, 2, 2)), axis=1).reshape(400, 4)
    many = object_table.ObjectTable(
        ["a"], np.full((400, 2), 300.0), np.arange(400), np.zeros(400, int), corners
    )
    monkeypatch.setattr(tables, "SAMPLE", 100)
    found = tables.covered(many, prior_coverage.read_net("fssd_tiny_shapes"))
    assert len(found.cover.best) == len(found.in_image) == 100
    assert "over 100 objects of 400, drawn at random" in found.tables[0].title
