"""Soft suppression: lowers the score of a box that overlaps a better one, instead of dropping it.

Paper: Bodla et al. 2017, "Soft-NMS", ICCV.
"""

from __future__ import annotations

import torch

from netrun.detection.boxes import iou

# A box with a lower score counts as suppressed.
# Source: lib/nms/cpu_nms.pyx in bharatsingh430/soft-nms.
LOWEST = 0.001


def soft_nms(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    threshold: float = 0.3,
) -> torch.Tensor:
    """Lower the scores of boxes by linear soft suppression.

    A score that falls below LOWEST becomes 0.
    Each step takes the best remaining box of a list (the first among equals). It multiplies the
    score of every other remaining box by 1 − IoU where their IoU exceeds the threshold.
    boxes: (..., K, 4).
    scores: (..., K); -inf stands for no box.
    threshold: IoU; the default comes from the authors' code.
    Returns the lowered scores, (..., K).
    Source: equation 3 of the paper.
    """
    count = scores.shape[:-1].numel()
    length = scores.shape[-1]
    left = torch.where(scores >= LOWEST, scores, -torch.inf).reshape(count, length)
    lists = boxes.reshape(count, length, 4)
    taken = torch.zeros_like(left)
    rows = torch.arange(len(left), device=left.device)
    while left.numel() and bool((left > 0).any()):
        best = _first_greatest(left)
        score = left[rows, best]
        taken[rows, best] = torch.where(score > 0, score, taken[rows, best])
        left[rows, best] = -torch.inf
        overlap = iou(lists[rows, best][:, None], lists)[:, 0]
        left = torch.where(overlap > threshold, left * (1 - overlap), left)
        left = torch.where(left >= LOWEST, left, -torch.inf)
    return taken.reshape(scores.shape)


def _first_greatest(values: torch.Tensor) -> torch.Tensor:
    """The index of each row's first greatest value; max does not guarantee the first."""
    greatest = values == values.amax(1, keepdim=True)
    return greatest.to(torch.uint8).argmax(1)
