"""The papers' data sets: the fork's layout, names and orders, from small sets of the same build."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map as label_maps
from data_prep.build.paper_sets import PAPER_SETS, Paths
from data_prep.cli import main
from netgen import datasets
from tests.data_prep.support import XML, records, refused

VOC_SETS = {
    "VOC2007": {"trainval": "000005 000007 000009", "test": "000001 000002"},
    "VOC2012": {"trainval": "2008_000002 2008_000003"},
}


def year(root: Path, jpeg: bytes, sets: dict[str, str], labelled: bool = True) -> None:
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / part).mkdir(parents=True, exist_ok=True)
    for name, images in sets.items():
        (root / f"ImageSets/Main/{name}.txt").write_text("".join(f"{i}\n" for i in images.split()))
        for image in images.split():
            # Each file has another content.
            (root / f"JPEGImages/{image}.jpg").write_bytes(jpeg + image.encode())
            if labelled:
                (root / f"Annotations/{image}.xml").write_text(XML.format(name="dog"))


@pytest.fixture
def devkit(tmp_path: Path, jpeg: bytes) -> Path:
    for name, sets in VOC_SETS.items():
        year(tmp_path / "VOCdevkit" / name, jpeg, sets)
    return tmp_path / "VOCdevkit"


def paths(data: datasets.Dataset, root: Path) -> list[Path]:
    return [root / p for p in (data.train_lmdb, data.test_lmdb, data.labelmap, data.name_size)]


def names(lmdb: Path) -> list[str]:
    return [Path(key.decode().partition("_")[2]).stem for key in records(lmdb)]


def test_voc0712(devkit: Path, tmp_path: Path) -> None:
    main(["paper", "voc0712", str(devkit), "--out", str(tmp_path / "data")])
    train, test, labelmap, name_size = paths(datasets.VOC0712, tmp_path / "data")
    listed = train.with_name("trainval.txt").read_text().splitlines()
    assert sorted(listed) == [
        *(
            f"VOC2007/JPEGImages/{n}.jpg VOC2007/Annotations/{n}.xml"
            for n in VOC_SETS["VOC2007"]["trainval"].split()
        ),
        *(
            f"VOC2012/JPEGImages/{n}.jpg VOC2012/Annotations/{n}.xml"
            for n in VOC_SETS["VOC2012"]["trainval"].split()
        ),
    ]
    assert list(records(train)) == [
        f"{i:08d}_{line.split()[0]}".encode() for i, line in enumerate(listed)
    ]
    assert list(records(test)) == [
        b"00000000_VOC2007/JPEGImages/000001.jpg",
        b"00000001_VOC2007/JPEGImages/000002.jpg",
    ]
    assert (
        test.with_name("test.txt").read_text().splitlines()[0]
        == "VOC2007/JPEGImages/000001.jpg VOC2007/Annotations/000001.xml"
    )
    assert name_size.read_text() == "000001 48 64\n000002 48 64\n"
    assert len(label_maps.read(labelmap).item) == 21


def test_the_seed_decides_the_order(devkit: Path, tmp_path: Path) -> None:
    orders = []
    for i, seed in enumerate((0, 0, 1, 2, 3)):
        main(
            [
                "paper",
                "voc0712",
                str(devkit / ".."),  # the folder above will do
                "--seed",
                str(seed),
                "--out",
                str(tmp_path / str(i)),
            ]
        )
        orders.append(names(tmp_path / str(i) / datasets.VOC0712.train_lmdb))
    assert orders[0] == orders[1]
    assert len({tuple(o) for o in orders}) > 2
    assert len({tuple(sorted(o)) for o in orders}) == 1


def test_voc0712pp_has_unlabelled_test_images(devkit: Path, tmp_path: Path, jpeg: bytes) -> None:
    year(devkit / "VOC2012", jpeg, {"test": "2008_000001"}, labelled=False)
    main(["paper", "voc0712pp", str(devkit), "--out", str(tmp_path / "data")])
    train, test, _, name_size = paths(datasets.VOC0712PP, tmp_path / "data")
    assert sorted(names(train)) == sorted(
        [*" ".join([*VOC_SETS["VOC2007"].values(), *VOC_SETS["VOC2012"].values()]).split()]
    )
    record = pb.AnnotatedDatum.FromString(
        records(test)[b"00000000_VOC2012/JPEGImages/2008_000001.jpg"]
    )
    assert (record.datum.encoded, len(record.annotation_group)) == (True, 0)
    assert test.with_name("test.txt").read_text() == "VOC2012/JPEGImages/2008_000001.jpg 0\n"
    assert name_size.read_text() == "2008_000001 48 64\n"


def coco_json(images: list[str], first: int) -> str:
    listed = [
        {"id": first + i, "file_name": name, "width": 64, "height": 48}
        for i, name in enumerate(images)
    ]
    objects = [
        {
            "id": 10 * i["id"],
            "image_id": i["id"],
            "category_id": 18,
            "bbox": [4, 5, 16, 20],
            "iscrowd": i["id"] % 2,
        }
        for i in listed
    ]
    # As in COCO, images may come last.
    return json.dumps(
        {"annotations": objects, "categories": [{"id": 18, "name": "dog"}], "images": listed}
    )


@pytest.mark.parametrize("layout", ["2014", "2017"])
@pytest.mark.parametrize(("name", "label"), [("coco", 17), ("coco_ids", 18)])
def test_coco(layout: str, name: str, label: int, tmp_path: Path, jpeg: bytes) -> None:
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    splits = {
        "2014": {
            "train2014": (["COCO_train2014_000000000009.jpg"], 9),
            "valminusminival2014": (["COCO_val2014_000000000042.jpg"], 42),
            "minival2014": (["COCO_val2014_000000000074.jpg"], 74),
        },
        "2017": {
            "train2017": (["000000000009.jpg", "000000000010.jpg"], 9),
            "val2017": (["000000000074.jpg"], 74),
        },
    }[layout]
    for split, (images, first) in splits.items():
        (root / f"annotations/instances_{split}.json").write_text(coco_json(images, first))
        (root / f"annotations/captions_{split}.json").write_text("{}")
        for image in images:
            folder = root / "images" / (image.split("_")[1] if "_" in image else split)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / image).write_bytes(jpeg + image.encode())
    main(["paper", name, str(root), "--out", str(tmp_path / "data")])
    train, test = (tmp_path / f"data/coco/{name}_{part}_lmdb" for part in ("train", "minival"))
    assert sorted(names(train)) == sorted(
        Path(i).stem for images, _ in list(splits.values())[:-1] for i in images
    )
    assert (
        test.with_name("minival2014_name_size.txt")
    ).read_text() == "74 48 64\n"  # COCO's results go by image id
    (value,) = records(test).values()
    (group,) = pb.AnnotatedDatum.FromString(value).annotation_group
    assert group.group_label == label
    assert (group.annotation[0].bbox.xmax, group.annotation[0].bbox.difficult) == (20 / 64, False)
    crowds = [
        pb.AnnotatedDatum.FromString(v).annotation_group[0].annotation[0].bbox.difficult
        for k, v in records(train).items()
        if b"0009." in k
    ]
    assert crowds == [True]


def test_ilsvrc(tmp_path: Path, jpeg: bytes) -> None:
    root = tmp_path / "ILSVRC"
    listed = {
        "train": [
            "ILSVRC2014_train_0000/ILSVRC2014_train_00000001 1",
            "ILSVRC2014_train_0000/ILSVRC2014_train_00000002 2",
        ],
        "val1": ["ILSVRC2012_val_00000001 1"],
        "val2": ["ILSVRC2012_val_00000018 3"],
    }
    (root / "ImageSets/DET").mkdir(parents=True)
    for name, lines in listed.items():
        (root / f"ImageSets/DET/{name}.txt").write_text("".join(f"{line}\n" for line in lines))
        for image in (line.split()[0] for line in lines):
            for part, end, data in (
                ("Data", "JPEG", jpeg),
                ("Annotations", "xml", XML.format(name="n02084071").encode()),
            ):
                file = (
                    root / part / "DET" / ("train" if "train" in name else "val") / f"{image}.{end}"
                )
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data + image.encode() if end == "JPEG" else data)
    (
        root / "Annotations/DET/train/ILSVRC2014_train_0000/ILSVRC2014_train_00000002.xml"
    ).unlink()  # a negative image
    main(["paper", "ilsvrc", str(root), "--out", str(tmp_path / "data")])
    train, test, labelmap, name_size = paths(datasets.ILSVRC2016, tmp_path / "data")
    assert sorted(names(train)) == ["ILSVRC2012_val_00000001", "ILSVRC2014_train_00000001"]
    assert list(records(test)) == [b"00000000_Data/DET/val/ILSVRC2012_val_00000018.JPEG"]
    assert name_size.read_text() == "3 48 64\n"
    assert len(label_maps.read(labelmap).item) == 201


def test_missing_parts_are_named(
    devkit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        refused(capsys, "paper", "voc0712p", devkit, status=2)
        == "argument NAME: 'voc0712p' is not one of voc2007, voc2012, voc0712, voc0712pp, coco,"
        " ilsvrc, coco_ids (did you mean 'voc0712pp'?); see data_prep paper --help"
    )
    (devkit / "VOC2012").rename(tmp_path / "elsewhere")
    said = refused(capsys, "paper", "voc0712", devkit, "--out", tmp_path / "data")
    assert said == f"{devkit}/VOC2012: no such folder (data_prep fetch voc2012 gets it)"
    assert not (tmp_path / "data").exists()


def test_coco_with_its_own_ids_lies_where_netgens_nets_look_for_it() -> None:
    about = datasets.COCO_IDS
    paths = Paths(about.train_lmdb, about.test_lmdb, about.labelmap, about.name_size)
    assert PAPER_SETS["coco_ids"].paths == paths


@pytest.mark.parametrize(("name", "year_"), [("voc2007", "VOC2007"), ("voc2012", "VOC2012")])
def test_a_year_alone_is_a_data_set_for_netgen(
    devkit: Path, tmp_path: Path, jpeg: bytes, name: str, year_: str
) -> None:
    """No zoo id names its files, so a dataset.json does."""
    year(devkit / "VOC2012", jpeg, {"train": "2008_000002", "val": "2008_000003"})
    out = tmp_path / "data"
    main(["paper", name, str(devkit), "--out", str(out)])
    described = out / year_ / "dataset.json"
    found = datasets.find_dataset(str(described))
    assert found.own
    assert (found.name, found.key, found.num_classes) == (year_, name, 21)
    train, test, labelmap, sizes = (
        Path(found.path(file))
        for file in (found.train_lmdb, found.test_lmdb, found.labelmap, found.name_size)
    )
    assert len(records(train)) == found.train_images
    assert len(records(test)) == found.test_images == len(sizes.read_text().splitlines())
    assert labelmap == out / year_ / "labelmap_voc.prototxt"
    main(["paper", name, str(devkit), "--out", str(out), "--overwrite"])
    assert described.exists()


def test_sets_that_nets_name_have_no_dataset_json(devkit: Path, tmp_path: Path) -> None:
    main(["paper", "voc0712", str(devkit), "--out", str(tmp_path / "data")])
    assert not list(tmp_path.rglob("dataset.json"))
