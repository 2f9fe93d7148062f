"""Comparisons of the detection layers where both sides are equal float32 numbers.

Expected is what the fork decides: bbox_util.cpp (MineHardExamples, FindMatches, GetMaxScoreIndex,
ApplyNMSFast) and detection_evaluate_layer.cpp of weiliu89/caffe (ssd).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from caffe_ir import caffe_ir_pb2 as pb
from netrun.detection.boxes import greedy_keep, iou, nms
from netrun.detection.hard_examples import max_negative
from netrun.detection.matching import UNMATCHED, match
from netrun.layers import Layer
from tests.netrun.layers.detection_support import make_layer

# A strip of the unit square, [0, part] x [0, 1], has an IoU of exactly `part` with the whole square
# where part is a sum of few powers of 2.
WHOLE = (0.0, 0.0, 1.0, 1.0)
PARTS = [0.25, 0.5, 0.75]


TRUTH = [0, 1, 0, *WHOLE, 0]


def alone(type_: str, fields: str, phase: int = pb.TEST, **options: bool) -> Layer:
    """A layer of two classes by itself. fields: of its message. options: of RunOptions."""
    words = {
        "DetectionEvaluate": "detection_evaluate_param",
        "DetectionOutput": "detection_output_param",
        "MultiBoxLoss": 'bottom: "l" bottom: "c" bottom: "p" bottom: "g" multibox_loss_param',
    }[type_]
    written = f"{words} {{ num_classes: 2 {fields} }}"
    return make_layer(f'layer {{ name: "alone" type: "{type_}" {written} }}', phase, **options)


def strip(part: float) -> tuple[float, float, float, float]:
    return (0.0, 0.0, part, 1.0)


def after(value: float) -> float:
    """The next float32."""
    return float(np.nextafter(np.float32(value), np.float32(2)))


def before(value: float) -> float:
    """The float32 before."""
    return float(np.nextafter(np.float32(value), np.float32(0)))


@pytest.mark.parametrize("limit", [*PARTS, float(np.float32(0.3)), float(np.float32(0.35))])
def test_a_prior_that_overlaps_by_neg_overlap_is_no_negative(limit: float) -> None:
    """`overlap < neg_overlap`."""
    index = torch.tensor([[0, UNMATCHED, UNMATCHED]])
    overlap = torch.tensor([[1.0, limit, 0.0]])
    loss = torch.tensor([[1.0, 3.0, 2.0]])
    assert max_negative(index, overlap, loss, 3, limit).tolist() == [[False, False, True]]
    assert max_negative(index, overlap, loss, 3, after(limit)).tolist() == [[False, True, True]]


@pytest.mark.parametrize("part", PARTS)
def test_neg_overlap_of_the_loss_layer(part: float) -> None:
    """Prior 0 is the object; prior 1 overlaps it by `part` and is no match.

    As a negative it adds its even confidence, ln 2.
    """

    def loss(neg_overlap: float) -> float:
        options = f"code_type: CORNER overlap_threshold: 0.9 neg_overlap: {neg_overlap!r}"
        layer = alone("MultiBoxLoss", options, pb.TRAIN)
        priors = torch.tensor([[*WHOLE, *strip(part)], [0.1] * 8])[None]
        truth = torch.tensor([[[TRUTH]]])
        return layer.forward([torch.zeros(1, 8), torch.zeros(1, 4), priors, truth])[0].item()

    assert loss(part) == pytest.approx(math.log(2), rel=1e-6)
    assert loss(after(part)) == pytest.approx(2 * math.log(2), rel=1e-6)


@pytest.mark.parametrize("part", PARTS)
def test_a_prior_that_overlaps_by_overlap_threshold_is_a_match(part: float) -> None:
    """`overlap >= overlap_threshold`. The first prior is the object's own in any case."""
    candidates = torch.tensor([WHOLE, strip(part)])[None]
    objects = torch.tensor([WHOLE])[None]
    index, best = match(candidates, objects, per_prediction=True, threshold=part)
    assert best.tolist() == [[1, part]]
    assert index.tolist() == [[0, 0]]
    index, _ = match(candidates, objects, per_prediction=True, threshold=after(part))
    assert index.tolist() == [[0, UNMATCHED]]


def detections(score: float, fields: str, *, soft: bool = False) -> np.ndarray:
    """Rows for one prior, of class 1 with this score. soft: with soft suppression."""
    words = f"nms_param {{ nms_threshold: 0.5 }} {fields}"
    layer = alone("DetectionOutput", words, soft_nms=soft)
    priors = torch.tensor([[*WHOLE], [0.1] * 4])[None]
    return layer.forward([torch.zeros(1, 4), torch.tensor([[0.0, score]]), priors])[0][0, 0].numpy()


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("threshold", [0.01, 0.25, 0.3, 0.5])
def test_a_score_of_confidence_threshold_is_no_detection(threshold: float, soft: bool) -> None:
    """`score > confidence_threshold`, float32 both."""
    field = f"confidence_threshold: {threshold}"
    assert detections(threshold, field, soft=soft).tolist() == [[0, -1, -1, -1, -1, -1, -1]]
    [row] = detections(after(threshold), field, soft=soft)
    assert row.tolist() == [0, 1, after(threshold), *WHOLE]


def test_without_confidence_threshold_a_score_of_zero_is_a_detection() -> None:
    """The threshold is then -FLT_MAX."""
    assert detections(0.0, "").tolist() == [[0, 1, 0, *WHOLE]]


@pytest.mark.parametrize("part", PARTS)
def test_a_box_that_overlaps_by_nms_threshold_stays(part: float) -> None:
    """`keep = overlap <= threshold`."""
    boxes, scores = torch.tensor([WHOLE, strip(part)]), torch.tensor([0.9, 0.8])
    assert nms(boxes, scores, part).tolist() == [0, 1]
    adaptive = greedy_keep(boxes[None], torch.ones(1, 2, dtype=torch.bool), part, eta=0.99)
    if part > 0.5:
        # The first box kept lowers the threshold to .75 * .99.
        assert adaptive.tolist() == [[True, False]]
    else:
        assert adaptive.tolist() == [[True, True]]
    assert nms(boxes, scores, before(part)).tolist() == [0]


def judged(part: float, options: str) -> list[float]:
    """True and false positive of a detection that is a strip of the object."""
    found, truth = torch.tensor([[[[0, 1, 0.5, *strip(part)]]]]), torch.tensor([[[TRUTH]]])
    [top] = alone("DetectionEvaluate", options).forward([found, truth])
    return top[0, 0, -1, 3:].tolist()


@pytest.mark.parametrize("part", PARTS)
def test_a_detection_that_overlaps_by_overlap_threshold_is_right(part: float) -> None:
    """`overlap_max >= overlap_threshold`."""
    assert judged(part, f"overlap_threshold: {part}") == [1, 0]
    assert judged(part, f"overlap_threshold: {after(part)}") == [0, 1]


def test_an_overlap_in_pixels_equal_to_the_threshold_is_right(tmp_path: Path) -> None:
    """Both edges count: of 9 x 9 pixels, 0 to 9 are 10 and 0 to 4 are 5: 5 * 10 / 10² = .5."""
    (tmp_path / "sizes.txt").write_text("a 9 9\n")
    sizes = f'name_size_file: "{tmp_path}/sizes.txt"'
    assert judged(4 / 9, f"{sizes} overlap_threshold: 0.5") == [1, 0]
    assert judged(4 / 9, f"{sizes} overlap_threshold: {after(0.5)}") == [0, 1]


@pytest.mark.parametrize("part", PARTS)
def test_nms_far_down_the_list_compares_alike(part: float) -> None:
    """Enough boxes apart between the two that suppression comes to the second in a later block."""
    apart = torch.tensor([[2.0 + i, 0.0, 2.5 + i, 1.0] for i in range(200)])
    boxes = torch.cat([torch.tensor([WHOLE]), apart, torch.tensor([strip(part)])])
    scores = torch.linspace(0.9, 0.1, len(boxes))
    assert nms(boxes, scores, part).tolist() == list(range(202))
    assert nms(boxes, scores, before(part)).tolist() == list(range(201))


def test_an_overlap_of_a_millionth_is_none() -> None:
    """`overlap > 1e-6`, where the float32 nearest to 1e-6 is less than that.

    The union, 1 + part - part, comes to 1 - 2^-24 in float32, and so the overlap to the float32
    after `part`.
    """
    millionth = float(np.float32(1e-6))
    objects = torch.tensor([WHOLE])[None]
    for part, index in ((before(millionth), UNMATCHED), (millionth, 0)):
        candidates = torch.tensor([strip(part)])[None]
        assert iou(objects, candidates).tolist() == [[[after(part)]]]
        found, _ = match(candidates, objects, per_prediction=False, threshold=0.5)
        assert found.tolist() == [[index]]
