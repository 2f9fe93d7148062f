"""Which prior learns which object: ground truth per image, and SSD's matching (SSD section 2.2) over a whole batch.

Semantics are those of GetGroundTruth, MatchBBox and FindMatches in util/bbox_util.cpp of weiliu89/caffe (ssd), its tie rules included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from netrun.detection.boxes import iou
from netrun.detection.stable_topk import place_of, ranking_keys
from ssd_common.errors import CaffeError

UNMATCHED, IGNORED = -1, -2
_NO_OVERLAP = 1e-6  # an IoU up to this counts as none


@dataclass(frozen=True)
class GroundTruth:
    """The objects of a batch, padded to one length.

    boxes: (N, G, 4), zeros (which match nothing) where an image has fewer; labels: int64 (N, G); present: bool (N,), has any.
    """

    boxes: torch.Tensor
    labels: torch.Tensor
    present: torch.Tensor


def ground_truth(
    rows: torch.Tensor, images: int, device: torch.device, *, classes: int | None, background: int = 0, difficult: bool = True
) -> GroundTruth:
    """Ground truth from a label blob (1, 1, R, 8) of rows [image, label, instance, xmin, ymin, xmax, ymax, difficult].

    Rows of image -1 are padding; difficult: whether difficult objects count. The layout is worked out on the host: where the blob
    lies there, nothing waits for a GPU. Raises CaffeError for a label that is the background's or outside [0, classes);
    classes None: any other will do.
    """
    table = rows.detach().cpu().reshape(-1, 8).numpy()
    image = table[:, 0].astype(np.int64)
    wanted = (image >= 0) & (image < images) & (difficult | (table[:, 7] == 0))
    order = np.flatnonzero(wanted)[np.argsort(image[wanted], kind="stable")]
    table, image = table[order], image[order]
    label = table[:, 1].astype(np.int64)
    if (label == background).any():
        raise CaffeError(f"found background label {background} in the ground truth")
    if classes is not None and ((label < 0) | (label >= classes)).any():
        wrong = label[(label < 0) | (label >= classes)][0]
        raise CaffeError(f"ground truth has label {wrong}, outside the {classes} classes (num_classes, background included)")
    counts = np.bincount(image, minlength=images)
    slot = np.arange(len(image)) - np.repeat(counts.cumsum() - counts, counts)
    boxes = np.zeros((images, max(1, counts.max(initial=0)), 4), np.float32)
    labels = np.full(boxes.shape[:2], background, np.int64)
    boxes[image, slot], labels[image, slot] = table[:, 3:7], label
    return GroundTruth(*(torch.from_numpy(a).to(device, non_blocking=True) for a in (boxes, labels, counts > 0)))


def match(
    candidates: torch.Tensor, truth: torch.Tensor, *, per_prediction: bool, threshold: float, ignore_cross_boundary: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Match candidate boxes to objects: object of each candidate, int64 (N, P), and its best IoU with any object, (N, P).

    candidates: (N or 1, P, 4); truth: (N, G, 4), zeros for padding. First each object takes, greatest IoU of all first, a candidate
    to itself (ties: the earlier candidate, then the earlier object); then, if per_prediction, every other candidate takes the object
    it overlaps most (ties: the earlier) if by threshold or more. UNMATCHED has no object; IGNORED reaches over the image's border
    while ignore_cross_boundary is set. Nothing here waits for a GPU.
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
        index = torch.where((best >= threshold) & (best > 0), favourite, index)
    index = _bipartite(overlaps, index)
    if outside is not None:
        index = torch.where(outside, IGNORED, index)
    return index, best


def _bipartite(overlaps: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """`index` (N, P) with each object of overlaps (N, G, P) given a candidate to itself, greatest overlap first.

    Among G objects one can lose at most G - 1 candidates to the others, so its G best suffice; keys hold overlap and place, so
    that one argmax settles ties too.
    """
    objects, count = overlaps.shape[1:]
    keys = ranking_keys(overlaps).topk(min(objects, count)).values  # (N, G, K)
    places = place_of(keys, count)
    keys = torch.where(keys >> 32 > 0, keys, 0)
    depth = keys.shape[2]
    for _ in range(objects):
        top, where = keys.flatten(1).max(1, keepdim=True)
        taken = where // depth
        place = places.flatten(1).gather(1, where)
        index = index.scatter(1, place, torch.where(top > 0, taken, index.gather(1, place)))
        keys = keys.masked_fill((places == place[:, :, None]) & (top > 0)[:, :, None], 0)
        keys = keys.scatter(1, taken[:, :, None].expand(-1, -1, depth), 0)
    return index
