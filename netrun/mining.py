"""Hard example mining: which negatives, or which examples, a MultiBoxLoss learns from (SSD section 2.2).

Semantics are those of MineHardExamples in util/bbox_util.cpp of weiliu89/caffe (ssd); equal losses keep their order.
"""

from __future__ import annotations

import torch

from netrun.boxes import area, nms
from netrun.matching import UNMATCHED
from netrun.ranking import stable_topk

_SMALL = 1e-5  # boxes of less area are no examples where examples are thinned by NMS


def max_negative(
    index: torch.Tensor, overlap: torch.Tensor, loss: torch.Tensor, neg_pos_ratio: float, neg_overlap: float
) -> torch.Tensor:
    """The negatives to learn from, bool (N, P): per image the unmatched priors of greatest loss, neg_pos_ratio for each matched one.

    index, overlap: (N, P) from `match`; loss: (N, P) confidence losses. Priors that overlap an object by neg_overlap are no negatives.
    """
    eligible = (index == UNMATCHED) & (overlap < neg_overlap)
    allowed = ((index > UNMATCHED).sum(1).float() * neg_pos_ratio).long()
    wanted = torch.minimum(allowed, eligible.sum(1))
    order = torch.where(eligible, loss, -torch.inf).argsort(dim=1, descending=True, stable=True)
    rank = torch.arange(loss.shape[1], device=loss.device)
    return torch.zeros_like(eligible).scatter_(1, order, rank < wanted[:, None])


def hard_examples(
    loss: torch.Tensor, present: torch.Tensor, sample_size: int, boxes: torch.Tensor | None, threshold: float, top_k: int
) -> torch.Tensor:
    """The examples to learn from, matched or not, bool (N, P): the sample_size of greatest loss in each image with objects.

    loss: (N, P), confidence plus localisation; present: bool (N,). boxes: (N or 1, P, 4), by which examples are thinned with NMS
    (threshold, and top_k, the number of best looked at) first, or None.
    """
    chosen = torch.zeros_like(loss, dtype=torch.bool)
    if boxes is None:
        _, places = stable_topk(loss, min(sample_size, loss.shape[1]))
        return chosen.scatter_(1, places, present[:, None].expand_as(places))
    for mask, losses, image_boxes, any_object in zip(chosen, loss, boxes.expand(len(loss), -1, -1), present.tolist(), strict=True):
        if any_object:
            _, best = stable_topk(losses, len(losses) if top_k < 0 else min(top_k, len(losses)))
            best = best[area(image_boxes[best]) >= _SMALL]
            mask[best[nms(image_boxes[best], losses[best], threshold)][:sample_size]] = True
    return chosen
