"""Soft suppression: a box that overlaps a better one loses score instead of falling (Bodla et al. 2017, "Soft-NMS", ICCV)."""

from __future__ import annotations

import torch

from netrun.detection.boxes import iou

LOWEST = 0.001  # a score that falls below is nothing any more (their code, lib/nms/cpu_nms.pyx of bharatsingh430/soft-nms)


def soft_nms(boxes: torch.Tensor, scores: torch.Tensor, threshold: float = 0.3, lowest: float = LOWEST) -> torch.Tensor:
    """The scores (..., K) that linear soft suppression leaves of `scores` (..., K) of boxes (..., K, 4), 0 for those below `lowest`.

    Of each list, the best box that is left is taken, and every other left one whose IoU with it exceeds `threshold` has its score
    multiplied by 1 − IoU (eq. 3 of the paper; its code's default threshold); then the best of the rest, until none is left.
    Of equal scores the first goes first. -inf stands for no box.
    """
    count, length = scores.shape[:-1].numel(), scores.shape[-1]
    left = torch.where(scores >= lowest, scores, -torch.inf).reshape(count, length)
    lists = boxes.reshape(count, length, 4)
    taken = torch.zeros_like(left)
    rows = torch.arange(len(left), device=left.device)
    while left.numel() and bool((left > 0).any()):
        best = (left == left.amax(1, keepdim=True)).to(torch.uint8).argmax(1)  # the first of equals, which max does not promise
        score = left[rows, best]
        taken[rows, best] = torch.where(score > 0, score, taken[rows, best])
        left[rows, best] = -torch.inf
        overlap = iou(lists[rows, best][:, None], lists)[:, 0]
        left = torch.where(overlap > threshold, left * (1 - overlap), left)
        left = torch.where(left >= lowest, left, -torch.inf)
    return taken.reshape(scores.shape)
