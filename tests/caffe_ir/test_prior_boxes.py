"""How many boxes PriorBox sets around a cell: the rule, the boxes themselves and netgen's heads
agree with the fork's float32.
"""

from __future__ import annotations

import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.prior_boxes import prior_boxes
from caffe_ir.rules.detection import aspect_ratios, boxes_per_cell
from netgen.heads.priors import Priors
from tests.caffe_ir.support import of


def ratios_param(*ratios: float, flip: bool = True) -> pb.PriorBoxParameter:
    """Four min_size, so that a ratio counts four times."""
    return pb.PriorBoxParameter(
        min_size=[10, 20, 30, 40], aspect_ratio=ratios, flip=flip, img_size=100
    )


# A ratio and its inverse, as one writes them in text. 24 of the first 84, beginning with 1/26 and
# 26, differ between a list of doubles and the fork's list of floats.
INVERSES = [(1 / n, n) for n in range(2, 201)]


@pytest.mark.parametrize("pair", INVERSES + [(b, a) for a, b in INVERSES])
def test_a_ratio_and_its_inverse_count_as_the_fork_counts_them(pair: tuple[float, float]) -> None:
    first, second = np.float32(pair[0]), np.float32(pair[1])
    flipped = np.float32(1.0 / np.float64(first))
    old = any(np.float64(abs(second - known)) < 1e-6 for known in (np.float32(1), first, flipped))
    expected = 3 if old else 5  # 1, first, flipped; and, if new, second and its inverse
    param = ratios_param(*pair)
    assert len(aspect_ratios(param)) == expected
    assert boxes_per_cell(param) == 4 * expected
    assert prior_boxes(param, (1, 1), (100, 100)).shape == (2, 4 * expected * 4)
    assert Priors(10, 15, pair).count == expected + 1


def test_0_005_and_200_are_each_others_inverses() -> None:
    """float32(1 / float32(0.005)) is 200 exactly: 1, 0.005 and 200 by four sizes are 12 boxes."""
    body = 'type: "PriorBox" prior_box_param { min_size: 10 min_size: 20 min_size: 30 min_size: 40 '
    body += "aspect_ratio: 0.005 aspect_ratio: 200 flip: true img_size: 100 }"
    assert of(body, (1, 8, 1, 1)).tops == [(1, 2, 12 * 4)]
    assert prior_boxes(ratios_param(0.005, 200), (1, 1), (100, 100)).shape == (2, 12 * 4)


def test_without_flip_only_the_ratios_themselves_count() -> None:
    assert aspect_ratios(ratios_param(2, 0.5, 1, 2, flip=False)) == [1, 2, 0.5]


def test_1e_6_is_compared_in_double() -> None:
    """1 + 8 x 2^-23 is 9.54e-7 above 1, 1 + 9 x 2^-23 is 1.07e-6 above it."""
    assert aspect_ratios(ratios_param(1 + 8 * 2**-23, flip=False)) == [1]
    assert aspect_ratios(ratios_param(1 + 9 * 2**-23, flip=False)) == [1, 1 + 9 * 2**-23]


@pytest.mark.parametrize("direction", [0.0, np.inf])
def test_no_inverse_falls_within_1e_6_of_1(direction: float) -> None:
    """Forward leaves out ratios less than 1e-6 from 1, SetUp has counted them: no inverse may be
    one.

    By distance from 1 the nearest 100 floats on either side; further away, inverses are further
    away.
    """
    ratio = np.float32(1)
    for _ in range(100):
        ratio = np.nextafter(ratio, np.float32(direction))
        ratios = aspect_ratios(ratios_param(float(ratio)))
        assert all(abs(other - 1.0) >= 1e-6 for other in ratios[1:])
        written = 1 + len(ratios[1:])
        assert written * 4 == boxes_per_cell(ratios_param(float(ratio)))


def test_an_inverse_beyond_float32_is_infinite() -> None:
    assert aspect_ratios(ratios_param(1e-40))[2] == np.inf
