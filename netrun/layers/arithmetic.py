"""Layers that combine, sum up or compare values, and Interp, which resizes by weighted sums."""

from __future__ import annotations

from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from netrun.layers.registry import Layer, Tensors, layer


@layer("Eltwise")
class Eltwise(Layer):
    """Sum with coefficients, product or maximum of bottoms of one shape.

    A product's gradient is always the stable one: without stable_prod_grad, Caffe divides by the
    bottom, and fails where the bottom is 0.
    Source: weiliu89/caffe (ssd), eltwise_layer.cpp.
    """

    owns_top = True

    def forward(self, bottoms: Tensors) -> Tensors:
        """Combine the bottoms place by place, as the operation says."""
        p = self.param.eltwise_param
        if p.operation == p.PROD:
            return [reduce(torch.mul, bottoms)]
        if p.operation == p.MAX:
            return [_maximum(bottoms)]
        coefficients = list(p.coeff) or [1.0] * len(bottoms)
        return [_weighted_sum(bottoms, coefficients)]


def _maximum(bottoms: Tensors) -> Tensor:
    """The greatest values. On a tie, the second bottom beats the first, and both beat later ones.

    The gradient goes to the winner alone, as in Caffe.
    """
    first, second, *rest = bottoms
    top = torch.where(first > second, first, second)
    for x in rest:
        top = torch.where(x > top, x, top)
    return top


def _weighted_sum(bottoms: Tensors, coefficients: list[float]) -> Tensor:
    top = bottoms[0]
    if coefficients[0] != 1:
        top = top * coefficients[0]
    for x, c in zip(bottoms[1:], coefficients[1:], strict=True):
        top = torch.add(top, x, alpha=c)
    return top


@layer("Axpy")
class Axpy(Layer):
    """A scaled blob plus another, for squeeze-and-excitation.

    Source: lzx1413/CAFFE_SSD, axpy_layer.cpp.
    """

    owns_top = True

    def forward(self, bottoms: Tensors) -> Tensors:
        """a * x + y with one factor a for each image and channel."""
        a, x, y = bottoms
        inner = (1,) * (x.dim() - 2)
        factor = a.reshape(a.shape[0], a.shape[1], *inner)
        return [torch.addcmul(y, factor, x)]


@layer("Reduction")
class Reduction(Layer):
    """One value for all axes from `axis` on.

    Source: weiliu89/caffe (ssd), reduction_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """Sum, sum of absolute values, sum of squares or mean, times coeff."""
        p = self.param.reduction_param
        x = bottoms[0].reshape(*self.facts.tops[0], -1)
        if p.operation == p.ASUM:
            total = x.abs().sum(-1)
        elif p.operation == p.SUMSQ:
            total = x.square().sum(-1)
        elif p.operation == p.MEAN:
            total = x.mean(-1)
        else:
            total = x.sum(-1)
        if p.coeff == 1:
            return [total]
        return [total * p.coeff]


@layer("Softmax")
class Softmax(Layer):
    """Turns scores into probabilities along `axis`.

    Source: weiliu89/caffe (ssd), softmax_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """exp(x) over the sum of exp(x) along the axis."""
        return [torch.softmax(bottoms[0], self.param.softmax_param.axis)]


def _greatest(x: Tensor, count: int, axis: int) -> tuple[Tensor, Tensor]:
    """The `count` greatest values along an axis, greatest first, and their indices.

    Of equal values the last comes first, because Caffe sorts pairs.
    """
    backwards = x.flip(axis)
    values, places = backwards.sort(stable=True, dim=axis, descending=True)
    last = x.shape[axis] - 1
    places = last - places.narrow(axis, 0, count)
    return values.narrow(axis, 0, count), places


@layer("ArgMax")
class ArgMax(Layer):
    """Finds the indices of the top_k greatest values, along `axis` or in each whole image.

    Source: weiliu89/caffe (ssd), argmax_layer.cpp.
    """

    has_backward = False

    def forward(self, bottoms: Tensors) -> Tensors:
        """The indices; with out_max_val the values, along an axis alone, in an image as well."""
        x = bottoms[0]
        p = self.param.argmax_param
        if p.HasField("axis"):
            values, places = _greatest(x, p.top_k, p.axis)
            return [values if p.out_max_val else places.to(x.dtype)]
        values, places = _greatest(x.flatten(1), p.top_k, 1)
        top = places.to(x.dtype)
        if p.out_max_val:
            top = torch.stack([top, values], 1)
        return [top.reshape(self.facts.tops[0])]


@layer("Accuracy")
class Accuracy(Layer):
    """How often the label is among the top_k scores; a second top says so for each class.

    Source: weiliu89/caffe (ssd), accuracy_layer.cpp.
    """

    has_backward = False

    def forward(self, bottoms: Tensors) -> Tensors:
        """The share of places with a hit; places with ignore_label do not count."""
        p = self.param.accuracy_param
        scores = bottoms[0].movedim(p.axis, -1).flatten(0, -2)
        labels = bottoms[1].flatten().long()
        if p.HasField("ignore_label"):
            counted = labels != p.ignore_label
            scores = scores[counted]
            labels = labels[counted]
        _, places = _greatest(scores, p.top_k, 1)
        hit = (places == labels[:, None]).any(1).to(scores.dtype)
        tops = [hit.sum() / len(labels)]
        if len(self.param.top) > 1:
            zeros = scores.new_zeros(scores.shape[1])
            found = zeros.index_add(0, labels, hit)
            present = zeros.index_add(0, labels, torch.ones_like(hit))
            tops.append(found / present.clamp(min=1))
        return tops


@layer("Interp")
class Interp(Layer):
    """Bilinear resizing that aligns corners.

    Source: lzx1413/CAFFE_SSD, interp_layer.cpp, which is DeepLab's.
    """

    no_gradient_to = frozenset({1})

    def forward(self, bottoms: Tensors) -> Tensors:
        """Crop the bottom by its pads, which are 0 or less, and resize it to the top's size."""
        p = self.param.interp_param
        x = bottoms[0]
        height, width = x.shape[2:]
        x = x[:, :, -p.pad_beg : height + p.pad_end, -p.pad_beg : width + p.pad_end]
        size = self.facts.tops[0][2:]
        return [F.interpolate(x, size, mode="bilinear", align_corners=True)]
