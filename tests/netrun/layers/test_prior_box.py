"""PriorBox against the fork's golden cases, and one box by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffe_ir.rules import facts
from netrun.layers.prior_box import PriorBox
from tests.netrun.layers.detection_support import close, make_layer, run_golden
from tests.support import golden


@pytest.mark.parametrize("path", golden("detection/prior_*.npz"))
def test_golden(path):
    top, wanted, _ = run_golden(path)
    assert close(top, wanted, 1e-6)


def test_by_hand_and_cached_per_shape():
    layer = make_layer(
        'layer { name: "p" type: "PriorBox" bottom: "f" bottom: "data" top: "p" '
        "prior_box_param { min_size: 16.9 max_size: 25 aspect_ratio: 4 flip: true } }"
    )
    feature, image = torch.zeros(2, 8, 1, 2), torch.zeros(2, 3, 50, 200)
    [top] = layer.forward([feature, image])
    # Centres: step 200 / 2 = 100 wide and 50 / 1 = 50 high, offset 0.5: (50, 25), (150, 25). Sizes
    # lose their fraction: 16 and 25. 16 x 16; sqrt(16 * 25) = 20 x 20; ratio 4: 16 * 2 x 16 / 2 =
    # 32 x 8; flipped 8 x 32.
    sides = [(16, 16), (20, 20), (32, 8), (8, 32)]
    boxes = [
        [(x - w / 2) / 200, (25 - h / 2) / 50, (x + w / 2) / 200, (25 + h / 2) / 50]
        for x in (50, 150)
        for w, h in sides
    ]
    np.testing.assert_allclose(top[0, 0].numpy(), np.ravel(boxes), rtol=1e-6)
    np.testing.assert_array_equal(top[0, 1].numpy(), np.float32(0.1))
    assert layer.forward([feature, image])[0] is top
    assert layer.forward([torch.zeros(2, 8, 3, 2), image])[0].shape == (1, 2, 3 * 2 * 4 * 4)
    assert not PriorBox.has_backward


def test_ratios_that_are_each_others_inverses_count_once():
    """float32(1 / float32(0.005)) is 200: three ratios by four sizes, and the net's shape is that
    of its data.
    """
    layer = make_layer(
        'layer { name: "p" type: "PriorBox" bottom: "f" top: "p" '
        "prior_box_param { min_size: 10 min_size: 20 "
        "min_size: 30 min_size: 40 aspect_ratio: 0.005 aspect_ratio: 200 img_size: 100 } }"
    )
    [top] = layer.forward([torch.zeros(1, 8, 1, 1)])
    assert top.shape == (1, 2, 12 * 4)
    assert facts(layer.param, [(1, 8, 1, 1)]).tops == [top.shape]


@pytest.mark.parametrize("axes", [0, 1, 2])
def test_axes_that_are_not_there_have_side_1(axes: int) -> None:
    """As in the fork: one cell, its centre half a step of 8 / 1 from the corner; 4 wide in an image
    of 8.
    """
    layer = make_layer(
        'layer { name: "p" type: "PriorBox" top: "p" prior_box_param { min_size: 4 img_size: 8 } }'
    )
    [top] = layer.forward([torch.zeros([3] * axes)])
    assert top[0, 0].tolist() == [0.25, 0.25, 0.75, 0.75]
