"""FSSD's ablations: each row of Tables 1 and 2 changes what it says, and nothing else."""

from __future__ import annotations

import hashlib
from functools import cache

import pytest

import netgen
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.rules import Shape
from caffe_ir.walk import Walk, WalkedLayer
from netgen.reports.walks import walk_net
from netgen.zoo.registry import entries
from tests.netgen.test_parity import without_paths

PLUS = "fssd300_voc0712_plus"
# Each 1x1 convolution to 256 channels of a source: 256 inputs of conv3_3 and 256 biases.
CONV3_REDUCE = 256 * 256 + 256
# fea_concat_bn_ds_1 reads 256 more channels: 3 x 3 x 256 x 512.
DS_1 = 3 * 3 * 256 * 512
BASE = 33_835_182  # parameters of fssd300_voc0712
# conv6_1, conv6_2, conv7_1, conv7_2; there is no conv7_2_reduce, because conv7_2 has 256 channels.
CONV6_7 = (1024 * 256 + 256) + (256 * 512 * 9 + 512) + (512 * 128 + 128) + (128 * 256 * 9 + 256)


def bottlenecks() -> int:
    """The change of (c): 1x1 convolutions to half of the next channels, 3x3 ones that read them."""
    total = 0
    inputs = 768
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
    # No ds_1: ds_2 and the first heads, 4 x (4 + 21) outputs, read the fused map's 768 channels,
    # not 512.
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
    """Nine detectors: Table 2 has seven rows, Table 1 three; (b) is in both."""
    cards = "\n".join(entries()[zoo_id].description for zoo_id in WANT)
    for printed in ("72.7", "78.6", "78.8", "78.1", "76.3", "78.2", "78.4"):
        assert f"{printed} mAP" in cards
    for row in range(1, 8):
        assert f"Table 2 row {row}" in cards
    for row in "abc":
        assert f"Table 1 ({row})" in cards


def test_what_is_fused() -> None:
    def fused(zoo_id: str) -> tuple[str, str, tuple[int, ...]]:
        net, walked = found(zoo_id)
        layer = next(layer for layer in net.layer if layer.name in ("fea_concat", "fea_sum"))
        sources = " ".join(name.partition("_")[0] for name in layer.bottom)
        return layer.type, sources, walked.blobs[layer.name]

    four = "conv3 conv4 fc7 conv7"
    assert fused(PLUS) == ("Concat", "conv4 fc7 conv7", (16, 768, 38, 38))
    assert fused(f"{PLUS}_conv3") == ("Concat", four, (16, 1024, 38, 38))
    assert fused(f"{PLUS}_fc7") == ("Concat", "conv4 fc7", (16, 512, 38, 38))
    assert fused(f"{PLUS}_conv3_sum") == ("Eltwise", four, (16, 256, 38, 38))


def test_normalisation() -> None:
    for zoo_id in WANT:
        net, _ = found(zoo_id)
        normalised = "BatchNorm" in {layer.type for layer in net.layer}
        assert normalised == (zoo_id != f"{PLUS}_conv3_nobn"), zoo_id


def test_conv3_is_pooled_by_two() -> None:
    """75 x 75 cells by 2x2 windows of stride 2, rounded up: 38 x 38 (§3.1)."""
    _, walked = found(f"{PLUS}_conv3")
    assert walked.blobs["conv3_3_reduce"][2:] == (75, 75)
    assert walked.blobs["conv3_3_ds"][2:] == (38, 38)


def test_from_ssd_what_is_new_learns_twice_as_fast() -> None:
    """§3.2. SSD300's own layers, conv6_1 to conv7_2 among them, keep their rate.

    They keep their names and shapes too, by which they are found.
    """

    def shapes(walked: WalkedLayer) -> list[Shape]:
        return [param.shape for param in walked.facts.params]

    ssd300 = walk_net(netgen.build("ssd300", "train"), "train")
    ssd = {walked.layer.name: shapes(walked) for walked in ssd300.layers}
    _, plus = found(PLUS)
    for walked in plus.layers:
        layer = walked.layer
        if layer.type == "Convolution":
            new = ssd.get(layer.name) != shapes(walked)
            assert layer.param[0].lr_mult == 1 + new, layer.name
    assert netgen.configure(PLUS).weights == "models/VGG_VOC0712_SSD_300x300_iter_120000.caffemodel"
    assert netgen.configure(PLUS).solver().max_iter == 60_000
    assert netgen.configure("fssd300_coco_plus").solver().max_iter == 120_000
    assert netgen.configure("fssd300_voc0712_scratch").weights == ""


# Of the files that examples/fssd/fssd_coco_512.py of lzx1413/CAFFE_SSD (branch fssd) writes, run
# with its own net_spec.py and model_libs.py, without names and paths.
DIGESTS = {
    "train": "f0f66708c6149e00",
    "test": "22cbe2919ef7bb17",
    "deploy": "15a0bae2678a3792",
    "solver": "82fd48070350e5a5",
}


@pytest.mark.parametrize("file", DIGESTS)
def test_fssd512_coco_is_what_the_released_script_writes(file: str) -> None:
    zoo_id = "fssd512_coco_release"
    if file == "solver":
        message = without_paths(netgen.solver(zoo_id))
    else:
        message = without_paths(netgen.build(zoo_id, file, "fssd"))
        message.ClearField("name")
    assert hashlib.sha256(text.dumps(message).encode()).hexdigest().startswith(DIGESTS[file])
