"""Cautions: which contradictions of nets, files and solvers are told, and with which numbers."""

from __future__ import annotations

from pathlib import Path

import lmdb
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import cautions, text
from caffe_ir.cautions.coverage import nearest_divisor
from caffe_ir.phase import filter_net

DATA = """
layer { name: "data" type: "AnnotatedData" top: "data" top: "label"
  transform_param { mean_value: 104 } data_param { source: "db" batch_size: 4 }
  annotated_data_param { label_map_file: "map.prototxt" } }
layer { name: "prior" type: "PriorBox" bottom: "x" bottom: "data" top: "prior"
  prior_box_param { min_size: 30 } }
"""
LOSS = """
layer { name: "loss" type: "MultiBoxLoss" bottom: "loc" bottom: "conf" bottom: "prior"
  bottom: "label" top: "loss" multibox_loss_param { num_classes: 6 code_type: CENTER_SIZE } }
"""
DETECT = """
layer { name: "out" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "prior" top: "out"
  detection_output_param { num_classes: 6 code_type: CENTER_SIZE
    save_output_param { output_directory: "results" name_size_file: "sizes.txt" } } }
layer { name: "eval" type: "DetectionEvaluate" bottom: "out" bottom: "label" top: "eval"
  detection_evaluate_param { num_classes: 6 name_size_file: "sizes.txt" } }
"""
TRAIN = DATA + LOSS
TEST = DATA + DETECT
SOLVER = 'test_iter: 3 test_interval: 10 max_iter: 100 eval_type: "detection"'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where 12 images of five classes lie, and their sizes."""
    monkeypatch.chdir(tmp_path)
    fill("db", 12)
    name_sizes(12)
    label_map(6)


def fill(folder: str, count: int) -> None:
    with lmdb.open(folder) as db, db.begin(write=True) as transaction:
        for i in range(count):
            transaction.put(b"%03d" % i, b"an image")


def name_sizes(count: int) -> None:
    Path("sizes.txt").write_text("".join(f"{i} 10 10\n" for i in range(count)))


def label_map(classes: int) -> None:
    items = (f'item {{ name: "{i}" label: {i} }}' for i in range(classes))
    Path("map.prototxt").write_text("\n".join(items))


def net(prototxt: str) -> pb.NetParameter:
    return text.parse(prototxt, pb.NetParameter)


def of_net(old: str = "", new: str = "") -> list[str]:
    return cautions.of_net(net(changed(TEST, old, new)))


def of_solver(old: str = "", new: str = "", *, test: str = TEST, train: str = TRAIN) -> list[str]:
    param = text.parse(changed(SOLVER, old, new), pb.SolverParameter)
    return cautions.of_solver(param, net(train), [net(test)])


def changed(whole: str, old: str, new: str) -> str:
    assert old in whole
    return whole.replace(old, new, 1)


def test_nothing_is_said_of_what_agrees() -> None:
    assert of_net() == []
    assert cautions.of_net(net(TRAIN)) == []
    assert of_solver() == []


EVALUATE = "detection_evaluate_param { num_classes: "
OUTPUT = "detection_output_param { num_classes: "
MULTIBOX = "multibox_loss_param { num_classes: "


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (5, "num_classes is 5, 6 in 'out': the mean leaves out class 5; set num_classes: 6"),
        (3, "num_classes is 3, 6 in 'out': the mean leaves out classes 3 to 5; set num_classes: 6"),
        (7, "num_classes is 7, 6 in 'out': the mean counts class 6 as AP 0; set num_classes: 6"),
    ],
)
@pytest.mark.parametrize("with_map", [True, False])
def test_evaluate_has_the_classes_of_the_output(told: int, words: str, with_map: bool) -> None:
    if not with_map:
        Path("map.prototxt").unlink()
    found = of_net(f"{EVALUATE}6", f"{EVALUATE}{told}")
    assert found == [f"layer 'eval': detection_evaluate_param.{words}"]


@pytest.mark.parametrize(
    ("classes", "effect"),
    [
        (4, "map.prototxt has no classes 4 to 5: AP 0 in the mean"),
        (8, "classes 6 to 7 of map.prototxt are left out"),
    ],
)
def test_nets_have_the_classes_of_their_label_map(classes: int, effect: str) -> None:
    label_map(classes)
    told = f"{effect}; set num_classes: {classes}"
    assert of_net() == [f"num_classes is 6 in 'out', 'eval': {told}"]
    assert cautions.of_net(net(TRAIN)) == [f"num_classes is 6 in 'loss': {told}"]


def test_of_output_and_evaluate_the_one_that_has_the_label_maps_classes_is_right() -> None:
    found = of_net(f"{OUTPUT}6", f"{OUTPUT}9")
    assert found == [
        "num_classes is 9 in 'out': map.prototxt has no classes 6 to 8: AP 0 in the mean; "
        "set num_classes: 6"
    ]


def test_a_loss_that_only_tells_objects_from_background_has_two_classes() -> None:
    agnostic = changed(TRAIN, f"{MULTIBOX}6", f"{MULTIBOX}2 map_object_to_agnostic: true")
    assert cautions.of_net(net(agnostic)) == []


def test_backgrounds_agree() -> None:
    (found,) = of_net(f"{EVALUATE}6", f"{EVALUATE}6 background_label_id: 5")
    assert "background_label_id is 5, 0 in 'out'" in found
    assert found.endswith("set background_label_id: 0")
    none = changed(TEST, f"{OUTPUT}6", f"{OUTPUT}6 background_label_id: -1")
    (found,) = cautions.of_net(net(none))
    assert found.endswith("set background_label_id: -1")
    unsigned = f"{EVALUATE}6 background_label_id: 4294967295"
    assert cautions.of_net(net(changed(none, f"{EVALUATE}6", unsigned))) == []


def test_files_count_the_images_of_the_data() -> None:
    name_sizes(11)
    (found,) = of_net()
    assert "name_size_file sizes.txt lists 11 images, db has 12: boxes are compared" in found
    name_sizes(12)
    (found,) = of_net("save_output_param {", "save_output_param { num_test_image: 10")
    assert "num_test_image is 10, db has 12 images" in found
    assert found.endswith("set num_test_image: 12")


@pytest.mark.parametrize(
    ("images", "passes", "words"),
    [
        (12, 2, "leaves out 4 of the 12 images (db); set test_iter: 3"),
        (12, 5, "counts 8 of the 12 images (db) twice; set test_iter: 3"),
        (12, 9, "counts each of the 12 images (db) 3 times; set test_iter: 3"),
        (
            10,
            3,
            "counts 2 of the 10 images (db) twice; batch_size: 5 and test_iter: 2 count each once",
        ),
        (
            10,
            2,
            "leaves out 2 of the 10 images (db); batch_size: 5 and test_iter: 2 count each once, "
            "test_iter: 3 counts 2 twice",
        ),
    ],
)
def test_tests_show_every_image_once(images: int, passes: int, words: str) -> None:
    fill("other", images)
    test = changed(TEST, '"db"', '"other"').replace("sizes.txt", "no_sizes.txt")
    found = of_solver("test_iter: 3", f"test_iter: {passes}", test=test)
    assert found == [f"test_iter: {passes} with batch_size 4 {words}".replace("(db)", "(other)")]


def test_without_the_data_other_files_count_the_images() -> None:
    away = changed(TEST, '"db"', '"away"')
    (found,) = of_solver("test_iter: 3", "test_iter: 2", test=away)
    assert "leaves out 4 of the 12 images (sizes.txt)" in found
    Path("sizes.txt").unlink()
    assert of_solver("test_iter: 3", "test_iter: 2", test=away) == []
    told = changed(away, "save_output_param {", "save_output_param { num_test_image: 12")
    (found,) = of_solver("test_iter: 3", "test_iter: 2", test=told)
    assert "leaves out 4 of the 12 images (num_test_image of layer 'out')" in found


def test_lists_of_images_and_datums_count_too() -> None:
    Path("list.txt").write_text("a.jpg 0\nb.jpg 1\n\nc.jpg 0\n")
    listed = 'layer { type: "ImageData" image_data_param { source: "list.txt" batch_size: 2 } }'
    found = cautions.coverage(net(listed), 2, "--iterations {}")
    assert found is not None
    assert found.caution == (
        "--iterations 2 with batch_size 2 counts 1 of the 3 images (list.txt) twice; "
        "batch_size: 1 and --iterations 3 count each once"
    )
    datums = net('layer { type: "Data" data_param { source: "db" batch_size: 6 } }')
    found = cautions.coverage(datums, 1, "--iterations {}")
    assert found is not None
    assert found.left_out == 6


def test_a_solver_that_never_tests_has_no_cautions_about_tests() -> None:
    assert of_solver("test_iter: 3 test_interval: 10", "test_iter: 2 test_interval: 101") != []
    never = "test_iter: 2 test_interval: 101 test_initialization: false"
    assert of_solver("test_iter: 3 test_interval: 10", never) == []


def test_eval_type_suits_the_nets_outputs() -> None:
    (found,) = of_solver('eval_type: "detection"', "")
    assert found.startswith("the rows of 'eval' (DetectionEvaluate) have no mean")
    assert 'set eval_type: "detection"' in found
    accuracy = """layer { type: "Data" top: "data" top: "label" }
        layer { type: "Accuracy" bottom: "data" bottom: "label" top: "accuracy" }"""
    (found,) = of_solver(test=accuracy)
    assert "'accuracy' (Accuracy)" in found
    assert 'set eval_type: "classification"' in found
    assert of_solver('eval_type: "detection"', "", test=accuracy) == []
    detections = TEST[: TEST.index('layer { name: "eval"')]
    (found,) = of_solver('eval_type: "detection"', "", test=detections)
    assert "add a DetectionEvaluate layer that reads them, and set eval_type" in found


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "code_type: CENTER_SIZE",
            "",
            "layer 'out': code_type is CORNER, training has code_type CENTER_SIZE (layer 'loss'); "
            "set code_type: CENTER_SIZE",
        ),
        (
            "code_type: CENTER_SIZE",
            "code_type: CENTER_SIZE variance_encoded_in_target: true",
            "layer 'out': variance_encoded_in_target is true, training has "
            "encode_variance_in_target false (layer 'loss'); set variance_encoded_in_target: false",
        ),
        ("min_size: 30", "min_size: 60", "layer 'prior': min_size is 60, in the train net 30"),
        (
            "mean_value: 104",
            "mean_value: 127.5 scale: 0.007843",
            "layer 'data': transform_param.mean_value is 127.5 in the test net, 104 in the train "
            "net",
        ),
    ],
)
def test_test_nets_decode_what_training_taught(old: str, new: str, words: str) -> None:
    assert words in of_solver(test=changed(TEST, old, new))


CHAIN = """
layer { name: "a" type: "Convolution" bottom: "data" top: "scores" }
layer { name: "b" type: "LAST" bottom: "scores" top: "probable" }
layer { name: "c" type: "Flatten" bottom: "probable" top: "conf" }
"""


@pytest.mark.parametrize(
    ("last", "loss", "words"),
    [
        ("Softmax", "", ""),
        ("Sigmoid", "conf_loss_type: LOGISTIC", ""),
        ("Python", "", ""),
        ("Reshape", "", "scores come from Convolution, without Softmax"),
        ("Softmax", "conf_loss_type: LOGISTIC", "scores come from Softmax, without Sigmoid"),
        ("Sigmoid", "", "scores come from Sigmoid, without Softmax"),
    ],
)
def test_scores_come_as_the_loss_implies(last: str, loss: str, words: str) -> None:
    train = changed(TRAIN, f"{MULTIBOX}6", f"{MULTIBOX}6 {loss}")
    found = of_solver(train=train, test=DATA + CHAIN.replace("LAST", last) + DETECT)
    assert len(found) == bool(words)
    assert all(line.startswith(f"layer 'out': {words}, but training") for line in found)


def test_several_test_nets_are_numbered() -> None:
    param = text.parse(f"{SOLVER} test_iter: 2", pb.SolverParameter)
    (found,) = cautions.of_solver(param, net(TRAIN), [net(TEST), net(TEST)])
    assert found.startswith("test net #1: test_iter: 2")


@pytest.mark.parametrize(
    ("number", "to", "divisor"), [(4952, 8, 8), (4950, 8, 9), (13, 8, 13), (13, 3, 1), (36, 5, 4)]
)
def test_nearest_divisor(number: int, to: int, divisor: int) -> None:
    assert nearest_divisor(number, to) == divisor


def batch_norm(name: str, *params: str, rules: str = "") -> str:
    fields = " ".join(f'param {{ name: "{param}" lr_mult: 0 }}' for param in params)
    blobs = f'bottom: "x" top: "{name}"'
    return f'layer {{ name: "{name}" type: "BatchNorm" {blobs} {fields} {rules} }}'


def notes(*layers: str) -> list[str]:
    Path("net.prototxt").write_text("\n".join(layers))
    found: list[str] = []
    read = text.read_net("net.prototxt", found)
    assert all(len(layer.param) != 3 for layer in filter_net(read, pb.TEST).layer)
    return found


def test_statistics_that_the_fork_does_not_share_are_told() -> None:
    three = ("mean", "variance", "factor")
    (found,) = notes(batch_norm("a", *three), batch_norm("b", *three), batch_norm("c", "", "", ""))
    assert found.startswith("BatchNorm layers 'a', 'b': each has statistics of its own")
    # The fork shares what two `param`s name, and BVLC's Caffe alike.
    assert notes(batch_norm("a", *three[:2]), batch_norm("b", *three[:2])) == []
    # One layer, written twice for its phases.
    phases = [f"include {{ phase: {phase} }}" for phase in ("TRAIN", "TEST")]
    assert notes(*[batch_norm("a", *three, rules=rules) for rules in phases]) == []
