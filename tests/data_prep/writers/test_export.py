"""LMDBs written out as VOC, COCO and YOLO: built again they are the same; losses are said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

import data_prep
from caffe_ir import caffe_ir_pb2 as pb
from data_prep.cli import main
from data_prep.writers.formats import FORMATS
from data_prep.writers.formats.pixels import centre_and_length, length, pixel
from tests.data_prep.support import records, refused

# A class of two words and quotes, boxes beyond the image and without area.
XML = """<annotation><size><width>64</width><height>48</height><depth>3</depth></size>
<object><name>it's a "dog" &amp; é</name><difficult>1</difficult>
 <bndbox><xmin>1</xmin><ymin>2</ymin><xmax>63</xmax><ymax>48</ymax></bndbox></object>
<object><name>cat</name>
 <bndbox><xmin>7</xmin><ymin>11</ymin><xmax>7</xmax><ymax>13</ymax></bndbox></object>
<object><name>it's a "dog" &amp; é</name>
 <bndbox><xmin>-3</xmin><ymin>0</ymin><xmax>70</xmax><ymax>31</ymax></bndbox></object>
</annotation>"""


@pytest.fixture
def voc(tmp_path: Path, jpeg: bytes) -> Path:
    root = tmp_path / "voc"
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / part).mkdir(parents=True)
    for number, name in enumerate(("a", "my photo", "ä", "b")):
        (root / f"JPEGImages/{name}.jpg").write_bytes(jpeg + bytes([number]))
        (root / f"Annotations/{name}.xml").write_text(XML)
    (root / "Annotations/b.xml").write_text("<annotation/>")  # nothing in the image
    return root


def built(kind: str, folder: Path, out: Path, lists: str, labelmap: Path | None = None) -> Path:
    argv = [kind, str(folder), *lists.split(), "--out", str(out)]
    if labelmap:
        argv += ["--labelmap", str(labelmap)]
    main(argv)
    return out


def objects(path: Path, difficult: bool = True) -> dict[str, list]:
    """Image's name -> image and objects of each record; difficult: look at that flag, too."""
    found: dict[str, list] = {}
    for key, value in records(path).items():
        record = pb.AnnotatedDatum.FromString(value)
        found[Path(key.decode()).name] = [record.datum.data]
        for group in record.annotation_group:
            if not difficult:
                for annotation in group.annotation:
                    annotation.bbox.difficult = False
            found[Path(key.decode()).name].append(group.SerializeToString())
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_that_is_built_again_gives_the_same_records(
    name: str, voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = "--train-list train --test-list test"
    names = ["a\n", "JPEGImages/my photo.jpg\tAnnotations/my photo.xml\n", "ä\n", "b\n"]
    (voc / "ImageSets/Main/train.txt").write_text("".join(names[:3]))
    (voc / "ImageSets/Main/test.txt").write_text("".join(names[3:]))
    first = built("voc", voc, tmp_path / "first", lists)
    lmdbs = [str(first / f"{part}_lmdb") for part in ("train", "test")]
    capsys.readouterr()
    main(["export", *lmdbs, "--format", name, "--out", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert "out: train 3 images, test 1 image; 9 boxes (3 difficult): cat 3," in printed
    assert f"data_prep {name} {tmp_path}/out {lists} --labelmap {tmp_path}/out/label" in printed
    assert ("difficult objects, which the format cannot mark: 3" in printed) == (name == "yolo")
    labelmap = tmp_path / "out/labelmap.prototxt"
    again = built(name, tmp_path / "out", tmp_path / "again", lists, labelmap)
    for part in ("train_lmdb", "test_lmdb"):
        wanted = objects(first / part, difficult=name != "yolo")
        assert objects(again / part, difficult=name != "yolo") == wanted
        if name == "voc":
            assert records(first / part) == records(again / part)


def test_voc_as_other_tools_read_it(voc: Path, tmp_path: Path) -> None:
    first = built("voc", voc, tmp_path / "lmdb", "")
    data_prep.export(first, tmp_path / "out")
    assert (tmp_path / "out/ImageSets/Main/lmdb.txt").read_text().splitlines()[0] == "a"
    text = (tmp_path / "out/Annotations/a.xml").read_text()
    assert "<filename>a.jpg</filename>" in text
    assert '<name>it\'s a "dog" &amp; é</name>' in text
    found = re.findall(r"<x...>(-?\d+)</x...>", text)
    assert found == ["1", "63", "-3", "70", "7", "7"]  # by class, as records have them


def test_coco_boxes_with_fractions_come_back(tmp_path: Path, jpeg: bytes) -> None:
    boxes = [[1.23, 4.5, 20.07, 11.1], [0, 0, 64, 48], [3.125, 7.9, 0.3, 40.001]]
    rows = [
        {"id": i, "image_id": 7, "category_id": 4, "bbox": box, "iscrowd": i % 2}
        for i, box in enumerate(boxes)
    ]
    whole = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 64, "height": 48}],
        "annotations": rows,
        "categories": [{"id": 4, "name": "car/truck"}],
    }
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    (root / "annotations/instances_val.json").write_text(json.dumps(whole))
    (root / "a.jpg").write_bytes(jpeg)
    built("coco", root, tmp_path / "val_lmdb", "")
    data_prep.export(tmp_path / "val_lmdb", tmp_path / "out", format="coco")
    written = json.loads((tmp_path / "out/annotations/instances_val.json").read_text())
    assert [row["bbox"] for row in written["annotations"]] == boxes
    assert [row["iscrowd"] for row in written["annotations"]] == [0, 1, 0]
    assert written["categories"] == [{"id": 1, "name": "car/truck", "supercategory": "none"}]
    assert (tmp_path / "out/images/val/a.jpg").read_bytes() == jpeg


def test_every_whole_pixel_comes_back() -> None:
    for side in (1, 7, 500, 1333, 9999):
        for value in (*range(0, side + 1, 1 + side // 50), side, -3):
            fraction = float(np.float32(value / side))
            assert pixel(fraction, side) == value
            end = float(np.float32((value + 2) / side))
            assert length(value, end, side) == 2
            low, whole = map(float, centre_and_length(fraction, end, side))
            assert float(np.float32(low - whole / 2)) == fraction
            assert float(np.float32(low + whole / 2)) == end


def record(data: bytes, *boxes: tuple[float, ...], label: int = 1, **more: int) -> bytes:
    found = pb.AnnotatedDatum(type=pb.AnnotatedDatum.BBOX)
    found.datum.data = data
    found.datum.encoded = not more
    found.datum.label = -1
    for key, value in more.items():
        setattr(found.datum, key, value)
    if boxes:
        group = found.annotation_group.add(group_label=label)
        for xmin, ymin, xmax, ymax in boxes:
            box = group.annotation.add().bbox
            box.xmin, box.ymin, box.xmax, box.ymax = xmin, ymin, xmax, ymax
    return found.SerializeToString()


def write(path: Path, rows: Iterable[tuple[bytes, bytes]]) -> Path:
    path.mkdir(parents=True)
    with lmdb.open(str(path)) as env, env.begin(write=True) as transaction:
        for key, value in rows:
            transaction.put(key, value)
    return path


def test_names_of_keys_never_leave_the_folder_or_meet(tmp_path: Path, jpeg: bytes) -> None:
    keys = [
        b"00000000_../../up.jpg",
        b"00000001_/abs/up.jpg",
        b"00000002_C:\\photos\\up.png",  # a JPEG all the same
        b"00000003_a\nb.jpg",
        b"00000004_\xff.jpg",
        b"00000005_.hidden.jpg",
        b"00000006_..",
        b"00000007_" + b"n" * 300 + b".jpg",
        b"no number",
        b"v1.2",
    ]
    path = write(tmp_path / "lmdb", [(key, record(jpeg)) for key in keys])
    data_prep.export(path, tmp_path / "deep/out")
    found = sorted(path.name for path in (tmp_path / "deep/out/JPEGImages").iterdir())
    assert found == sorted(
        [
            "up.jpg",
            "abs_up.jpg",
            "C:_photos_up.jpg",
            "a%0Ab.jpg",
            "%FF.jpg",
            "_.hidden.jpg",
            "image.jpg",
            "n" * 200 + ".jpg",
            "no number.jpg",
            "v1.2.jpg",
        ]
    )
    assert {path.name for path in tmp_path.iterdir()} == {"lmdb", "deep"}


def test_damaged_records_are_said_and_the_others_written(
    tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    raw = record(pixels.tobytes(), channels=3, height=4, width=5)
    rows = [
        (
            b"00000000_good.jpg",
            record(jpeg, (0, 0, 0.5, 0.5), (0, 0, float("nan"), 1), (0, 0, 3e38, 1), label=7),
        ),
        (b"00000001_raw.jpg", raw),
        (b"00000002_cut.jpg", record(jpeg[: len(jpeg) // 2])),
        (b"00000003_noise.jpg", record(b"noise")),
        (b"00000004_short.jpg", record(b"123", channels=3, height=4, width=5)),
        (b"00000005_none.jpg", b"\xff\xff"),
        (b"00000006_datum.jpg", pb.Datum(data=jpeg, encoded=True).SerializeToString()),
    ]
    path = write(tmp_path / "all_lmdb", rows)
    report = tmp_path / "report.txt"
    flags = ["--format", "coco", "--report", report]
    error = refused(capsys, "export", path, "--out", tmp_path / "out", *flags)
    assert error == "7 errors, 0 warnings"
    said = {line.split(": ", 2)[2] for line in report.read_text().splitlines()}
    assert said == {
        "00000000_good.jpg: a box of label 7 is not finite, or far beyond: left out",
        "00000002_cut.jpg: a JPEG that is cut short: left out",
        "00000003_noise.jpg: an image that cannot be decoded: left out",
        "00000004_short.jpg: 3 bytes of raw pixels where (3, 4, 5) are declared: left out",
        "00000005_none.jpg: not an AnnotatedDatum: left out",
        "00000006_datum.jpg: an AnnotatedDatum without a datum: left out",
    }
    written = json.loads((tmp_path / "out/annotations/instances_all.json").read_text())
    names = [image["file_name"] for image in written["images"]]
    assert names == ["good.jpg", "raw.png"]
    assert written["categories"][0]["name"] == "7"  # no label map
    image = cv2.imread(str(tmp_path / "out/images/all/raw.png"))
    assert image.tobytes() == pixels.transpose(1, 2, 0).tobytes()


def test_nothing_is_left_where_nothing_can_be_written(
    tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = write(tmp_path / "bad/train_lmdb", [(b"00000000_a.jpg", b"\xff")])
    good = write(tmp_path / "good/train_lmdb", [(b"00000000_a.jpg", record(jpeg))])
    out = tmp_path / "out"
    error = refused(capsys, "export", bad, "--out", out)
    fault = "00000000_a.jpg: not an AnnotatedDatum: left out"
    assert error == f"{bad}: no record can be written: {fault}"
    error = refused(capsys, "export", bad, good, "--out", out)
    assert error == f"{bad} and {good} are both called train: export them apart"
    assert not out.exists()
    out.mkdir()
    (out / "mine.xml").touch()
    error = refused(capsys, "export", good, "--out", out)
    assert error == f"{out}: already there; name a new folder"
    assert [path.name for path in tmp_path.glob("out*/*")] == ["mine.xml"]


def test_labels_and_label_maps(
    tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "lmdb", [(b"a.jpg", record(jpeg, (0, 0, 1, 1), label=25))])
    out = tmp_path / "out"
    refused(capsys, "export", path, "--labelmap", "voc", "--format", "yolo", "--out", out)
    assert (out / "labels/lmdb/a.txt").read_text().split()[0] == "20"  # after VOC's classes
    assert '  20: "25"' in (out / "data.yaml").read_text().splitlines()
    other = tmp_path / "labelmap.prototxt"
    other.write_text('item { name: "x" label: 25 display_name: "a b" } item { name: "y" label: 3 }')
    found = data_prep.export(path, tmp_path / "more", format="yolo")
    assert found.objects == {"a b": 1}
    text = (tmp_path / "more/data.yaml").read_text()
    assert text.endswith('nc: 2\nnames:\n  0: "y"\n  1: "a b"\n')
    other.write_text('item { name: "x" label: 1 } item { name: "x" label: 2 }')
    error = refused(capsys, "export", path, "--out", tmp_path / "third")
    assert error == f"{other}: 2 labels are called 'x'"
