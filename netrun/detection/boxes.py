"""Boxes on tensors: area, IoU, encoding against priors, decoding, non-maximum suppression.

A box is (xmin, ymin, xmax, ymax), usually normalised to [0, 1]. Semantics are those of util/bbox_util.cpp in weiliu89/caffe (ssd).
"""

from __future__ import annotations

import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from netrun.detection.stable_topk import stable_topk

CORNER, CENTER_SIZE, CORNER_SIZE = pb.PriorBoxParameter.CORNER, pb.PriorBoxParameter.CENTER_SIZE, pb.PriorBoxParameter.CORNER_SIZE

_TINY = torch.finfo(torch.float32).tiny
_BLOCK = 64  # candidates of each list that greedy suppression takes at a time on the CPU: what they need stays in cache
_PAIRS = 1 << 27  # box pairs whose IoU may be held at once on a device


def area(boxes: torch.Tensor) -> torch.Tensor:
    """Areas (...) of boxes (..., 4); a box with a side below zero has none."""
    size = boxes[..., 2:] - boxes[..., :2]
    return torch.where((size < 0).any(-1), size.new_zeros(()), size.prod(-1))


def iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Intersection over union (..., A, B) of boxes a (..., A, 4) and b (..., B, 4); 0 where they only touch or have no area."""
    a1, b1 = a[..., :, None, :], b[..., None, :, :]
    width = torch.minimum(a1[..., 2], b1[..., 2]).sub_(torch.maximum(a1[..., 0], b1[..., 0])).clamp_(min=0)
    height = torch.minimum(a1[..., 3], b1[..., 3]).sub_(torch.maximum(a1[..., 1], b1[..., 1])).clamp_(min=0)
    shared = width.mul_(height)
    union = (area(a)[..., :, None] + area(b)[..., None, :]).sub_(shared)
    return shared.div_(union.clamp_(min=_TINY))


def _centers_sizes(boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, high - low


def encode(boxes: torch.Tensor, priors: torch.Tensor, variances: torch.Tensor | None, code_type: int = CENTER_SIZE) -> torch.Tensor:
    """What a head must predict over priors (..., 4) for it to mean boxes (..., 4).

    variances: (..., 4), by which the code is divided, or None where they are part of the target (encode_variance_in_target).
    CORNER: corner offsets; CORNER_SIZE: those in prior widths and heights; CENTER_SIZE: SSD's, the Faster R-CNN coding (SSD section 2.2).
    """
    center, size = _centers_sizes(priors)
    if code_type == CENTER_SIZE:
        box_center, box_size = _centers_sizes(boxes)
        code = torch.cat([(box_center - center) / size, torch.log(box_size / size)], -1)
    else:
        code = boxes - priors
        if code_type == CORNER_SIZE:
            code = code / torch.cat([size, size], -1)
    return code if variances is None else code / variances


def decode(codes: torch.Tensor, priors: torch.Tensor, variances: torch.Tensor | None, code_type: int = CENTER_SIZE) -> torch.Tensor:
    """The boxes (..., 4) that predictions `codes` over priors mean; the inverse of `encode`, unclipped."""
    offset = codes if variances is None else codes * variances
    center, size = _centers_sizes(priors)
    if code_type == CENTER_SIZE:
        middle = offset[..., :2] * size + center
        half = torch.exp(offset[..., 2:]) * size / 2
        return torch.cat([middle - half, middle + half], -1)
    return priors + (offset * torch.cat([size, size], -1) if code_type == CORNER_SIZE else offset)


def nms(boxes: torch.Tensor, scores: torch.Tensor, threshold: float, top_k: int = -1, eta: float = 1.0) -> torch.Tensor:
    """Places (int64) of the boxes that greedy non-maximum suppression keeps, best score first, equal scores in their order.

    boxes: (K, 4); scores: (K,). A box falls to a better one where their IoU exceeds threshold. top_k: how many of the best are
    looked at (-1: all). eta < 1: each box kept multiplies the threshold by eta while it is above 0.5.
    """
    k = len(scores) if top_k < 0 else min(top_k, len(scores))
    _, order = stable_topk(scores, k)
    ranked = boxes[order][None]
    return order[greedy_keep(ranked, torch.ones_like(order, dtype=torch.bool)[None], threshold, eta)[0]]


def greedy_keep(
    boxes: torch.Tensor, valid: torch.Tensor, threshold: float, eta: float = 1.0, *, scores: torch.Tensor | None = None, limit: int = 0
) -> torch.Tensor:
    """Which of B ranked lists of boxes greedy suppression keeps: bool (B, K).

    boxes: (B, K, 4), best first; valid: bool (B, K), true for the first so many of each list. threshold, eta: as in `nms`.
    scores, limit: where only boxes that are among the `limit` best kept of all lists matter, (B, K) scores by which to leave out others.
    """
    if eta < 1:
        keep = np.zeros(valid.shape, bool)
        for row, own, count in zip(keep, boxes.cpu(), valid.sum(-1).tolist(), strict=True):
            row[_keep_adaptive(own[:count], threshold, eta)] = True
        return torch.from_numpy(keep).to(valid.device)
    if boxes.device.type == "cpu":
        return _keep_by_blocks(boxes, valid, threshold, scores, limit)
    step = max(1, _PAIRS // max(1, boxes.shape[1] ** 2))
    return torch.cat([_keep_by_rounds(b, v, threshold) for b, v in zip(boxes.split(step), valid.split(step), strict=True)])


def _keep_by_blocks(boxes: torch.Tensor, valid: torch.Tensor, threshold: float, scores: torch.Tensor | None, limit: int) -> torch.Tensor:
    """Block after block of all lists: cleared of what those kept before overlap, then settled by rounds.

    A list whose next score is below that of the `limit` best kept by then is not followed any further.
    """
    keep = torch.zeros_like(valid)
    lists = torch.arange(len(valid))
    for start in range(0, valid.shape[1], _BLOCK):
        goes_on = valid[lists, start]
        if start and scores is not None and limit > 0 and int(keep.sum()) >= limit:
            goes_on &= scores[lists, start] >= scores[keep].topk(limit).values[-1]
        lists = lists[goes_on]
        if not len(lists):
            break
        block, left = boxes[lists, start : start + _BLOCK], valid[lists, start : start + _BLOCK]
        if start:
            kept = keep[lists, :start]
            order = kept.byte().argsort(dim=1, descending=True, stable=True)[:, : int(kept.sum(1).max())]
            before = boxes[lists[:, None], order] * kept.gather(1, order)[..., None]  # in place of a box not kept, one that overlaps none
            left &= ~(iou(before, block) > threshold).any(1)
        keep[lists, start : start + _BLOCK] = _keep_by_rounds(block, left, threshold)
    return keep


def _keep_by_rounds(boxes: torch.Tensor, valid: torch.Tensor, threshold: float) -> torch.Tensor:
    """Greedy suppression without a step per box: all lists at once, rounds until nothing changes.

    A box is out if a kept better one overlaps it. Starting from all, round r settles every box whose fate hangs on a chain of at
    most r others, so the fixed point, which is unique, is the greedy answer.
    """
    beats = (iou(boxes, boxes) > threshold).triu_(1).to(torch.float16 if boxes.is_cuda else torch.float32)
    keep = valid
    for _ in range(boxes.shape[1]):
        beaten = torch.bmm(keep.to(beats.dtype)[:, None], beats)[:, 0] > 0
        settled, keep = keep, valid & ~beaten
        if torch.equal(settled, keep):
            break
    return keep


def _keep_adaptive(boxes: torch.Tensor, threshold: float, eta: float) -> np.ndarray:
    """Places kept of one ranked list where the threshold falls with every box kept."""
    keep = np.zeros(len(boxes), bool)
    limit = np.float32(threshold)
    for start in range(0, len(boxes), _BLOCK):
        overlaps = iou(boxes[start : start + _BLOCK], boxes[: start + _BLOCK]).numpy()
        for i, row in enumerate(overlaps, start):
            if not (row[keep[: len(row)]] > limit).any():
                keep[i] = True
                if limit > 0.5:
                    limit *= np.float32(eta)
    return np.flatnonzero(keep)
