"""MobileNet-SSD and Light FSSD: equal to chuanqi305/MobileNet-SSD's files, of published sizes."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest

import netgen
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map
from caffe_ir.rules import Shape
from caffe_ir.text import dumps, parse, read
from caffe_ir.walk import Walk
from netgen.reports.walks import walk_net
from tests.netgen.test_parity import without_paths
from tests.support import ROOT, SHARED, needs_shared

ROOT_FILES = "mobilenet_ssd300_voc0712_release_root"
VOC_FOLDER = "mobilenet_ssd300_voc0712_release"
TEMPLATES = "mobilenet_ssd300_voc0712"
# The repository's files that ../shared holds → id and phase.
FILES = {
    "mobilenet_ssd_train": (ROOT_FILES, "train"),
    "mobilenet_ssd_deploy": (ROOT_FILES, "deploy"),
    "mobilenet_ssd_MobileNetSSD_test": (VOC_FOLDER, "test"),
}
# The start of the SHA-256 of every file's text, without name and paths, as caffe_ir.text writes it.
DIGESTS = {
    (VOC_FOLDER, "train"): "0ec8d7f3004214ee",  # voc/MobileNetSSD_train.prototxt
    (VOC_FOLDER, "test"): "3c8ac849cdfdd641",  # voc/MobileNetSSD_test.prototxt
    (VOC_FOLDER, "deploy"): "52909cd001dc9257",  # voc/MobileNetSSD_deploy.prototxt
    (ROOT_FILES, "train"): "7400d60968a1921e",  # train.prototxt
    (ROOT_FILES, "deploy"): "555933c8baad2c78",  # deploy.prototxt
    # template/MobileNetSSD_train_template.prototxt, for 21 classes
    (TEMPLATES, "train"): "bb1f7cc40f311cea",
    (TEMPLATES, "test"): "4abb0c75f7591df2",  # template/MobileNetSSD_test_template.prototxt
    (TEMPLATES, "deploy"): "07bb0598e1e33cea",  # template/MobileNetSSD_deploy_template.prototxt
}
# voc/solver.prototxt; solver_train.prototxt differs in paths only.
SOLVER = """
test_iter: 673  test_interval: 10000  test_initialization: false
base_lr: 0.0005  lr_policy: "multistep"  gamma: 0.5  stepvalue: 20000  stepvalue: 40000
max_iter: 120000  iter_size: 1  type: "RMSProp"  weight_decay: 0.00005  solver_mode: GPU
display: 10  average_loss: 10  snapshot: 1000  snapshot_after_train: true  debug_info: false
eval_type: "detection"  ap_version: "11point"
"""
# MobileNet v1 without classifier, convolutions and a factor and a term for every channel of each:
# conv0 3·3·3·32, then 3·3·in + in·out.
STAGES = [
    (32, 64),
    (64, 128),
    (128, 128),
    (128, 256),
    (256, 256),
    (256, 512),
    *[(512, 512)] * 5,
    (512, 1024),
    (1024, 1024),
]
BACKBONE = 864 + 2 * 32 + sum(9 * i + i * o + 2 * i + 2 * o for i, o in STAGES)
# conv14_1 … conv17_2: 1×1 to half, 3×3 to all channels.
PAIRS = ((1024, 512), (512, 256), (256, 256), (256, 128))
EXTRAS = sum(i * o // 2 + o + 9 * o // 2 * o + 2 * o for i, o in PAIRS)
# Channels and boxes per cell of the six maps.
MAPS = [(512, 3), (1024, 6), (512, 6), (256, 6), (256, 6), (128, 6)]


def walked(zoo_id: str, phase: str = "deploy") -> Walk:
    return walk_net(netgen.build(zoo_id, phase), phase)


def heads(classes: int) -> int:
    return sum((c + 1) * boxes * (4 + classes) for c, boxes in MAPS)


@needs_shared
@pytest.mark.parametrize("file", FILES)
def test_nets_equal_the_released_ones(file: str) -> None:
    want = without_paths(read(SHARED / f"reference/wild/{file}.prototxt", pb.NetParameter))
    got = without_paths(netgen.build(*FILES[file]))
    assert [layer.name for layer in got.layer] == [layer.name for layer in want.layer]
    for ours, theirs in zip(got.layer, want.layer, strict=True):
        assert ours == theirs
    got.name = want.name
    assert got == want


@pytest.mark.parametrize(("zoo_id", "phase"), DIGESTS)
def test_nets_read_as_the_released_ones(zoo_id: str, phase: str) -> None:
    net = without_paths(netgen.build(zoo_id, phase))
    net.ClearField("name")
    assert hashlib.sha256(dumps(net).encode()).hexdigest()[:16] == DIGESTS[zoo_id, phase]


@pytest.mark.parametrize("zoo_id", [TEMPLATES, VOC_FOLDER, ROOT_FILES])
def test_solvers_equal_the_released_one(zoo_id: str) -> None:
    assert without_paths(netgen.solver(zoo_id)) == parse(SOLVER, pb.SolverParameter)


@needs_shared
def test_released_weights_find_their_layers() -> None:
    file = SHARED / "reference/wild/mobilenet_ssd_train.prototxt"
    want = blobs(walk_net(read(file, pb.NetParameter), "train"))
    for phase in ("train", "test"):
        assert blobs(walked(VOC_FOLDER, phase)) == want
    # merge_bn.py: a convolution's weights and, for each of its channels, a bias instead of
    # BatchNorm's and Scale's five blobs.
    folded = {name: shapes[0] for name, shapes in blobs(walked(VOC_FOLDER)).items()}
    kept = [name for name in want if not name.endswith(("/bn", "/scale"))]
    assert folded == {name: want[name][0] for name in kept}


def blobs(found: Walk) -> dict[str, list[Shape]]:
    """Shapes of each layer's blobs."""
    shapes = {}
    for walked in found.layers:
        if walked.facts.params:
            shapes[walked.layer.name] = [param.shape for param in walked.facts.params]
    return shapes


def test_mobilenet_ssd_is_as_large_as_published() -> None:
    assert BACKBONE == 3_206_976
    assert EXTRAS == 2_223_488
    found = walked("mobilenet_ssd300_coco")
    assert found.learnable == BACKBONE + EXTRAS + heads(91) == 6_819_839
    assert found.learnable == pytest.approx(6.83e6, rel=0.01)
    # A multiplication and an addition each, of convolutions alone.
    assert 2 * found.macs == pytest.approx(2.48e9, rel=0.01)
    assert found.priors == 19 * 19 * 3 + (10 * 10 + 5 * 5 + 3 * 3 + 2 * 2 + 1) * 6 == 1917
    assert walked(TEMPLATES, "train").learnable == BACKBONE + EXTRAS + heads(21)


def test_light_fssd_is_as_large_as_published() -> None:
    found = walked("light_fssd300_coco")
    channels = (768, 512, 1024, 512, 256, 256, 128)
    reduced = (512 + 1024) * 256 + 2 * 2 * 256
    pyramid = sum(9 * i + i * o + 2 * i + 2 * o for i, o in pairwise(channels))
    boxes = (4, 6, 6, 6, 4, 4)
    predictors = sum((c + 1) * b * (4 + 81) for c, b in zip(channels[1:], boxes, strict=True))
    assert found.learnable - found.frozen == BACKBONE + reduced + pyramid + predictors
    assert found.learnable - found.frozen == pytest.approx(6.5e6, rel=0.01)
    assert found.priors == 8732


def test_both_coco_detectors_learn_coco_s_label_ids() -> None:
    assert netgen.configure("mobilenet_ssd300_coco").dataset.num_classes == 91
    assert netgen.configure("ppn300_coco").dataset.num_classes == 91
    assert netgen.configure("light_fssd300_coco").dataset.num_classes == 81
    folder = ROOT / "data_prep/labelmaps"
    ids = label_map.read(folder / "labelmap_coco_ids.prototxt").item
    dense = label_map.read(folder / "labelmap_coco.prototxt").item
    assert [item.label for item in ids] == list(range(91))
    assert all(item.name == str(item.label) for item in ids[1:])
    shown = {item.name: item.display_name for item in ids}
    assert all(shown[item.name] == item.display_name for item in dense)
    assert sum(name.startswith("unused") for name in shown.values()) == 10
