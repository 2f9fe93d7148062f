"""Boxes by hand: IoU, coding, suppression. Every way of suppressing keeps the same boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from netrun.detection import boxes
from netrun.detection.boxes import CENTER_SIZE, CORNER, CORNER_SIZE
from netrun.detection.stable_topk import stable_topk


def test_area_and_iou():
    a = torch.tensor([[0.0, 0.0, 0.4, 0.5]])  # area .2
    b = torch.tensor(
        [
            [0.2, 0.0, 0.6, 0.5],  # shares .2 x .5 = .1 of .2 + .2 - .1 = .3: 1/3
            [0.4, 0.0, 0.6, 0.5],  # touches: 0
            [0.5, 0.6, 0.7, 0.9],  # apart: 0
            [0.3, 0.4, 0.1, 0.5],  # inverted: no area, 0
            [0.1, 0.1, 0.1, 0.1],  # a point: 0
        ]
    )
    torch.testing.assert_close(boxes.area(b), torch.tensor([0.2, 0.1, 0.06, 0.0, 0.0]))
    torch.testing.assert_close(boxes.iou(a, b), torch.tensor([[1 / 3, 0, 0, 0, 0]]))
    assert boxes.iou(b[4:], b[4:]).item() == 0


PRIOR = torch.tensor([0.2, 0.3, 0.6, 0.5])  # centre (.4, .4), .4 x .2
BOX = torch.tensor([0.4, 0.3, 0.6, 0.7])  # centre (.5, .5), .2 x .4
VARIANCES = torch.tensor([0.1, 0.1, 0.2, 0.2])
CODES = [
    (CORNER, [0.2, 0, 0, 0.2]),
    (CORNER_SIZE, [0.2 / 0.4, 0, 0, 0.2 / 0.2]),
    (CENTER_SIZE, [0.1 / 0.4, 0.1 / 0.2, math.log(0.2 / 0.4), math.log(0.4 / 0.2)]),
]


@pytest.mark.parametrize(("code_type", "code"), CODES)
def test_encode_and_decode(code_type, code):
    code = torch.tensor(code)
    torch.testing.assert_close(boxes.encode(BOX, PRIOR, None, code_type), code)
    torch.testing.assert_close(boxes.encode(BOX, PRIOR, VARIANCES, code_type), code / VARIANCES)
    torch.testing.assert_close(boxes.decode(code, PRIOR, None, code_type), BOX)
    torch.testing.assert_close(boxes.decode(code / VARIANCES, PRIOR, VARIANCES, code_type), BOX)


STRIPS = torch.tensor([[0.0, 0, 0.5, 1], [0.1, 0, 0.6, 1], [0.3, 0, 0.8, 1], [0.5, 0, 1.0, 1]])
# Strips .5 long at 0, .1, .3, .5. IoU at distance d: (.5 - d) / (.5 + d): .1: .667, .2: .429, .3:
# .25, .4: .111.


@pytest.mark.parametrize(
    ("scores", "options", "kept"),
    [
        (
            [0.9, 0.8, 0.7, 0.6],
            {},
            [0, 2, 3],
        ),  # 1 falls to 0 by .667; 2 stays (.25 with 0); 3 stays (.429 with 2)
        ([0.6, 0.9, 0.7, 0.6], {}, [1, 2, 3]),  # 0 falls to 1
        ([0.5, 0.5, 0.5, 0.5], {}, [0, 2, 3]),  # equal scores: in order
        ([0.9, 0.8, 0.7, 0.6], {"threshold": 0.4}, [0, 2]),  # 3 falls to 2 by .429
        ([0.9, 0.8, 0.7, 0.6], {"threshold": 0.7}, [0, 1, 2, 3]),
        ([], {}, []),
    ],
)
def test_nms(scores, options, kept):
    options = {"threshold": 0.5, **options}
    strips = STRIPS[: len(scores)]
    assert boxes.nms(strips, torch.tensor(scores), **options).tolist() == kept


@pytest.mark.parametrize(
    ("eta", "kept"),
    [
        (1, [0, 1, 2, 3]),
        # .7 lets 1 stay; only after it, at .7 * .7 = .49 and then .49 still, does anything fall:
        # eta counts from the first box kept.
        (0.7, [0, 2, 3]),
        (0.6, [0, 2]),  # .7 * .6 = .42 < .429
    ],
)
def test_eta_lowers_the_threshold_with_each_box_kept(eta, kept):
    found = boxes.greedy_keep(STRIPS[None], torch.ones(1, 4, dtype=torch.bool), 0.7, eta)
    assert found[0].nonzero()[:, 0].tolist() == kept


def plain_nms(ranked: torch.Tensor, threshold: float) -> list[int]:
    overlaps = boxes.iou(ranked, ranked)
    kept: list[int] = []
    for i in range(len(ranked)):
        if all(overlaps[i, j] <= threshold for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("count", [0, 1, boxes._BLOCK - 1, boxes._BLOCK, boxes._BLOCK + 1, 500])
def test_every_way_of_suppressing_agrees(count):
    generator = torch.Generator().manual_seed(count)
    corner = torch.rand(2, count, 2, generator=generator) * 0.6
    ranked = torch.cat(
        [corner, corner + 0.1 + 0.3 * torch.rand(2, count, 2, generator=generator)], 2
    )
    valid = torch.arange(count) < torch.tensor([[count], [count * 2 // 3]])
    keep = boxes.greedy_keep(ranked, valid, 0.3)
    for row, own, ok in zip(keep, ranked, valid, strict=True):
        assert row.nonzero()[:, 0].tolist() == plain_nms(own[ok], 0.3)
    assert torch.equal(boxes._keep_by_rounds(ranked, valid, 0.3), keep)
    np.testing.assert_array_equal(
        boxes._keep_adaptive(ranked[0], 0.3, 1.0), keep[0].numpy().nonzero()[0]
    )


@pytest.mark.parametrize("limit", [1, 40, 120])
def test_the_best_kept_are_the_same_where_only_they_are_looked_for(limit):
    """Four lists of 500 boxes whose scores fall at different rates, in steps, so that there are
    equal ones.
    """
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(4, 500, 2, generator=generator) * 0.6
    ranked = torch.cat([corner, corner + 0.1 + 0.3 * torch.rand(4, 500, 2, generator=generator)], 2)
    scores = 100 - (torch.arange(500) // 7) * torch.tensor([[0.2], [0.5], [1.0], [1.3]])
    valid = scores > 5
    every = boxes.greedy_keep(ranked, valid, 0.3)
    some = boxes.greedy_keep(ranked, valid, 0.3, scores=scores, limit=limit)
    assert some.sum() < every.sum()

    def best(keep: torch.Tensor) -> list[int]:
        return stable_topk(scores.masked_fill(~keep, -torch.inf).flatten(), limit)[1].tolist()

    assert best(some) == best(every)


def test_stable_topk_keeps_equals_in_order():
    values = torch.tensor([[1.0, -2.0, 3.0, -0.0, 3.0, 0.0, -torch.inf, 1.0]])
    top, places = stable_topk(values, 8)
    assert places.tolist() == [[2, 4, 0, 7, 3, 5, 1, 6]]
    assert top.tolist() == [[3, 3, 1, 1, 0, 0, -2, -torch.inf]]
