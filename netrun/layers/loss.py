"""Losses: each top is one number (shape ()), by default of weight 1 in the net's loss."""

from __future__ import annotations

import math
from functools import cached_property

import torch
import torch.nn.functional as F

from caffe_ir import binary
from caffe_ir import caffe_ir_pb2 as pb
from netrun.layers.registry import Layer, layer, pass_through
from netrun.weights.files import blob_array

LOG_SMALLEST = math.log(1.17549435e-38)  # of the smallest normal float32: Caffe takes no logarithm of less
LOG_THRESHOLD = 1e-20  # the smallest probability in MultinomialLogisticLoss and InfogainLoss


def normalizer(param: pb.LossParameter, mode: int, outer: int, inner: int, valid: torch.Tensor) -> torch.Tensor:
    """What a loss is divided by, at least 1: all places (FULL), those not ignored (VALID), the outer count (BATCH_SIZE), or 1 (NONE).

    mode: where neither normalization nor the older `normalize` is given. valid: count of places not ignored, a tensor of shape ().
    """
    if param.HasField("normalization"):
        mode = param.normalization
    elif param.HasField("normalize"):
        mode = param.VALID if param.normalize else param.BATCH_SIZE
    if mode == param.VALID:
        return valid.clamp(min=1)
    count = outer * inner if mode == param.FULL else outer if mode == param.BATCH_SIZE else 1
    return torch.full_like(valid, max(1, count))


class _Labelled(Layer):
    """A loss of a softmax against whole-number labels, one for each place outside the softmax's axis."""

    no_gradient_to = frozenset({1})

    def log_probability(self, scores: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logarithms of all probabilities (outer, classes, inner); those of the labels, and which labels count (outer, inner)."""
        axis = self.param.softmax_param.axis % scores.dim()
        outer, classes = math.prod(scores.shape[:axis]), scores.shape[axis]
        log_p = F.log_softmax(scores.reshape(outer, classes, -1), 1)
        wanted = labels.detach().reshape(outer, 1, -1).long()
        p = self.param.loss_param
        counts = (wanted != p.ignore_label) if p.HasField("ignore_label") else torch.ones_like(wanted, dtype=torch.bool)
        chosen = log_p.gather(1, torch.where(counts, wanted, 0))
        chosen = pass_through(chosen.clamp(min=LOG_SMALLEST), chosen)  # the value is clipped, the gradient is not
        return log_p, chosen[:, 0], counts[:, 0]

    def tops(self, places: torch.Tensor, counts: torch.Tensor, log_p: torch.Tensor, scores: torch.Tensor) -> list[torch.Tensor]:
        p = self.param.loss_param
        divisor = normalizer(p, p.VALID, places.shape[0], places.shape[1], counts.sum())
        loss = torch.where(counts, places, 0.0).sum() / divisor
        return [loss, log_p.exp().reshape(scores.shape)][: len(self.param.top)]


@layer("SoftmaxWithLoss")
class SoftmaxWithLoss(_Labelled):
    """Cross entropy; a second top gives the probabilities."""

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        log_p, chosen, counts = self.log_probability(*bottoms[:2])
        return self.tops(-chosen, counts, log_p, bottoms[0])


@layer("FocalLoss")
class FocalLoss(_Labelled):
    """-alpha (1 - p)**gamma log p of each label's probability p (Lin et al. 2017), as the FSSD fork has it: type and beta do nothing."""

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        if len(self.param.top) > 1:
            raise self.refuse("the fork's FocalLoss cannot give its probabilities: use a Softmax layer", "top")
        return self.tops(*focal(self, bottoms), bottoms[0])


def focal(layer: FocalLoss, bottoms: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    log_p, chosen, counts = layer.log_probability(bottoms[0], bottoms[1])
    p = layer.param.focal_loss_param
    with torch.no_grad():
        probability = chosen.exp()
        power = p.alpha * (1 - probability) ** p.gamma
        slope = p.gamma * power / (1 - probability).clamp(min=1e-10) * probability * chosen - power
    # the fork's own gradient, which stays finite where a probability comes to 1
    return pass_through(-power * chosen, slope * chosen), counts, log_p


@layer("SmoothL1Loss")
class SmoothL1Loss(Layer):
    """0.5 d**2 where |d| < 1, |d| - 0.5 elsewhere, of d = w * (bottom 0 - bottom 1), summed and divided by the batch.

    As in the fork's CPU code, the weights w (the third bottom) enter the gradient once, through d.
    """

    no_gradient_to = frozenset({2})

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        d = bottoms[0] - bottoms[1].reshape(bottoms[0].shape)
        if len(bottoms) > 2:
            d = pass_through(bottoms[2].reshape(d.shape) * d, d)
        return [F.smooth_l1_loss(d, torch.zeros_like(d), reduction="sum") / bottoms[0].shape[0]]


@layer("EuclideanLoss")
class EuclideanLoss(Layer):
    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        return [(bottoms[0] - bottoms[1].reshape(bottoms[0].shape)).square().sum() / (2 * bottoms[0].shape[0])]


@layer("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(Layer):
    """Cross entropy of sigmoids against targets in [0, 1], divided by the batch unless a normalization says otherwise."""

    no_gradient_to = frozenset({1})

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        p = self.param.loss_param
        scores, targets = bottoms[0], bottoms[1].detach().reshape(bottoms[0].shape)
        counts = (targets.long() != p.ignore_label) if p.HasField("ignore_label") else torch.ones_like(targets, dtype=torch.bool)
        places = F.binary_cross_entropy_with_logits(scores, targets, reduction="none")
        divisor = normalizer(p, p.BATCH_SIZE, scores.shape[0], scores[0].numel(), counts.sum())
        return [torch.where(counts, places, 0.0).sum() / divisor]


def _logarithm(p: torch.Tensor) -> torch.Tensor:
    """Of probabilities, at least LOG_THRESHOLD; the slope of smaller ones is that of the threshold, as in Caffe."""
    return pass_through(p.clamp(min=LOG_THRESHOLD), p).log()


@layer("MultinomialLogisticLoss")
class MultinomialLogisticLoss(Layer):
    """Cross entropy of given probabilities against one label per image."""

    no_gradient_to = frozenset({1})

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        chosen = bottoms[0].flatten(1).gather(1, bottoms[1].detach().reshape(-1, 1).long())
        return [-_logarithm(chosen).sum() / len(chosen)]


@layer("InfogainLoss")
class InfogainLoss(Layer):
    """Minus the logarithms of given probabilities, weighted by the label's row of a matrix: the third bottom, or a file."""

    no_gradient_to = frozenset({1, 2})

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        scores, labels = bottoms[0].flatten(1), bottoms[1].detach().flatten().long()
        matrix = bottoms[2] if len(bottoms) > 2 else self.matrix
        weights = matrix.reshape(-1, scores.shape[1])[labels]
        return [-(weights * _logarithm(scores)).sum() / len(scores)]

    @cached_property
    def matrix(self) -> torch.Tensor:
        blob = binary.read(self.param.infogain_loss_param.source, pb.BlobProto)
        return torch.from_numpy(blob_array(blob)).to(self.context.device)


@layer("HingeLoss")
class HingeLoss(Layer):
    """One against all, L1 or L2."""

    no_gradient_to = frozenset({1})

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        scores, p = bottoms[0].flatten(1), self.param.hinge_loss_param
        sign = torch.ones_like(scores).scatter(1, bottoms[1].detach().reshape(-1, 1).long(), -1.0)
        margins = (1 + sign * scores).clamp(min=0)
        return [(margins.square() if p.norm == p.L2 else margins).sum() / len(scores)]


@layer("ContrastiveLoss")
class ContrastiveLoss(Layer):
    """Half the mean of d**2 for similar pairs and max(margin - d, 0)**2 for others (legacy_version: max(margin - d**2, 0))."""

    no_gradient_to = frozenset({2})

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        p = self.param.contrastive_loss_param
        difference = (bottoms[0] - bottoms[1]).flatten(1)
        similar = bottoms[2].detach().flatten().long() != 0
        square = difference.square().sum(1)
        if p.legacy_version:
            apart = (p.margin - square).clamp(min=0)
        else:
            distance = torch.linalg.vector_norm(difference, dim=1)
            # Caffe divides by a little more than the distance in the gradient
            distance = pass_through(distance, distance * (distance / (distance + 1e-4)).detach())
            apart = (p.margin - distance).clamp(min=0).square()
        return [torch.where(similar, square, apart).sum() / (2 * len(square))]
