"""LMDBs from VOC-style folders: equal to the fork's."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map as label_maps
from data_prep.cli import main
from data_prep.images.image_header import read_header
from tests.data_prep.support import BCCD, GOLDEN, XML, build, records
from tests.support import needs_shared


def datum(data: bytes) -> pb.AnnotatedDatum:
    return pb.AnnotatedDatum.FromString(data)


# ---- Against what the fork's own tool made


@needs_shared
def test_records_and_files_equal_the_forks(tmp_path: Path) -> None:
    ours = build(
        BCCD,
        tmp_path / "lmdb",
        "--list",
        GOLDEN / "list.txt",
        "--labelmap",
        GOLDEN / "labelmap.prototxt",
    )
    theirs = records(GOLDEN / "lmdb")
    assert len(theirs) == 8
    assert ours == theirs
    for name in ("labelmap.prototxt", "list.txt", "name_size.txt"):
        assert (tmp_path / name).read_bytes() == (GOLDEN / name).read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "labelmap.prototxt",
        "list.txt",
        "lmdb",
        "name_size.txt",
    ]
    assert (tmp_path / "lmdb").stat().st_mode & 0o700 == 0o700


@needs_shared
def test_dataset_of_bccd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "bccd"
    main(["voc", str(BCCD), "--train-list", "train", "--test-list", "test", "--out", str(out)])
    about = json.loads((out / "dataset.json").read_text())
    assert about == {
        "name": "bccd",
        "labelmap": "labelmap.prototxt",
        "train_lmdb": "train_lmdb",
        "test_lmdb": "test_lmdb",
        "name_size": "test_name_size.txt",
        "train_images": 205,
        "test_images": 72,
    }
    assert [(i.name, i.label) for i in label_maps.read(out / "labelmap.prototxt").item] == [
        ("none_of_the_above", 0),
        ("Platelets", 1),
        ("RBC", 2),
        ("WBC", 3),
    ]
    found = records(out / "train_lmdb")
    assert len(found) == 205
    # BloodImage_00343 has a box of no extent; it stays, as with the fork, and is reported.
    assert "is without area" in capsys.readouterr().err
    for key, value in found.items():
        record = datum(value)
        image = cv2.imdecode(np.frombuffer(record.datum.data, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (record.datum.height, record.datum.width, 3), key


@needs_shared
@pytest.mark.parametrize(
    "path", sorted((BCCD / "JPEGImages").glob("*.jpg"))[:20], ids=lambda p: p.stem
)
def test_size_in_the_header_is_the_decoders(path: Path) -> None:
    header = read_header(path.read_bytes())
    assert header
    assert header.upright == cv2.imread(str(path)).shape[:2]


# ---- What a record says


def test_groups_by_label_in_order_of_appearance(folder: Path, out: Path) -> None:
    objects = [("dog", 0), ("cat", 1), ("dog", 0)]
    body = "".join(
        f"<object><name>{n}</name><difficult>{d}</difficult>"
        "<bndbox><xmin>8</xmin><ymin>0</ymin><xmax>16</xmax><ymax>12</ymax></bndbox>"
        "<part><name>head</name><bndbox/></part></object>"
        for n, d in objects
    )
    (folder / "Annotations/0.xml").write_text(
        f"<annotation><size><width>64</width><height>48</height></size>{body}</annotation>"
    )
    record = datum(build(folder, out)[b"00000000_JPEGImages/0.jpg"])
    assert record.type == pb.AnnotatedDatum.BBOX
    assert [g.group_label for g in record.annotation_group] == [2, 1]  # cat 1, dog 2
    assert [a.instance_id for a in record.annotation_group[0].annotation] == [0, 1]
    box = record.annotation_group[1].annotation[0].bbox
    assert (box.xmin, box.ymin, box.xmax, box.ymax, box.difficult) == (
        8 / 64,
        0,
        16 / 64,
        12 / 48,
        True,
    )
    assert not record.annotation_group[0].annotation[0].bbox.difficult


def test_other_formats_become_jpeg_and_exif_turns(folder: Path, out: Path, jpeg: bytes) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
    cv2.imwrite(str(folder / "JPEGImages/1.png"), pixels)
    (folder / "JPEGImages/1.jpg").unlink()
    # Orientation 6 (lies on its side), big-endian TIFF:
    # header, one entry (0x0112, SHORT, 1 value), no further directory.
    tiff = b"MM\0*\0\0\0\x08" + b"\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\0\0\0\0"
    turned = (
        jpeg[:2] + b"\xff\xe1" + (len(tiff) + 8).to_bytes(2, "big") + b"Exif\0\0" + tiff + jpeg[2:]
    )
    (folder / "JPEGImages/2.jpg").write_bytes(turned)
    (folder / "Annotations/2.xml").write_text(
        XML.format(name="cat").replace("64", "48").replace("<height>48", "<height>64")
    )
    found = build(folder, out)
    assert datum(found[b"00000000_JPEGImages/0.jpg"]).datum.data == jpeg
    second = datum(found[b"00000001_JPEGImages/1.png"]).datum
    assert second.data.startswith(b"\xff\xd8")
    assert (second.height, second.width, second.channels, second.encoded, second.label) == (
        48,
        64,
        3,
        True,
        -1,
    )
    third = datum(found[b"00000002_JPEGImages/2.jpg"]).datum
    assert (
        (third.height, third.width)
        == cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape[:2]
        == (64, 48)
    )
    assert out.with_name("train_name_size.txt").read_text() == "0 48 64\n1 48 64\n2 64 48\n"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("<xmax>20", "<xmax>80"), "box 4 5 80 25 of 'cat' is outside the image of 64x48"),
        (("<xmin>4", "<xmin>-4"), "box -4 5 20 25 of 'cat' is outside the image of 64x48"),
        (("<xmin>4", "<xmin>24"), "box 24 5 20 25 of 'cat' is inverted"),
        (
            ("<xmin>4", "<xmin>4.5"),
            (
                "box 4.5 5 20 25 of 'cat' is not in whole pixels (kept as it is; the fork's tool "
                "reads 0)"
            ),
        ),
    ],
    ids=["beyond", "negative", "inverted", "fraction"],
)
def test_bad_boxes_are_kept_and_reported(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str], change: list[str], said: str
) -> None:
    file = folder / "Annotations/1.xml"
    file.write_text(file.read_text().replace(*change))
    found = build(folder, out)
    assert capsys.readouterr().err == f"data_prep: warning: {file}:5: {said}\n"
    box = datum(found[b"00000001_JPEGImages/1.jpg"]).annotation_group[0].annotation[0].bbox
    kept = [box.xmin * 64, box.ymin * 48, box.xmax * 64, box.ymax * 48]
    assert kept == pytest.approx([float(x) for x in said.split()[1:5]])


def test_size_of_the_annotation_counts_and_a_missing_one_is_the_images(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = folder / "Annotations/0.xml"
    second = folder / "Annotations/1.xml"
    first.write_text(first.read_text().replace("<width>64", "<width>128"))
    second.write_text(
        "\n".join(line for line in second.read_text().splitlines() if "<size>" not in line)
    )
    found = build(folder, out)
    assert (
        capsys.readouterr().err
        == f"data_prep: warning: {first}: says 128x48, but the image is 64x48\n"
    )
    for key, width in ((b"00000000_JPEGImages/0.jpg", 128), (b"00000001_JPEGImages/1.jpg", 64)):
        assert datum(found[key]).annotation_group[0].annotation[0].bbox.xmin == 4 / width


@pytest.mark.parametrize(("name", "classes"), [("voc", 21), ("coco", 81), ("ilsvrc", 201)])
def test_built_in_label_maps(folder: Path, out: Path, name: str, classes: int) -> None:
    # The names of classes, or their display names as in the last two.
    animal = {"voc": "cat", "coco": "cat", "ilsvrc": "domestic_cat"}[name]
    for file in (folder / "Annotations").iterdir():
        file.write_text(XML.format(name=animal))
    found = build(folder, out, "--labelmap", name)
    label = {"voc": 8, "coco": 16, "ilsvrc": 59}[name]
    assert datum(found[b"00000000_JPEGImages/0.jpg"]).annotation_group[0].group_label == label
    items = label_maps.read(out.with_name("labelmap.prototxt")).item
    assert [i.label for i in items] == list(range(classes))
    assert next(i.display_name for i in items if i.label == label) == animal


def test_a_second_lmdb_beside_takes_the_same_label_map(folder: Path, out: Path) -> None:
    (folder / "Annotations/0.xml").write_text(XML.format(name="ant"))
    build(folder, out)
    (folder / "Annotations/0.xml").write_text(XML.format(name="cat"))
    found = build(folder, out.with_name("test_lmdb"))
    assert datum(found[b"00000000_JPEGImages/0.jpg"]).annotation_group[0].group_label == 2


def test_list_over_several_folders(folder: Path, out: Path) -> None:
    (folder.parent / "trainval.txt").write_text("voc/JPEGImages/2.jpg voc/Annotations/2.xml\n")
    assert list(build(folder.parent, out, "--list", "trainval.txt")) == [
        b"00000000_voc/JPEGImages/2.jpg"
    ]
    assert out.with_name("train_name_size.txt").read_text() == "2 48 64\n"


def test_list_with_names_that_have_spaces(folder: Path, out: Path, tmp_path: Path) -> None:
    for part, end in (("JPEGImages", "jpg"), ("Annotations", "xml")):
        (folder / part / f"0.{end}").rename(folder / part / f"my cat.{end}")
    (tmp_path / "list.txt").write_text("JPEGImages/my cat.jpg\tAnnotations/my cat.xml\r\n\r\n1\n")
    found = build(folder, out, "--list", tmp_path / "list.txt")
    assert list(found) == [b"00000000_JPEGImages/my cat.jpg", b"00000001_JPEGImages/1.jpg"]
    assert (
        out.with_name("train.txt").read_text()
        == "JPEGImages/my cat.jpg\tAnnotations/my cat.xml\nJPEGImages/1.jpg Annotations/1.xml\n"
    )
    assert out.with_name("train_name_size.txt").read_text() == "my_cat 48 64\n1 48 64\n"
