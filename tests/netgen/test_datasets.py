"""Data sets by name and a user's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import netgen
from netgen.datasets import COCO, VOC0712, find_dataset
from ssd_common.errors import CaffeError

OWN = {
    "name": "My Shapes",
    "labelmap": "labelmap.prototxt",
    "train_lmdb": "train_lmdb",
    "test_lmdb": "test_lmdb",
    "name_size": "test_name_size.txt",
    "train_images": 300,
    "test_images": 61,
}


def labelmap(labels: list[int]) -> str:
    items = []
    for label in labels:
        items.append(f'item {{ name: "c{label}" label: {label} display_name: "c{label}" }}\n')
    return "".join(items)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "labelmap.prototxt").write_text(labelmap([0, 1, 2, 3]))
    file = tmp_path / "dataset.json"
    file.write_text(json.dumps(OWN))
    return file


def test_by_name() -> None:
    assert find_dataset("coco") is COCO
    assert find_dataset("VOC0712") is VOC0712
    assert find_dataset("voc0712++").key == "voc0712pp"
    with pytest.raises(CaffeError, match=r"no data set 'coc'.*did you mean 'coco'"):
        find_dataset("coc")


def test_another_data_set_changes_what_follows_from_it() -> None:
    test = netgen.build("fssd300", "test", dataset="coco")
    evaluate = test.layer[-1].detection_evaluate_param
    assert evaluate.num_classes == 81
    assert evaluate.name_size_file == "data/coco/minival2014_name_size.txt"
    assert test.layer[0].transform_param.force_color
    sizes = [layer.prior_box_param.min_size[0] for layer in test.layer if layer.type == "PriorBox"]
    assert sizes[0] == 21, "COCO's smaller boxes"
    assert netgen.solver("fssd300", dataset="coco").test_iter == [625]
    assert netgen.configure("fssd300", dataset="coco").id == "fssd300_coco"


def test_own(own: Path) -> None:
    net = netgen.build("ssd300", "test", dataset=str(own))
    data = net.layer[0]
    assert data.data_param.source == f"{own.parent.as_posix()}/test_lmdb"
    assert data.annotated_data_param.label_map_file == f"{own.parent.as_posix()}/labelmap.prototxt"
    layers = {layer.type: layer for layer in net.layer}
    output = layers["DetectionOutput"].detection_output_param
    assert output.num_classes == 4
    assert output.save_output_param.num_test_image == 61
    assert netgen.configure("ssd300", dataset=str(own)).id == "ssd300_my_shapes"
    assert "save_output_param" not in str(netgen.build("ssd300", "deploy", dataset=str(own)))
    assert netgen.build("ssd300", "test", dataset=str(own.parent)) == net, "its folder will do"
    elsewhere = netgen.build("ssd300", "test", dataset=str(own), data="/elsewhere")
    assert elsewhere == net, "`data` moves named data sets only"
    assert not data.transform_param.force_color
    own.write_text(json.dumps(json.loads(own.read_text()) | {"force_color": True}))
    data = netgen.build("ssd300", "test", dataset=str(own)).layer[0]
    assert data.transform_param.force_color, "some images are grey"


@pytest.mark.parametrize(
    ("images", "batch", "passes"),
    [(60, 6, 10), (61, 1, 61), (62, 2, 31), (5, 5, 1)],  # 6 is 60's largest divisor up to 8
)
def test_own_is_tested_image_by_image_once(own: Path, images: int, batch: int, passes: int) -> None:
    own.write_text(json.dumps(OWN | {"test_images": images}))
    assert netgen.build("ssd300", "test", dataset=str(own)).layer[0].data_param.batch_size == batch
    assert netgen.solver("ssd300", dataset=str(own)).test_iter == [passes]


def test_a_released_count_of_tests_is_of_the_released_data(own: Path) -> None:
    assert netgen.solver("mobilenet_ssd300_voc0712_release").test_iter == [673]
    solver = netgen.solver("mobilenet_ssd300_voc0712_release", dataset=str(own))
    test = netgen.build("mobilenet_ssd300_voc0712_release", "test", dataset=str(own))
    images = json.loads(own.read_text())["test_images"]
    assert solver.test_iter[0] * test.layer[0].data_param.batch_size == images


def test_own_may_lie_in_several_places(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own.write_text(json.dumps(OWN | {"train_lmdb": "/big disk/train_lmdb"}))
    monkeypatch.chdir(own.parent)
    data = netgen.build("ssd300", "train", dataset=str(own)).layer[0]
    assert data.data_param.source == "/big disk/train_lmdb"
    data = netgen.build("ssd300", "train", dataset="dataset.json").layer[0]
    assert data.annotated_data_param.label_map_file == "labelmap.prototxt"


def test_data_elsewhere() -> None:
    net = netgen.build("ssd300", "train", data="/big/disk/")
    assert net.layer[0].data_param.source == "/big/disk/VOC0712/VOC0712_trainval_lmdb"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ["dataset.json:1:2: not the dataset.json that data_prep writes: "]),
        ("[]", ["JSON object"]),
        (
            json.dumps({k: v for k, v in OWN.items() if k != "train_lmdb"} | {"train_lmbd": "x"}),
            ["'train_lmdb' is missing", "train_lmbd"],
        ),
        (json.dumps(OWN | {"train_images": "300"}), ["'train_images' should be a number"]),
        (json.dumps(OWN | {"test_images": 0}), ["at least one image"]),
        (json.dumps(OWN | {"labelmap": "a\0b"}), ["'labelmap' has characters that no path"]),
        (json.dumps(OWN | {"train_lmdb": "\ud800"}), ["'train_lmdb' has characters that no path"]),
        ("[" * 200_000, ["nested too deeply"]),
        ('{"name": ' + "1" * 5000 + "}", ["a number has too many digits"]),
    ],
)
def test_a_broken_description(own: Path, content: str, words: list[str]) -> None:
    own.write_text(content)
    with pytest.raises(CaffeError) as error:
        find_dataset(str(own))
    assert all(word in str(error.value) for word in [str(own), *words]), str(error.value)


@pytest.mark.parametrize(("labels", "classes"), [([0, 1, 2], 3), ([1, 2], 3), ([0, 3], 4)])
def test_a_net_has_a_class_for_every_label_up_to_the_highest(
    own: Path, labels: list[int], classes: int
) -> None:
    (own.parent / "labelmap.prototxt").write_text(labelmap(labels))
    assert find_dataset(str(own)).num_classes == classes


@pytest.mark.parametrize("labels", [[0], [-1, 2]])
def test_a_labelmap_without_classes(own: Path, labels: list[int]) -> None:
    (own.parent / "labelmap.prototxt").write_text(labelmap(labels))
    message = r"labelmap\.prototxt: labels should be 0 for the background"
    with pytest.raises(CaffeError, match=message):
        find_dataset(str(own))


def test_no_labelmap(own: Path) -> None:
    (own.parent / "labelmap.prototxt").unlink()
    with pytest.raises(CaffeError, match=r"labelmap\.prototxt"):
        find_dataset(str(own))
