"""Linear soft suppression by hand, against a plain loop, and in DetectionOutput."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from netrun.detection.boxes import iou
from netrun.detection.soft_nms import soft_nms
from tests.netrun.layers.detection_support import make_layer

# IoUs: a b 0.08 / 0.12 = 2/3, a c 0.04 / 0.16 = 1/4, b c 0.08 / 0.12 = 2/3; d lies apart.
A, B, C, D = [0.0, 0, 0.5, 0.2], [0.1, 0, 0.6, 0.2], [0.2, 0, 0.7, 0.2], [0.8, 0.8, 0.9, 0.9]


def test_by_hand() -> None:
    """a (0.9) takes 2/3 off b: 0.6 / 3 = 0.2.

    Its 3/7 with c is above 0.3 too: 0.7 · 4/7 = 0.4; c then takes 2/3 off b: 0.2 / 3.
    """
    boxes = torch.tensor([A, B, C, D])
    # a and b share 0.4 of 0.5 + 0.1: 2/3; a and c 0.3 of 0.7: 3/7; b and c 2/3.
    assert iou(boxes, boxes)[0].tolist() == pytest.approx([1, 2 / 3, 3 / 7, 0])
    left = soft_nms(boxes, torch.tensor([0.9, 0.6, 0.7, 0.1]))
    assert left.tolist() == pytest.approx([0.9, 0.2 / 3, 0.4, 0.1])
    # At 0.5, 3/7 is no overlap: c keeps 0.7 and takes 2/3 of b first after a.
    assert soft_nms(boxes, torch.tensor([0.9, 0.6, 0.7, 0.1]), 0.5).tolist() == pytest.approx(
        [0.9, 0.2 / 3, 0.7, 0.1]
    )
    # Below 0.001 a score becomes 0: a leaves b 0.002 / 3 and c 0.7 / 300 · 4/7 = 0.4 / 300.
    left = soft_nms(boxes, torch.tensor([0.9, 0.002, 0.7 / 300, 0.0009]))
    assert left.tolist() == pytest.approx([0.9, 0, 0.4 / 300, 0])


def plain(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """The loop of the paper's Figure 2, a box at a time."""
    left = {i: float(s) for i, s in enumerate(scores) if s >= 0.001}
    overlaps = iou(torch.from_numpy(boxes), torch.from_numpy(boxes)).numpy()
    out = np.zeros_like(scores)
    while left:
        best = max(left, key=lambda i: (left[i], -i))
        out[best] = left.pop(best)
        for i in left:
            if overlaps[best, i] > threshold:
                left[i] *= 1 - float(overlaps[best, i])
        left = {i: s for i, s in left.items() if s >= 0.001}
    return out


def test_many_lists_at_once() -> None:
    rng = np.random.default_rng(0)
    corners = rng.random((3, 5, 40, 2, 2), dtype=np.float32)
    boxes = np.concatenate([corners.min(-2), corners.max(-2)], -1)
    scores = rng.random((3, 5, 40), dtype=np.float32)
    scores[0, 1, 5:] = -np.inf  # a short list, and an empty one
    scores[2, 3] = -np.inf
    left = soft_nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.3).numpy()
    for i in range(3):
        for j in range(5):
            assert left[i, j] == pytest.approx(plain(boxes[i, j], scores[i, j], 0.3), rel=1e-4)
    assert 0 < (left < scores).sum() < scores.size


def test_nothing_to_suppress() -> None:
    assert soft_nms(torch.zeros(2, 0, 4), torch.zeros(2, 0)).shape == (2, 0)
    assert soft_nms(torch.tensor([A, A]), torch.tensor([0.5, 0.5])).tolist() == [0.5, 0], (
        "of equals the first stays"
    )


@pytest.mark.parametrize(
    ("soft", "rows"),
    [
        (False, [[1, 0.9, *A], [1, 0.7, *C], [1, 0.1, *D]]),  # b falls to a at 0.45
        (True, [[1, 0.9, *A], [1, 0.7, *C], [1, 0.1, *D], [1, 0.2 / 3, *B]]),
    ],
)
def test_detections(soft: bool, rows: list) -> None:
    layer = make_layer(
        'layer { name: "d" type: "DetectionOutput" '
        "detection_output_param { num_classes: 2 nms_param { nms_threshold: 0.45 top_k: 400 } "
        "code_type: CENTER_SIZE keep_top_k: 200 confidence_threshold: 0.05 } }",
        soft_nms=soft,
    )
    conf = torch.tensor([[0.1, 0.9, 0.4, 0.6, 0.3, 0.7, 0.9, 0.1]])
    priors = torch.tensor([[*A, *B, *C, *D], [0.1] * 16])[None]
    found = layer.forward([torch.zeros(1, 16), conf, priors])[0][0, 0]
    assert found[:, 1:].numpy() == pytest.approx(np.array(rows), rel=1e-5)
