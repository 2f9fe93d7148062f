"""Losses: each top is one number (shape ()), by default with weight 1 in the net's loss."""

from __future__ import annotations

import math
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_ir import binary
from caffe_ir import caffe_ir_pb2 as pb
from netrun.layers.registry import Layer, Tensors, layer, pass_through
from netrun.weights.files import blob_array

# The logarithm of the smallest normal float32: Caffe never takes the logarithm of less.
LOG_SMALLEST = math.log(1.17549435e-38)
LOG_THRESHOLD = 1e-20  # the smallest probability in MultinomialLogisticLoss and InfogainLoss


def normalization_mode(param: pb.LossParameter, default: int) -> int:
    """How to divide a loss: by `normalization`, by the older `normalize`, or by `default`."""
    if param.HasField("normalization"):
        return param.normalization
    if not param.HasField("normalize"):
        return default
    return param.VALID if param.normalize else param.BATCH_SIZE


def normalizer(
    param: pb.LossParameter,
    mode: int,
    outer: int,
    inner: int,
    valid: Tensor,
) -> Tensor:
    """The divisor of a loss, at least 1.

    That is the count of all places (FULL), of those not ignored (VALID), the outer count
    (BATCH_SIZE), or 1 (NONE).
    mode: used if the prototxt has neither `normalization` nor the older `normalize`.
    outer, inner: the counts of places before and behind the axis of the classes.
    valid: the count of places not ignored, shape ().
    Source: weiliu89/caffe (ssd), LossLayer::GetNormalizer in loss_layer.cpp.
    """
    mode = normalization_mode(param, mode)
    if mode == param.VALID:
        return valid.clamp(min=1)
    if mode == param.FULL:
        return torch.full_like(valid, max(1, outer * inner))
    if mode == param.BATCH_SIZE:
        return torch.full_like(valid, max(1, outer))
    return torch.ones_like(valid)


def _not_ignored(labels: Tensor, param: pb.LossParameter) -> Tensor:
    """Which labels count: bool, of the labels' shape."""
    if param.HasField("ignore_label"):
        return labels.long() != param.ignore_label
    return torch.ones_like(labels, dtype=torch.bool)


class _Labelled(Layer):
    """A loss of a softmax against whole-number labels, one for each place outside its axis."""

    no_gradient_to = frozenset({1})

    def log_probability(
        self,
        scores: Tensor,
        labels: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logarithms of probabilities.

        Returns the logarithms for all classes (outer, classes, inner) and for the labels (outer,
        inner), and which labels count (outer, inner).
        """
        axis = self.param.softmax_param.axis % scores.dim()
        outer = math.prod(scores.shape[:axis])
        classes = scores.shape[axis]
        log_p = F.log_softmax(scores.reshape(outer, classes, -1), 1)
        wanted = labels.detach().reshape(outer, 1, -1).long()
        counts = _not_ignored(wanted, self.param.loss_param)
        chosen = log_p.gather(1, torch.where(counts, wanted, 0))
        # Caffe clips the value, not the gradient.
        chosen = pass_through(chosen.clamp(min=LOG_SMALLEST), chosen)
        return log_p, chosen[:, 0], counts[:, 0]

    def tops(
        self,
        places: Tensor,
        counts: Tensor,
        log_p: Tensor,
        scores: Tensor,
    ) -> Tensors:
        """The loss, and the probabilities where the layer has a second top.

        places: the loss of each place (outer, inner). counts: which of them count.
        log_p: the logarithms of all probabilities. scores: the bottom.
        """
        p = self.param.loss_param
        outer, inner = places.shape
        divisor = normalizer(p, p.VALID, outer, inner, counts.sum())
        loss = torch.where(counts, places, 0.0).sum() / divisor
        if len(self.param.top) == 1:
            return [loss]
        return [loss, log_p.exp().reshape(scores.shape)]


@layer("SoftmaxWithLoss")
class SoftmaxWithLoss(_Labelled):
    """Cross entropy of a softmax; a second top gives the probabilities.

    Source: weiliu89/caffe (ssd), softmax_loss_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """The mean of -log p of the labels' probabilities p."""
        log_p, chosen, counts = self.log_probability(*bottoms[:2])
        return self.tops(-chosen, counts, log_p, bottoms[0])


@layer("FocalLoss")
class FocalLoss(_Labelled):
    """Focal loss of a softmax (Lin et al. 2017), as the FSSD fork has it: type and beta do nothing.

    Source: lzx1413/CAFFE_SSD, focal_loss_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """The mean of -alpha (1 - p)**gamma log p of the labels' probabilities p."""
        if len(self.param.top) > 1:
            what = "the fork's FocalLoss cannot give its probabilities"
            raise self.refuse(f"{what}: use a Softmax layer", "top")
        return self.tops(*focal(self, bottoms), bottoms[0])


def focal(layer: FocalLoss, bottoms: Tensors) -> tuple[Tensor, Tensor, Tensor]:
    """The focal loss of each place, which places count, and logarithms of all probabilities.

    The gradient is the fork's own, which stays finite where a probability reaches 1.
    """
    log_p, chosen, counts = layer.log_probability(bottoms[0], bottoms[1])
    p = layer.param.focal_loss_param
    with torch.no_grad():
        probability = chosen.exp()
        power = p.alpha * (1 - probability) ** p.gamma
        rest = (1 - probability).clamp(min=1e-10)
        slope = p.gamma * power / rest * probability * chosen - power
    places = pass_through(-power * chosen, slope * chosen)
    return places, counts, log_p


@layer("SmoothL1Loss")
class SmoothL1Loss(Layer):
    """Smooth L1 loss of the difference of two bottoms, weighted by a third.

    As in the fork's CPU code, the weights w enter the gradient once, through d.
    Source: weiliu89/caffe (ssd), smooth_L1_loss_layer.cpp.
    """

    no_gradient_to = frozenset({2})

    def forward(self, bottoms: Tensors) -> Tensors:
        """The sum over d = w * (bottom 0 - bottom 1), divided by the batch size.

        Each d counts 0.5 d**2 where |d| < 1, else |d| - 0.5.
        """
        x, target, *weights = bottoms
        d = x - target.reshape(x.shape)
        if weights:
            d = pass_through(weights[0].reshape(d.shape) * d, d)
        zeros = torch.zeros_like(d)
        total = F.smooth_l1_loss(d, zeros, reduction="sum")
        return [total / x.shape[0]]


@layer("EuclideanLoss")
class EuclideanLoss(Layer):
    """Half the squared distance between two bottoms.

    Source: weiliu89/caffe (ssd), euclidean_loss_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """The sum of (bottom 0 - bottom 1)**2 over twice the batch size."""
        x, target = bottoms[:2]
        difference = x - target.reshape(x.shape)
        return [difference.square().sum() / (2 * x.shape[0])]


@layer("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(Layer):
    """Cross entropy of sigmoids against targets in [0, 1].

    The sum is divided by the batch size unless a normalization says otherwise.
    Source: weiliu89/caffe (ssd), sigmoid_cross_entropy_loss_layer.cpp.
    """

    no_gradient_to = frozenset({1})

    def forward(self, bottoms: Tensors) -> Tensors:
        """The normalised sum of -t log s(x) - (1 - t) log(1 - s(x)), s being the sigmoid."""
        p = self.param.loss_param
        scores = bottoms[0]
        targets = bottoms[1].detach().reshape(scores.shape)
        counts = _not_ignored(targets, p)
        places = F.binary_cross_entropy_with_logits(
            scores,
            targets,
            reduction="none",
        )
        outer = scores.shape[0]
        inner = scores[0].numel()
        divisor = normalizer(p, p.BATCH_SIZE, outer, inner, counts.sum())
        return [torch.where(counts, places, 0.0).sum() / divisor]


def _logarithm(p: Tensor) -> Tensor:
    """The logarithm of probabilities, with LOG_THRESHOLD as the least.

    As in Caffe, smaller ones have the threshold's slope.
    """
    return pass_through(p.clamp(min=LOG_THRESHOLD), p).log()


@layer("MultinomialLogisticLoss")
class MultinomialLogisticLoss(Layer):
    """Cross entropy of given probabilities against one label per image.

    Source: weiliu89/caffe (ssd), multinomial_logistic_loss_layer.cpp.
    """

    no_gradient_to = frozenset({1})

    def forward(self, bottoms: Tensors) -> Tensors:
        """The mean of -log p of the labels' probabilities p."""
        labels = bottoms[1].detach().reshape(-1, 1).long()
        chosen = bottoms[0].flatten(1).gather(1, labels)
        return [-_logarithm(chosen).sum() / len(chosen)]


@layer("InfogainLoss")
class InfogainLoss(Layer):
    """Cross entropy of given probabilities, weighted by a matrix: the third bottom, or a file.

    Source: weiliu89/caffe (ssd), infogain_loss_layer.cpp.
    """

    no_gradient_to = frozenset({1, 2})

    def forward(self, bottoms: Tensors) -> Tensors:
        """The mean over images of -log p of all classes, times the label's row of the matrix."""
        scores = bottoms[0].flatten(1)
        labels = bottoms[1].detach().flatten().long()
        matrix = bottoms[2] if len(bottoms) > 2 else self.matrix
        weights = matrix.reshape(-1, scores.shape[1])[labels]
        return [-(weights * _logarithm(scores)).sum() / len(scores)]

    @cached_property
    def matrix(self) -> Tensor:
        """The weights of the file, a BlobProto; a row per label and a column per class.

        Raises ParseError or CaffeError where it cannot be read.
        """
        source = self.param.infogain_loss_param.source
        values = blob_array(binary.read(source, pb.BlobProto))
        return torch.from_numpy(values).to(self.context.device)


@layer("HingeLoss")
class HingeLoss(Layer):
    """The hinge loss of one class against all, L1 or L2.

    Source: weiliu89/caffe (ssd), hinge_loss_layer.cpp.
    """

    no_gradient_to = frozenset({1})

    def forward(self, bottoms: Tensors) -> Tensors:
        """The sum of max(0, 1 - x) of the label's score and max(0, 1 + x) of others, or squares.

        The sum is divided by the batch size.
        """
        scores = bottoms[0].flatten(1)
        labels = bottoms[1].detach().reshape(-1, 1).long()
        sign = torch.ones_like(scores).scatter(1, labels, -1.0)
        margins = (1 + sign * scores).clamp(min=0)
        p = self.param.hinge_loss_param
        if p.norm == p.L2:
            margins = margins.square()
        return [margins.sum() / len(scores)]


@layer("ContrastiveLoss")
class ContrastiveLoss(Layer):
    """Pulls similar pairs together and pushes others a margin apart.

    Source: weiliu89/caffe (ssd), contrastive_loss_layer.cpp.
    """

    no_gradient_to = frozenset({2})

    def forward(self, bottoms: Tensors) -> Tensors:
        """Half the mean of d**2 for similar pairs and max(margin - d, 0)**2 for others.

        d: a pair's distance. With legacy_version the latter is max(margin - d**2, 0).
        """
        p = self.param.contrastive_loss_param
        difference = (bottoms[0] - bottoms[1]).flatten(1)
        similar = bottoms[2].detach().flatten().long() != 0
        square = difference.square().sum(1)
        if p.legacy_version:
            apart = (p.margin - square).clamp(min=0)
        else:
            distance = torch.linalg.vector_norm(difference, dim=1)
            # In the gradient, Caffe divides by a little more than the distance.
            ratio = (distance / (distance + 1e-4)).detach()
            distance = pass_through(distance, distance * ratio)
            apart = (p.margin - distance).clamp(min=0).square()
        total = torch.where(similar, square, apart).sum()
        return [total / (2 * len(square))]
