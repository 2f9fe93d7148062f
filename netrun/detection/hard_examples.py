"""Hard example mining: which negatives, or which examples, a MultiBoxLoss learns from (SSD section 2.2).

Semantics are those of MineHardExamples in util/bbox_util.cpp of weiliu89/caffe (ssd); equal losses keep their order.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from netrun.detection.boxes import area, nms
from netrun.detection.matching import UNMATCHED
from netrun.detection.stable_topk import stable_topk

_SMALL = 1e-5  # boxes of less area are no examples where NMS thins them


@dataclass(frozen=True)
class Thinning:
    """Examples thinned by NMS before the best are taken: by boxes (N or 1, P, 4), among the top_k of greatest loss (-1: all)."""

    boxes: torch.Tensor
    threshold: float
    top_k: int = -1


def max_negative(
    index: torch.Tensor, overlap: torch.Tensor, loss: torch.Tensor, ratio: float, neg_overlap: float, *, thinning: Thinning | None = None
) -> torch.Tensor:
    """The negatives to learn from, bool (N, P): per image the unmatched priors of greatest loss, `ratio` for each matched one.

    index, overlap: (N, P) from `match`; loss: (N, P) confidence losses. Priors that overlap an object by neg_overlap are no negatives.
    """
    eligible = (index == UNMATCHED) & (overlap < neg_overlap)
    allowed = ((index > UNMATCHED).sum(1).float() * ratio).long()
    return _greatest(loss, eligible, torch.minimum(allowed, eligible.sum(1)), thinning)


def hard_examples(loss: torch.Tensor, present: torch.Tensor, sample_size: int, thinning: Thinning | None = None) -> torch.Tensor:
    """The examples to learn from, matched or not, bool (N, P): the sample_size of greatest loss in each image with objects.

    loss: (N, P), confidence plus localisation; present: bool (N,).
    """
    return _greatest(loss, present[:, None].expand_as(loss), present * sample_size, thinning)


def _greatest(loss: torch.Tensor, eligible: torch.Tensor, wanted: torch.Tensor, thinning: Thinning | None) -> torch.Tensor:
    """The `wanted` (N,) eligible places of greatest loss in each image, bool (N, P)."""
    chosen = torch.zeros_like(loss, dtype=torch.bool)
    if thinning is None:
        order = torch.where(eligible, loss, -torch.inf).argsort(dim=1, descending=True, stable=True)
        return chosen.scatter_(1, order, torch.arange(loss.shape[1], device=loss.device) < wanted[:, None])
    boxes, top_k = thinning.boxes.expand(len(loss), -1, -1), thinning.top_k
    for i, count in enumerate(wanted.tolist()):
        places = eligible[i].nonzero()[:, 0]
        _, best = stable_topk(loss[i, places], len(places) if top_k < 0 else min(top_k, len(places)))
        places = places[best]
        places = places[area(boxes[i, places]) >= _SMALL]
        chosen[i, places[nms(boxes[i, places], loss[i, places], thinning.threshold)][:count]] = True
    return chosen
