"""Cards: their text."""

from __future__ import annotations

import re

import pytest

import netgen
from caffe_ir.caffe_ir_pb2 import NetParameter
from caffe_ir.text import parse
from netgen.cli import main
from netgen.reports.card import card, memory, rates
from netgen.reports.walks import walk_net


def test_a_card(capsys: pytest.CaptureFixture[str]) -> None:
    main(["card", "fssd300"])
    out = capsys.readouterr().out
    data = "VOC0712: 16,551 images to train on, 4,952 to test on, 21 classes with background"
    for words in (
        "§4.2 and Table 3: 78.8 mAP",
        "GTX 1080Ti",
        f"| data | {data} |",
        "learning rate 0.001, times 0.1 at 80,000, 100,000, 120,000",
        "batch 16 x 2 devices x iter_size 1 = 32, on 2 GPUs, 232 epochs",  # 120,000 x 32 / 16,551
        "| boxes | 8,732 |",
        "| parameters | 33,835,182 |",
        "| fea_concat_bn_ds_1 | 512x38x38 | 4 | 5,776 | 30 | 60 | 2 | auto |",
        "prototxt/fssd300_voc0712/train.sh",
    ):
        assert words in out
    assert "of which 82.8% have their centre in the image" in card("dssd321_voc0712_release")


def test_activation_memory() -> None:
    """Two blobs of 256·4·128² = 2²⁴ values of four bytes, and their gradients.

    The images and a convolution's output; its ReLU works in place.
    """
    net = """
    layer {
      name: "d" type: "Input" top: "d"
      input_param { shape { dim: [256, 4, 128, 128] } }
    }
    layer {
      name: "c" type: "Convolution" bottom: "d" top: "c"
      convolution_param { num_output: 4 kernel_size: 1 }
    }
    layer { name: "r" type: "ReLU" bottom: "c" top: "c" }"""
    assert memory(walk_net(parse(net, NetParameter))) == "256 MiB"
    assert memory(walk_net(parse(net.replace("256", "1024"), NetParameter))) == "1.0 GiB"


def test_rates_in_words() -> None:
    chain = netgen.configure("m2det320_vgg_coco").solvers()
    assert [rates(solver) for solver in chain] == [
        "to iteration 18,480, learning rate 1e-06 + 1.08e-07 per iteration",
        "to iteration 554,400, learning rate 0.002, times 0.1 at 332,640, 443,520",
    ]


@pytest.mark.parametrize(
    ("zoo_id", "row"),
    [
        ("m2det320_vgg_coco", "4 Titan X, 72 hours"),  # 3 days
        ("m2det512_resnet101_coco", "2 V100, 264 hours"),  # 11 days
        ("ssd321_resnet101_coco", "4 P40"),
        ("m2det320_vgg_coco_release", ""),
        ("ssd300_voc0712", ""),  # no source names them
    ],
)
def test_hardware_and_hours_are_on_the_card(zoo_id: str, row: str) -> None:
    found = re.findall(r"\| paper's hardware \| (.*) \|", card(zoo_id))
    assert found == [row] * bool(row)


@pytest.mark.parametrize(
    ("zoo_id", "row"),
    [
        ("ssd300_voc0712", "SGD, momentum 0.9, weight decay 0.0005"),
        ("mobilenet_ssd300_coco", "RMSProp, weight decay 5e-05"),
        ("mobilenet_ssd300_voc0712_release", "RMSProp, weight decay 5e-05"),
    ],
)
def test_the_optimiser_is_the_solvers(zoo_id: str, row: str) -> None:
    assert re.findall(r"\| optimiser \| (.*) \|", card(zoo_id)) == [row]
