"""Hard example mining: the negatives, or examples, that a MultiBoxLoss learns from.

Paper: SSD, section 2.2. Equal losses keep their order.
Source: MineHardExamples in util/bbox_util.cpp of weiliu89/caffe, branch ssd.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from netrun.detection.boxes import area, nms
from netrun.detection.matching import UNMATCHED
from netrun.detection.stable_topk import stable_topk

_SMALL = 1e-5  # NMS ignores boxes of a smaller area


@dataclass(frozen=True)
class Thinning:
    """How NMS thins out the examples before mining takes the best.

    boxes: (N or 1, P, 4).
    threshold: NMS drops an example that overlaps one of greater loss by a larger IoU.
    top_k: how many examples of greatest loss to look at (-1: all).
    """

    boxes: torch.Tensor
    threshold: float
    top_k: int = -1


def max_negative(
    index: torch.Tensor,
    overlap: torch.Tensor,
    loss: torch.Tensor,
    ratio: float,
    neg_overlap: float,
    *,
    thinning: Thinning | None = None,
) -> torch.Tensor:
    """Choose the negatives to learn from: the unmatched priors of greatest loss.

    index, overlap: (N, P), from `match`.
    loss: (N, P), confidence losses.
    ratio: how many negatives each matched prior of an image allows.
    neg_overlap: a prior that has at least this IoU with an object is not a negative.
    Returns bool (N, P).
    """
    eligible = (index == UNMATCHED) & (overlap < neg_overlap)
    matched = (index > UNMATCHED).sum(1)
    allowed = (matched.float() * ratio).long()
    wanted = torch.minimum(allowed, eligible.sum(1))
    return _greatest(loss, eligible, wanted, thinning)


def hard_examples(
    loss: torch.Tensor,
    present: torch.Tensor,
    sample_size: int,
    thinning: Thinning | None = None,
) -> torch.Tensor:
    """Choose the examples to learn from, matched or not, in images that have objects.

    loss: (N, P), confidence loss plus localisation loss.
    present: bool (N,), whether an image has objects.
    sample_size: how many examples of greatest loss an image gives.
    Returns bool (N, P).
    """
    eligible = present[:, None].expand_as(loss)
    return _greatest(loss, eligible, present * sample_size, thinning)


def _greatest(
    loss: torch.Tensor,
    eligible: torch.Tensor,
    wanted: torch.Tensor,
    thinning: Thinning | None,
) -> torch.Tensor:
    """Mark in each image the `wanted` (N,) eligible priors of greatest loss: bool (N, P)."""
    chosen = torch.zeros_like(loss, dtype=torch.bool)
    if thinning is None:
        ranked = torch.where(eligible, loss, -torch.inf)
        order = ranked.argsort(dim=1, descending=True, stable=True)
        ranks = torch.arange(loss.shape[1], device=loss.device)
        return chosen.scatter_(1, order, ranks < wanted[:, None])
    boxes = thinning.boxes.expand(len(loss), -1, -1)
    for i, count in enumerate(wanted.tolist()):
        places = eligible[i].nonzero()[:, 0]
        kept = _thinned(loss[i], boxes[i], places, thinning)
        chosen[i, kept[:count]] = True
    return chosen


def _thinned(
    loss: torch.Tensor,
    boxes: torch.Tensor,
    places: torch.Tensor,
    thinning: Thinning,
) -> torch.Tensor:
    """The part of one image's `places` that NMS keeps, greatest loss first.

    loss: (P,).
    boxes: (P, 4).
    """
    k = len(places)
    if thinning.top_k >= 0:
        k = min(thinning.top_k, k)
    _, best = stable_topk(loss[places], k)
    places = places[best]
    places = places[area(boxes[places]) >= _SMALL]
    kept = nms(boxes[places], loss[places], thinning.threshold)
    return places[kept]
