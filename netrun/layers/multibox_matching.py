"""Finds the object that each prior or prediction of a MultiBoxLoss answers for."""

from __future__ import annotations

import torch
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from netrun.detection.matching import UNMATCHED, GroundTruth, match

Match = tuple[Tensor, Tensor]  # a candidate's object and best IoU


def class_numbers(count: int, device: torch.device) -> Tensor:
    """The numbers of the first `count` classes, (count, 1)."""
    return torch.arange(count, device=device)[:, None]


class Matcher:
    """Matches priors or predictions with objects, by the layer's options.

    loc_classes: how many classes have localisations of their own (L).
    Source: weiliu89/caffe (ssd), FindMatches in util/bbox_util.cpp.
    """

    def __init__(self, options: pb.MultiBoxLossParameter, loc_classes: int) -> None:
        self.options = options
        self.loc_classes = loc_classes

    def match(self, candidates: Tensor, truth: GroundTruth) -> Match:
        """Object and best IoU of each candidate, both (N, L, P).

        candidates: priors (P, 4) or predictions (N, L, P, 4).
        """
        if candidates.dim() == 2:
            return self._match_priors(candidates, truth)
        if not self.options.share_location:
            return self._match_by_class(candidates, truth)
        index, overlap = self._matched(candidates[:, 0], truth.boxes)
        return index[:, None], overlap[:, None]

    def _match_priors(self, priors: Tensor, truth: GroundTruth) -> Match:
        index, overlap = self._matched(priors[None], truth.boxes)
        if self.options.share_location:
            return index[:, None], overlap[:, None]
        # The predictions of a class answer for the objects of that class.
        label = truth.labels.gather(1, index.clamp(min=0))
        index = index[:, None]
        own = label[:, None] == class_numbers(self.loc_classes, label.device)
        index = torch.where((index > UNMATCHED) & own, index, UNMATCHED)
        return index, overlap[:, None].expand_as(index)

    def _match_by_class(self, predicted: Tensor, truth: GroundTruth) -> Match:
        """Match the predictions (N, L, P, 4) of each class with the objects of that class."""
        classes = class_numbers(self.loc_classes, truth.labels.device)
        background = self.options.background_label_id
        own = truth.labels[:, None] == classes  # (N, L, G)
        own = own & (classes != background)
        objects = torch.where(own[..., None], truth.boxes[:, None], 0)
        boxes = predicted.flatten(0, 1)
        index, overlap = self._matched(boxes, objects.flatten(0, 1))
        shape = predicted.shape[:3]
        return index.view(shape), overlap.view(shape)

    def _matched(self, boxes: Tensor, objects: Tensor) -> Match:
        """Object and best IoU (B, P) of boxes (B or 1, P, 4) among objects (B, G, 4)."""
        p = self.options
        return match(
            boxes,
            objects,
            per_prediction=p.match_type == p.PER_PREDICTION,
            threshold=p.overlap_threshold,
            ignore_cross_boundary=p.ignore_cross_boundary_bbox,
        )
