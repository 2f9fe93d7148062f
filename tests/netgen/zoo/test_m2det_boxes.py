"""M2Det's prior boxes against the authors' formula, box by box."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import netgen
from caffe_ir.prior_boxes import prior_boxes
from netgen.heads.priors import Priors
from netgen.reports.summary import summary
from netgen.reports.walks import centres_inside, prior_layers, walk_net

# configs/ of qijiezhao/M2Det: side → step_pattern, size_pattern; and the cells that data/anchors.py
# gives.
CONFIGS = {
    320: ((8, 16, 32, 64, 107, 320), (0.08, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)),
    512: ((8, 16, 32, 64, 128, 256), (0.06, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)),
    704: ((8, 16, 32, 64, 117, 176), (0.04, 0.11, 0.23, 0.39, 0.58, 0.80, 1.05)),
    800: ((8, 16, 32, 62, 115, 160), (0.04, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)),
}
CELLS = {
    320: (40, 20, 10, 5, 3, 1),
    512: (64, 32, 16, 8, 4, 2),
    704: (88, 44, 22, 11, 6, 4),
    800: (100, 50, 25, 13, 7, 5),
}


def authors(side: int) -> np.ndarray:
    """Centre x and y, width and height of every box, before the clamp to 0 … 1.

    Source: PriorBox, layers/functions/prior_box.py of qijiezhao/M2Det.
    """
    boxes: list[tuple[float, ...]] = []
    steps, sizes = CONFIGS[side]
    for k, cells in enumerate(CELLS[side]):
        low, high = (round(size * side, 2) / side for size in sizes[k : k + 2])
        between = math.sqrt(low * high)
        shapes = [(low, low), (between, between)]
        for ratio in (2, 3):
            long, short = low * math.sqrt(ratio), low / math.sqrt(ratio)
            shapes += [(long, short), (short, long)]
        for row, column in itertools.product(range(cells), repeat=2):
            centre = ((column + 0.5) * steps[k] / side, (row + 0.5) * steps[k] / side)
            boxes += [(*centre, *shape) for shape in shapes]
    return np.array(boxes)


def as_run(zoo_id: str) -> np.ndarray:
    """Centres and sizes of the boxes that the net's PriorBox layers make."""
    found = []
    for prior in prior_layers(walk_net(netgen.build(zoo_id, "deploy"))):
        feature, image = (shape[2:] for shape in prior.bottoms)
        boxes = prior_boxes(prior.layer.prior_box_param, feature, image)[0]
        found.append(boxes.reshape(-1, 4).astype(float))
    low, high = np.split(np.concatenate(found), 2, axis=1)
    return np.hstack([(low + high) / 2, high - low])


@pytest.mark.parametrize(
    ("zoo_id", "side", "clamped"),
    [
        # Ratio 3 on 3×3 cells (0.69·√3 = 1.20), ratios 2 and 3 on the last cell (0.87·√2 = 1.23):
        # 9·2 + 4 = 22.
        ("m2det320_vgg_coco", 320, 22),
        ("m2det320_resnet101_coco", 320, 22),
        ("m2det320_vgg_coco_baseline", 320, 22),
        ("m2det320_vgg_coco_release", 320, 22),
        ("m2det512_vgg_coco", 512, 16 * 2 + 4 * 4),
        ("m2det512_vgg_coco_release", 512, 16 * 2 + 4 * 4),
        # 0.58·√3 = 1.005, 0.80·√2 = 1.13
        ("m2det704_vgg_coco_release", 704, 36 * 2 + 16 * 4),
        ("m2det800_vgg_coco", 800, 49 * 2 + 25 * 4),
        ("m2det800_vgg_coco_release", 800, 49 * 2 + 25 * 4),
    ],
)
def test_all_boxes_are_the_authors(zoo_id: str, side: int, clamped: int) -> None:
    """But for those that the authors clamp, which are wider or higher than the image."""
    ours = as_run(zoo_id)
    theirs = authors(side)
    assert ours == pytest.approx(theirs, abs=2e-7)
    differ = (abs(ours - theirs.clip(0, 1)) > 1e-6).any(axis=1)
    assert differ.sum() == clamped


def test_sizes_are_whole_numbers_of_parts() -> None:
    """25.6 pixels of 320 are 128 fifths of a pixel; every other field is in fifths, too."""
    for layer in netgen.build("m2det320_vgg_coco", "train").layer:
        if layer.type == "PriorBox":
            param = layer.prior_box_param
            assert all(size == int(size) for size in (*param.min_size, *param.max_size))
            assert param.img_size == 5 * 320
    first, *_ = (prior.layer.prior_box_param for prior in layers("m2det320_vgg_coco"))
    assert (first.min_size[0], first.max_size[0], first.step) == (128, 240, 40)


def layers(zoo_id: str) -> list:
    return prior_layers(walk_net(netgen.build(zoo_id, "deploy")))


def test_an_input_that_is_not_square() -> None:
    """The shorter side, 320, sets the sizes; the centres lie in both directions' cells."""
    net = netgen.configure("m2det320_vgg_coco", size=(320, 512)).build("deploy")
    first = prior_layers(walk_net(net))[0]
    param = first.layer.prior_box_param
    assert (param.img_h, param.img_w) == (1600, 2560)
    corners = prior_boxes(param, (40, 64), (320, 512))[0].reshape(-1, 4)[0]
    sizes = (corners[2:] - corners[:2]) * [512, 320]
    assert sizes == pytest.approx([25.6, 25.6], abs=1e-4)
    assert centres_inside(walk_net(net)) == 1


@pytest.mark.parametrize(
    ("low", "high", "parts"),
    [
        (30, 60, 1),
        (25.6, 48, 5),
        (30.72, 76.8, 25),
        (40.88, 76.65, 100),
        (25.6, 0, 5),  # no square in between
        # 511 pixels: 44457·53655 hundredths are more than an int holds; 94·94 of them are not.
        (444.57, 536.55, 94),
    ],
)
def test_parts_of_a_pixel(low: float, high: float, parts: int) -> None:
    prior = Priors(low, high, (2,))
    assert prior.parts == parts
    written = prior.in_parts(parts)
    assert written.min_size / parts == pytest.approx(low, abs=0.5 / 94)
    assert written.min_size * (written.max_size or written.min_size) < 1 << 31


@pytest.mark.parametrize(
    ("net", "row"),
    [
        ("m2det320_vgg_coco", "2048x40x40 6 9,600 25.6 48 2 3 8"),
        ("m2det704_vgg_coco_release", "2048x88x88 6 46,464 28.16 77.44 2 3 8"),
        # PriorBox cuts SSD512's 7 % of 512 pixels.
        ("ssd512_voc0712", "512x64x64 4 16,384 35 (35.84) 76 (76.8) 2 8"),
        ("ssd300_voc0712", "512x38x38 4 5,776 30 60 2 8"),
    ],
)
def test_summary_says_which_sizes_run(net: str, row: str) -> None:
    lines = [" ".join(line.split()) for line in summary(net).splitlines()]
    assert any(line.endswith(f" {row}") for line in lines)
