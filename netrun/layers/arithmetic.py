"""Layers that combine or sum up values: Eltwise, Axpy, Reduction, Softmax, ArgMax, Accuracy, Interp."""

from __future__ import annotations

from functools import reduce

import torch
import torch.nn.functional as F

from netrun.layers.registry import Layer, layer


@layer("Eltwise")
class Eltwise(Layer):
    """Sum with coefficients, product, or maximum (of equals the second of the first two, then the first, as in Caffe).

    A product's gradient is always the stable one: without stable_prod_grad Caffe divides by the bottom, and fails where that is 0.
    """

    owns_top = True

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        p = self.param.eltwise_param
        if p.operation == p.PROD:
            return [reduce(torch.mul, bottoms)]
        if p.operation == p.MAX:
            first, second, *rest = bottoms
            top = torch.where(first > second, first, second)
            for x in rest:
                top = torch.where(x > top, x, top)
            return [top]
        coefficients = list(p.coeff) or [1.0] * len(bottoms)
        top = bottoms[0] if coefficients[0] == 1 else bottoms[0] * coefficients[0]
        for x, c in zip(bottoms[1:], coefficients[1:], strict=True):
            top = torch.add(top, x, alpha=c)
        return [top]


@layer("Axpy")
class Axpy(Layer):
    """a * x + y with one factor a per image and channel (the FSSD fork's, for squeeze-and-excitation)."""

    owns_top = True

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        a, x, y = bottoms
        return [torch.addcmul(y, a.reshape(a.shape[0], a.shape[1], *(1,) * (x.dim() - 2)), x)]


@layer("Reduction")
class Reduction(Layer):
    """Sum, sum of absolute values, sum of squares or mean over all axes from `axis` on, times coeff."""

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        p = self.param.reduction_param
        shape = self.facts.tops[0]
        x = bottoms[0].reshape(*shape, -1)
        if p.operation == p.ASUM:
            x = x.abs()
        elif p.operation == p.SUMSQ:
            x = x.square()
        total = x.mean(-1) if p.operation == p.MEAN else x.sum(-1)
        return [total * p.coeff if p.coeff != 1 else total]


@layer("Softmax")
class Softmax(Layer):
    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        return [torch.softmax(bottoms[0], self.param.softmax_param.axis)]


def _greatest(x: torch.Tensor, count: int, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The greatest values along an axis and their places, of equals the last first, as Caffe's sorting of pairs has it."""
    values, places = x.flip(axis).sort(stable=True, dim=axis, descending=True)
    return values.narrow(axis, 0, count), x.shape[axis] - 1 - places.narrow(axis, 0, count)


@layer("ArgMax")
class ArgMax(Layer):
    """The top_k places (or values, or both) of the greatest, along `axis` or in each whole image."""

    has_backward = False

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        x, p = bottoms[0], self.param.argmax_param
        if p.HasField("axis"):
            values, places = _greatest(x, p.top_k, p.axis)
            return [values if p.out_max_val else places.to(x.dtype)]
        values, places = _greatest(x.flatten(1), p.top_k, 1)
        top = torch.stack([places.to(x.dtype), values], 1) if p.out_max_val else places.to(x.dtype)
        return [top.reshape(self.facts.tops[0])]


@layer("Accuracy")
class Accuracy(Layer):
    """The share of labels among the top_k scores; a second top gives it class by class."""

    has_backward = False

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        p = self.param.accuracy_param
        scores = bottoms[0].movedim(p.axis, -1).flatten(0, -2)
        labels = bottoms[1].flatten().long()
        if p.HasField("ignore_label"):
            scores, labels = scores[labels != p.ignore_label], labels[labels != p.ignore_label]
        hit = (_greatest(scores, p.top_k, 1)[1] == labels[:, None]).any(1).to(scores.dtype)
        tops = [hit.sum() / len(labels)]
        if len(self.param.top) > 1:
            zeros = scores.new_zeros(scores.shape[1])
            found, present = zeros.index_add(0, labels, hit), zeros.index_add(0, labels, torch.ones_like(hit))
            tops.append(found / present.clamp(min=1))
        return tops


@layer("Interp")
class Interp(Layer):
    """Bilinear resizing in which corners meet corners, after cropping by the (non-positive) pads (FSSD fork, from DeepLab)."""

    no_gradient_to = frozenset({1})

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        x, p = bottoms[0], self.param.interp_param
        x = x[:, :, -p.pad_beg : x.shape[2] + p.pad_end, -p.pad_beg : x.shape[3] + p.pad_end]
        return [F.interpolate(x, self.facts.tops[0][2:], mode="bilinear", align_corners=True)]
