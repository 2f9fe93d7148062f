"""Data sets by name and a user's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import netgen
from caffe_ir import caffe_ir_pb2 as pb
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
    assert sizes[0] == 30, "the recipe's boxes: COCO's smaller ones are fssd300_coco's"
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


def parts(zoo_id: str, phase: str, **options) -> dict[str, pb.LayerParameter]:
    """Return the last layer of each type."""
    net = netgen.build(zoo_id, phase, **options)
    return {layer.type: layer for layer in net.layer}


def boxes(zoo_id: str, **options) -> list[tuple[float, ...]]:
    params = [
        layer.prior_box_param
        for layer in netgen.build(zoo_id, "train", **options).layer
        if layer.type == "PriorBox"
    ]
    return [(*param.min_size, *param.max_size) for param in params]


# One of each family, and those whose release differs from its data set in a flag.
@pytest.mark.parametrize(
    "zoo_id",
    [
        "dsod300_coco",
        "ssd512_coco",
        "ssd300_ilsvrc",
        "ssd300_voc0712",
        "fssd300_coco_release",
        "fssd512_coco_release",
        "ssd321_resnet101_coco",
        "light_fssd300_coco",
        "m2det320_vgg_coco",
        "ppn300_coco_release",
        "dsod300_voc0712pp_release",
        "fssd_tiny_shapes",
    ],
)
def test_own_data_change_the_data_alone(own: Path, zoo_id: str) -> None:
    """Prior boxes, flags, result files and average precision stay the recipe's."""
    options = {"dataset": str(own)}
    assert boxes(zoo_id, **options) == boxes(zoo_id)
    train, own_train = parts(zoo_id, "train"), parts(zoo_id, "train", **options)
    colour = train["AnnotatedData"].transform_param.force_color
    assert own_train["AnnotatedData"].transform_param.force_color == colour
    if "MultiBoxLoss" in train:
        own_train["MultiBoxLoss"].multibox_loss_param.num_classes = train[
            "MultiBoxLoss"
        ].multibox_loss_param.num_classes
        assert own_train["MultiBoxLoss"].multibox_loss_param.SerializeToString() == (
            train["MultiBoxLoss"].multibox_loss_param.SerializeToString()
        )
    save, own_save = (
        found["DetectionOutput"].detection_output_param.save_output_param
        for found in (parts(zoo_id, "test"), parts(zoo_id, "test", **options))
    )
    assert own_save.output_format == save.output_format
    assert own_save.output_name_prefix == save.output_name_prefix
    assert own_save.num_test_image == OWN["test_images"]
    version = netgen.solver(zoo_id).ap_version
    assert netgen.solver(zoo_id, **options).ap_version == version


def test_difficult_objects_of_own_data(own: Path) -> None:
    for zoo_id, wanted in [("dsod300_coco", False), ("ssd300", True)]:
        loss = parts(zoo_id, "train", dataset=str(own))["MultiBoxLoss"].multibox_loss_param
        assert loss.use_difficult_gt is wanted
        loss = parts(zoo_id, "train", dataset=str(own), difficult=not wanted)["MultiBoxLoss"]
        assert loss.multibox_loss_param.use_difficult_gt is not wanted


def test_coco_boxes_on_voc() -> None:
    """As the SSD paper fine-tunes on VOC what it trained on COCO."""
    assert boxes("ssd300_coco", dataset="voc0712")[0] == (21, 45)
    save = parts("ssd300_coco", "test", dataset="voc0712")["DetectionOutput"]
    assert save.detection_output_param.save_output_param.output_format == "VOC"


def test_the_recipes_own_data_set_by_name_changes_nothing() -> None:
    """These releases differ from their data set in classes, flags and LMDBs."""
    for zoo_id in (
        "ppn300_coco_release",
        "fssd512_coco_release",
        "fssd512_voc0712_release",
        "dsod300_voc0712pp_release",
    ):
        key = zoo_id.split("_")[1]
        named, plain = netgen.configure(zoo_id, dataset=key), netgen.configure(zoo_id)
        assert named.dataset == plain.dataset
        assert named.schedule == plain.schedule
        assert named.output_prefix == plain.output_prefix


def test_scores_by_option(own: Path) -> None:
    options = {"dataset": str(own), "ap_version": "MaxIntegral"}
    assert netgen.solver("ssd300", **options).ap_version == "MaxIntegral"
    test = parts("ssd300_coco", "test", dataset=str(own), result_format="VOC")
    save = test["DetectionOutput"].detection_output_param.save_output_param
    assert save.output_format == "VOC"
    with pytest.raises(CaffeError, match=r"no version .*'maxintegral'.*did you mean 'MaxIntegral'"):
        netgen.configure("ssd300", ap_version="maxintegral")
    with pytest.raises(CaffeError, match="no format of result files 'coc'"):
        netgen.configure("ssd300", result_format="coc")


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


def test_own_with_annotations_for_evaluation(own: Path) -> None:
    before = netgen.build("ssd300", "test", dataset=str(own))
    own.write_text(json.dumps(OWN | {"annotations": "instances.json"}))
    assert netgen.build("ssd300", "test", dataset=str(own)) == before


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
