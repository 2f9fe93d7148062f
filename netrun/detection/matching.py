"""Matching: which prior learns which object (SSD section 2.2), over a whole batch.

Source: GetGroundTruth, MatchBBox and FindMatches in util/bbox_util.cpp of weiliu89/caffe,
branch ssd, tie rules included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from netrun.detection.boxes import iou
from netrun.detection.stable_topk import place_of, sortable_keys
from ssd_common.errors import CaffeError

UNMATCHED = -1
IGNORED = -2
_NO_OVERLAP = 1e-6  # an IoU up to this counts as 0


@dataclass(frozen=True)
class GroundTruth:
    """The objects of a batch; padding gives all images' lists the same length.

    boxes: (N, G, 4); zeros, which match nothing, are padding.
    labels: int64 (N, G).
    present: bool (N,), whether an image has objects.
    """

    boxes: torch.Tensor
    labels: torch.Tensor
    present: torch.Tensor


def ground_truth(
    rows: torch.Tensor,
    images: int,
    device: torch.device,
    *,
    classes: int | None,
    background: int = 0,
    difficult: bool = True,
) -> GroundTruth:
    """Read the objects of a batch out of a label blob.

    The host computes the layout, so for a blob in host memory nothing waits for a GPU.
    rows: (1, 1, R, 8), each [image, label, instance, xmin, ymin, xmax, ymax, difficult];
        image -1 is padding.
    images: how many images are in the batch (N).
    device: where to put the result.
    classes: labels must lie in [0, classes); None: not checked.
    background: the label that no object may have.
    difficult: whether difficult objects count.
    Raises CaffeError for a label that is the background's or outside the classes.
    """
    table = rows.detach().cpu().reshape(-1, 8).numpy()
    image = table[:, 0].astype(np.int64)
    in_batch = (image >= 0) & (image < images)
    wanted = in_batch & (difficult | (table[:, 7] == 0))
    by_image = np.argsort(image[wanted], kind="stable")
    order = np.flatnonzero(wanted)[by_image]
    table = table[order]
    image = image[order]
    label = table[:, 1].astype(np.int64)
    _check_labels(label, classes, background)
    counts = np.bincount(image, minlength=images)
    firsts = counts.cumsum() - counts
    slot = np.arange(len(image)) - np.repeat(firsts, counts)
    boxes = np.zeros((images, max(1, counts.max(initial=0)), 4), np.float32)
    labels = np.full(boxes.shape[:2], background, np.int64)
    boxes[image, slot] = table[:, 3:7]
    labels[image, slot] = label
    arrays = (boxes, labels, counts > 0)
    return GroundTruth(*(torch.from_numpy(a).to(device, non_blocking=True) for a in arrays))


def _check_labels(
    label: np.ndarray,
    classes: int | None,
    background: int,
) -> None:
    if (label == background).any():
        raise CaffeError(f"found background label {background} in the ground truth")
    if classes is None:
        return
    wrong = label[(label < 0) | (label >= classes)]
    if len(wrong):
        raise CaffeError(
            f"ground truth has label {wrong[0]}, outside the {classes} classes "
            "(num_classes, background included)"
        )


def match(
    candidates: torch.Tensor,
    truth: torch.Tensor,
    *,
    per_prediction: bool,
    threshold: float,
    ignore_cross_boundary: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Match candidate boxes to objects; nothing here waits for a GPU.

    First, each object gets a candidate of its own: the pair of greatest IoU comes first, among
    equals the earlier candidate, then the earlier object. Then, if per_prediction, every other
    candidate takes the object that it overlaps most (the earlier of equals).
    candidates: (N or 1, P, 4).
    truth: (N, G, 4), zeros are padding.
    per_prediction: whether the second step happens.
    threshold: the least IoU of the second step.
    ignore_cross_boundary: whether candidates that extend beyond the image match nothing.
    Returns (index, overlap), both (N, P): index, int64, is the object of each candidate,
    UNMATCHED, or IGNORED for one that extends beyond the image; overlap is its best IoU with any
    object.
    """
    overlaps = iou(truth, candidates)
    overlaps.masked_fill_(overlaps <= _NO_OVERLAP, 0)
    outside = None
    if ignore_cross_boundary:
        outside = ((candidates < 0) | (candidates > 1)).any(-1)
        overlaps.masked_fill_(outside[:, None], 0)
    best, favourite = overlaps.max(1)
    index = torch.full_like(favourite, UNMATCHED)
    if per_prediction:
        reaches = (best >= threshold) & (best > 0)
        index = torch.where(reaches, favourite, index)
    index = _bipartite(overlaps, index)
    if outside is not None:
        index = torch.where(outside, IGNORED, index)
    return index, best


def _bipartite(overlaps: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Give each object a candidate of its own, greatest overlap first.

    An object can lose at most G - 1 candidates to the G - 1 others, so its G best suffice. Keys
    hold overlap and index, so one argmax also resolves ties.
    overlaps: (N, G, P).
    index: (N, P), the object of each candidate so far.
    Returns `index`, changed for these candidates.
    """
    objects, count = overlaps.shape[1:]
    keys = sortable_keys(overlaps).topk(min(objects, count)).values  # (N, G, K)
    places = place_of(keys, count)
    keys = torch.where(keys >> 32 > 0, keys, 0)
    depth = keys.shape[2]
    for _ in range(objects):
        top, where = keys.flatten(1).max(1, keepdim=True)
        found = top > 0
        taken = where // depth
        place = places.flatten(1).gather(1, where)
        matched = torch.where(found, taken, index.gather(1, place))
        index = index.scatter(1, place, matched)
        same_place = places == place[:, :, None]
        keys = keys.masked_fill(same_place & found[:, :, None], 0)
        keys = keys.scatter(1, taken[:, :, None].expand(-1, -1, depth), 0)
    return index
