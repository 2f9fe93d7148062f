"""Boxes on tensors: area, IoU, coding against priors, non-maximum suppression.

A box is (xmin, ymin, xmax, ymax), usually normalised to [0, 1].
Source: util/bbox_util.cpp in weiliu89/caffe, branch ssd.
"""

from __future__ import annotations

import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from netrun.detection.stable_topk import stable_topk

CORNER = pb.PriorBoxParameter.CORNER
CENTER_SIZE = pb.PriorBoxParameter.CENTER_SIZE
CORNER_SIZE = pb.PriorBoxParameter.CORNER_SIZE

_TINY = torch.finfo(torch.float32).tiny
_BLOCK = 64  # boxes of a list that the CPU suppresses at once: they fit into the cache
_PAIRS = 1 << 27  # box pairs whose IoU a device holds at once


def area(boxes: torch.Tensor) -> torch.Tensor:
    """Compute the areas (...) of boxes (..., 4); 0 for a box with a negative side."""
    size = boxes[..., 2:] - boxes[..., :2]
    inverted = (size < 0).any(-1)
    return torch.where(inverted, size.new_zeros(()), size.prod(-1))


def iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Compute the intersection over union of every box of `a` with every box of `b`.

    a: boxes (..., A, 4).
    b: boxes (..., B, 4).
    Returns (..., A, B), 0 where two boxes only touch or have no area.
    """
    a1 = a[..., :, None, :]
    b1 = b[..., None, :, :]
    width = _shared_side(a1, b1, 0)
    height = _shared_side(a1, b1, 1)
    shared = width.mul_(height)
    union = area(a)[..., :, None] + area(b)[..., None, :]
    union.sub_(shared)
    return shared.div_(union.clamp_(min=_TINY))


def _shared_side(a: torch.Tensor, b: torch.Tensor, axis: int) -> torch.Tensor:
    """The length that boxes share along an axis (0: x, 1: y); 0 where they do not meet."""
    end = torch.minimum(a[..., 2 + axis], b[..., 2 + axis])
    start = torch.maximum(a[..., axis], b[..., axis])
    return end.sub_(start).clamp_(min=0)


def _centers_sizes(boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    low = boxes[..., :2]
    high = boxes[..., 2:]
    return (low + high) / 2, high - low


def encode(
    boxes: torch.Tensor,
    priors: torch.Tensor,
    variances: torch.Tensor | None,
    code_type: int = CENTER_SIZE,
) -> torch.Tensor:
    """Compute the codes that a head must predict over priors to describe these boxes.

    boxes, priors: (..., 4).
    variances: (..., 4), divide the code; None with encode_variance_in_target.
    code_type: CORNER, offsets of the corners; CORNER_SIZE, the same in prior widths and
        heights; CENTER_SIZE, the coding of Faster R-CNN, which SSD uses (section 2.2).
    """
    code = _encode_undivided(boxes, priors, code_type)
    if variances is None:
        return code
    return code / variances


def _encode_undivided(
    boxes: torch.Tensor,
    priors: torch.Tensor,
    code_type: int,
) -> torch.Tensor:
    """The codes of boxes, not yet divided by the variances."""
    center, size = _centers_sizes(priors)
    if code_type == CENTER_SIZE:
        box_center, box_size = _centers_sizes(boxes)
        offset = (box_center - center) / size
        growth = torch.log(box_size / size)
        return torch.cat([offset, growth], -1)
    code = boxes - priors
    if code_type == CORNER_SIZE:
        code = code / torch.cat([size, size], -1)
    return code


def decode(
    codes: torch.Tensor,
    priors: torch.Tensor,
    variances: torch.Tensor | None,
    code_type: int = CENTER_SIZE,
) -> torch.Tensor:
    """Compute the boxes that predicted codes over priors describe: the inverse of `encode`.

    codes, priors: (..., 4).
    variances, code_type: as in `encode`.
    Returns boxes (..., 4), which may extend beyond the image.
    """
    offset = codes
    if variances is not None:
        offset = codes * variances
    center, size = _centers_sizes(priors)
    if code_type == CENTER_SIZE:
        middle = offset[..., :2] * size + center
        half = torch.exp(offset[..., 2:]) * size / 2
        return torch.cat([middle - half, middle + half], -1)
    if code_type == CORNER_SIZE:
        offset = offset * torch.cat([size, size], -1)
    return priors + offset


def nms(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    threshold: float,
) -> torch.Tensor:
    """Suppress greedily every box that overlaps a better one.

    boxes: (K, 4).
    scores: (K,).
    threshold: a box is suppressed where its IoU with a better one exceeds this.
    Returns the indices (int64) of the kept boxes: best score first, equal scores in order.
    """
    _, order = stable_topk(scores, len(scores))
    ranked = boxes[order][None]
    valid = torch.ones_like(order, dtype=torch.bool)[None]
    keep = greedy_keep(ranked, valid, threshold)[0]
    return order[keep]


def greedy_keep(
    boxes: torch.Tensor,
    valid: torch.Tensor,
    threshold: float,
    eta: float = 1.0,
    *,
    scores: torch.Tensor | None = None,
    limit: int = 0,
) -> torch.Tensor:
    """Tell which boxes greedy suppression keeps in each of B ranked lists.

    boxes: (B, K, 4), best first.
    valid: bool (B, K), true for boxes, false for the padding behind them.
    threshold: a box is suppressed where its IoU with a better one exceeds this.
    eta: if below 1, each kept box multiplies the threshold by eta while the threshold exceeds 0.5.
    scores: (B, K), or None; together with `limit`, they let suppression stop early.
    limit: how many of the best kept boxes over all lists the caller wants (0: all).
    Returns bool (B, K).
    """
    if eta < 1:
        return _keep_lists_adaptive(boxes, valid, threshold, eta)
    if boxes.device.type == "cpu":
        return _keep_by_blocks(boxes, valid, threshold, scores, limit)
    step = max(1, _PAIRS // max(1, boxes.shape[1] ** 2))
    parts = zip(boxes.split(step), valid.split(step), strict=True)
    return torch.cat([_keep_by_rounds(b, v, threshold) for b, v in parts])


def _keep_by_blocks(
    boxes: torch.Tensor,
    valid: torch.Tensor,
    threshold: float,
    scores: torch.Tensor | None,
    limit: int,
) -> torch.Tensor:
    """Suppress block after block of all lists.

    First, kept boxes of earlier blocks suppress boxes of a block; then rounds settle the rest. A
    list is done once its next score is below the `limit` best kept.
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
        end = start + _BLOCK
        block = boxes[lists, start:end]
        left = valid[lists, start:end]
        if start:
            before = _kept_before(boxes, keep, lists, start)
            left &= ~(iou(before, block) > threshold).any(1)
        keep[lists, start:end] = _keep_by_rounds(block, left, threshold)
    return keep


def _kept_before(
    boxes: torch.Tensor,
    keep: torch.Tensor,
    lists: torch.Tensor,
    start: int,
) -> torch.Tensor:
    """The boxes (L, M, 4) that the given lists keep before index `start`.

    Zeros, which overlap nothing, pad the shorter lists.
    """
    kept = keep[lists, :start]
    longest = int(kept.sum(1).max())
    order = kept.byte().argsort(dim=1, descending=True, stable=True)[:, :longest]
    return boxes[lists[:, None], order] * kept.gather(1, order)[..., None]


def _keep_by_rounds(
    boxes: torch.Tensor,
    valid: torch.Tensor,
    threshold: float,
) -> torch.Tensor:
    """Suppress all lists at once, in rounds until nothing changes.

    A kept box removes the worse boxes that it overlaps. All boxes start as kept; round r settles
    every box that depends on a chain of at most r others. The fixed point is unique, so it is the
    greedy answer.
    """
    dtype = torch.float32
    if boxes.is_cuda:
        dtype = torch.float16
    beats = (iou(boxes, boxes) > threshold).triu_(1).to(dtype)
    keep = valid
    for _ in range(boxes.shape[1]):
        beaten = torch.bmm(keep.to(dtype)[:, None], beats)[:, 0] > 0
        settled = keep
        keep = valid & ~beaten
        if torch.equal(settled, keep):
            break
    return keep


def _keep_lists_adaptive(
    boxes: torch.Tensor,
    valid: torch.Tensor,
    threshold: float,
    eta: float,
) -> torch.Tensor:
    """Suppress list after list on the host, with a falling threshold."""
    keep = np.zeros(valid.shape, bool)
    counts = valid.sum(-1).tolist()
    for row, own, count in zip(keep, boxes.cpu(), counts, strict=True):
        row[_keep_adaptive(own[:count], threshold, eta)] = True
    return torch.from_numpy(keep).to(valid.device)


def _keep_adaptive(
    boxes: torch.Tensor,
    threshold: float,
    eta: float,
) -> np.ndarray:
    """The kept indices of one ranked list; every kept box lowers the threshold."""
    keep = np.zeros(len(boxes), bool)
    limit = np.float32(threshold)
    for start in range(0, len(boxes), _BLOCK):
        end = start + _BLOCK
        overlaps = iou(boxes[start:end], boxes[:end]).numpy()
        for i, row in enumerate(overlaps, start):
            if (row[keep[: len(row)]] > limit).any():
                continue
            keep[i] = True
            if limit > 0.5:
                limit *= np.float32(eta)
    return np.flatnonzero(keep)
