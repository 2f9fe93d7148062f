"""FSSD's ablations: what each row of its Tables 1 and 2 changes, and nothing else."""

from __future__ import annotations

import hashlib
from functools import cache

import pytest

import netgen
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.walk import Walk
from netgen.reports.walks import walk_net
from netgen.zoo.registry import entries
from tests.netgen.test_parity import without_paths

PLUS = "fssd300_voc0712_plus"
# Each 1x1 convolution to 256 channels of a source: 256 inputs of conv3_3 and 256 biases.
CONV3_REDUCE = 256 * 256 + 256
# fea_concat_bn_ds_1 reads 256 more channels: 3 x 3 x 256 x 512.
DS_1 = 3 * 3 * 256 * 512
BASE = 33_835_182  # parameters of fssd300_voc0712
# conv6_1, conv6_2, conv7_1, conv7_2 and conv7_2_reduce, which is conv7_2's own width and not there: conv7_2 has 256 channels already.
CONV6_7 = (1024 * 256 + 256) + (256 * 512 * 9 + 512) + (512 * 128 + 128) + (128 * 256 * 9 + 256)


def bottlenecks() -> int:
    """What (c) changes: 1x1 convolutions to half of the channels that follow, and 3x3 ones that read so many."""
    total, inputs = 0, 768
    for channels in (512, 512, 256, 256, 256, 256):
        half = channels // 2
        total += inputs * half + half + 9 * channels * (half - inputs)
        inputs = channels
    return total


# conv3_3 is 256 channels wide, so is its projection.
WANT = {
    PLUS: BASE,
    f"{PLUS}_conv3": BASE + CONV3_REDUCE + DS_1,
    f"{PLUS}_fc7": BASE - CONV6_7 - DS_1,
    f"{PLUS}_conv3_nobn": BASE + CONV3_REDUCE + DS_1,
    f"{PLUS}_conv3_sum": BASE + CONV3_REDUCE - 2 * DS_1,  # ds_1 reads 256 channels, not 768
    f"{PLUS}_bottleneck": BASE + bottlenecks(),
    "fssd300_voc0712_conv3": BASE + CONV3_REDUCE + DS_1,
    "fssd300_voc0712_scratch": BASE + CONV3_REDUCE + DS_1,
    # No ds_1: ds_2 and the first heads, 4 x (4 + 21) outputs, read the 768 channels of the fused map, not 512.
    f"{PLUS}_fused": BASE - (9 * 768 * 512 + 512) + 9 * 256 * 512 + 9 * 256 * 4 * 25,
}


@cache
def found(zoo_id: str) -> tuple[pb.NetParameter, Walk]:
    net = netgen.build(zoo_id, "train", "fssd")
    return net, walk_net(net, "train")


@pytest.mark.parametrize("zoo_id", WANT)
def test_parameters_and_boxes(zoo_id: str) -> None:
    _, walked = found(zoo_id)
    assert walked.learnable - walked.frozen == WANT[zoo_id]
    assert walked.priors == 8732


def test_every_row_of_tables_1_and_2() -> None:
    """Nine detectors: Table 2 has seven rows, Table 1 three, one of which (b) is a row of Table 2."""
    printed = {"72.7", "78.6", "78.8", "78.1", "76.3", "78.2", "78.4"}
    cards = {zoo_id: entries()[zoo_id].card for zoo_id in WANT}
    assert {value for value in printed if any(f"{value} mAP" in card for card in cards.values())} == printed
    rows = [n for n in range(1, 8) if any(f"Table 2 row {n}" in card for card in cards.values())]
    assert rows == [1, 2, 3, 4, 5, 6, 7]
    assert all(any(f"Table 1 ({x})" in card for card in cards.values()) for x in "abc")


def test_what_is_fused() -> None:
    def fused(zoo_id: str) -> tuple[str, list[str], tuple[int, ...]]:
        net, walked = found(zoo_id)
        layer = next(layer for layer in net.layer if layer.name in ("fea_concat", "fea_sum"))
        return layer.type, [name.partition("_")[0] for name in layer.bottom], walked.blobs[layer.name]

    assert fused(PLUS) == ("Concat", ["conv4", "fc7", "conv7"], (16, 768, 38, 38))
    assert fused(f"{PLUS}_conv3") == ("Concat", ["conv3", "conv4", "fc7", "conv7"], (16, 1024, 38, 38))
    assert fused(f"{PLUS}_fc7") == ("Concat", ["conv4", "fc7"], (16, 512, 38, 38))
    assert fused(f"{PLUS}_conv3_sum") == ("Eltwise", ["conv3", "conv4", "fc7", "conv7"], (16, 256, 38, 38))


def test_normalisation() -> None:
    normalised = {zoo_id for zoo_id in WANT if any(layer.type == "BatchNorm" for layer in found(zoo_id)[0].layer)}
    assert set(WANT) - normalised == {f"{PLUS}_conv3_nobn"}


def test_conv3_is_pooled_by_two() -> None:
    """75 x 75 cells by 2x2 windows of stride 2, rounded up: 38 x 38 (§3.1)."""
    _, walked = found(f"{PLUS}_conv3")
    assert walked.blobs["conv3_3_reduce"][2:] == (75, 75)
    assert walked.blobs["conv3_3_ds"][2:] == (38, 38)


def test_from_ssd_what_is_new_learns_twice_as_fast() -> None:
    """§3.2. SSD300's own layers, conv6_1 to conv7_2 among them, keep their rate, and their names and shapes, by which they are found."""
    ssd = {w.layer.name: [p.shape for p in w.facts.params] for w in walk_net(netgen.build("ssd300", "train"), "train").layers}
    _, walked = found(PLUS)
    for w in walked.layers:
        if w.layer.type == "Convolution":
            known = ssd.get(w.layer.name) == [p.shape for p in w.facts.params]
            assert w.layer.param[0].lr_mult == (1 if known else 2), w.layer.name
    assert netgen.configure(PLUS).weights == "models/VGG_VOC0712_SSD_300x300_iter_120000.caffemodel"
    assert netgen.configure(PLUS).solver().max_iter == 60_000
    assert netgen.configure("fssd300_coco_plus").solver().max_iter == 120_000
    assert netgen.configure("fssd300_voc0712_scratch").weights == ""


# Of what examples/fssd/fssd_coco_512.py of lzx1413/CAFFE_SSD (branch fssd) writes, run with its own net_spec.py and model_libs.py, without
# names and paths.
DIGESTS = {
    "train": "f0f66708c6149e00",
    "test": "22cbe2919ef7bb17",
    "deploy": "15a0bae2678a3792",
    "solver": "82fd48070350e5a5",
}


@pytest.mark.parametrize("file", DIGESTS)
def test_fssd512_coco_is_what_the_released_script_writes(file: str) -> None:
    zoo_id = "fssd512_coco_release"
    message = without_paths(netgen.solver(zoo_id) if file == "solver" else netgen.build(zoo_id, file, "fssd"))
    if file != "solver":
        message.ClearField("name")
    assert hashlib.sha256(text.dumps(message).encode()).hexdigest().startswith(DIGESTS[file])
