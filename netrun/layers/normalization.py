"""Layers that bring a blob to a scale: BatchNorm, Scale, Bias, Normalize, LRN, MVN."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from netrun.layers.registry import Layer, Tensors, layer, pass_through


@layer("BatchNorm")
class BatchNorm(Layer):
    """Normalisation by the batch's statistics, or by the stored ones.

    TEST takes the stored ones unless use_global_stats says otherwise.
    blobs: decayed sums of means and of unbiased variances, each (C,), and of their weights, (1,).
    If the net sets `scale`, the top is the top of the Scale layer that follows.
    Source: weiliu89/caffe (ssd), batch_norm_layer.cpp.
    """

    owns_top = True

    def forward(self, bottoms: Tensors) -> Tensors:
        """(x - mean) / sqrt(variance + eps) in each channel, then what the following Scale does."""
        x = bottoms[0]
        p = self.param.batch_norm_param
        mean_sum, variance_sum, weight = self.blobs
        factor, term = self._factor_and_term()
        if self._uses_stored_statistics:
            share = torch.where(weight == 0, 0.0, 1.0 / weight)
            mean = mean_sum * share
            variance = variance_sum * share
            return [F.batch_norm(x, mean, variance, factor, term, eps=p.eps)]
        options = self.context.options
        if options.sync_batch_norm and options.world > 1:
            top, mean, variance = self._over_all_processes(x, factor, term)
        else:
            top, mean, variance = self._over_batch(x, factor, term)
        fraction = p.moving_average_fraction
        with torch.no_grad():
            weight.mul_(fraction).add_(1)
            mean_sum.mul_(fraction).add_(mean)
            variance_sum.mul_(fraction).add_(variance)
        return [top]

    @property
    def _uses_stored_statistics(self) -> bool:
        p = self.param.batch_norm_param
        if p.HasField("use_global_stats"):
            return p.use_global_stats
        return not self.context.train

    def _factor_and_term(self) -> tuple[Tensor | None, Tensor | None]:
        """The factor and the bias of the Scale layer that follows; None for what it lacks."""
        blobs = self.scale.blobs if self.scale else []
        factor, term, *_ = [*blobs, None, None]
        return factor, term

    def _over_batch(
        self, x: Tensor, factor: Tensor | None, term: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The top, and the mean and unbiased variance of each channel."""
        # momentum 1 makes torch store this batch's own mean and unbiased variance
        mean = torch.zeros_like(self.blobs[0])
        variance = torch.zeros_like(self.blobs[1])
        top = torch.batch_norm(
            x,
            factor,
            term,
            mean,
            variance,
            True,
            1.0,
            self.param.batch_norm_param.eps,
            torch.backends.cudnn.enabled,
        )
        has_one_value = x.numel() == x.shape[1]
        if has_one_value:  # in a channel: its unbiased variance is 0 / 0; Caffe gives 0
            variance = torch.zeros_like(variance)  # the gradient needs the other one
        return top, mean, variance

    def _over_all_processes(
        self, x: Tensor, factor: Tensor | None, term: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As _over_batch(), over all processes' batches together, which may differ in size."""
        axes = tuple(i for i in range(x.dim()) if i != 1)
        own = x.new_full((1,), x.numel() / x.shape[1])
        sums = _SumOfProcesses.apply(torch.cat([x.sum(axes), own]))
        total, count = sums.split([x.shape[1], 1])
        mean = total / count
        centred = x - _spread(mean, 1, x)
        squares = centred.square().sum(axes)
        variance = _SumOfProcesses.apply(squares) / count
        eps = self.param.batch_norm_param.eps
        top = centred * _spread((variance + eps).rsqrt(), 1, x)
        if factor is not None:
            top = top * _spread(factor, 1, x)
        if term is not None:
            top = top + _spread(term, 1, x)
        return top, mean, variance * (count / (count - 1).clamp(min=1))


class _SumOfProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes of a run, in each of them.

    Its gradient is the sum of their gradients.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        total = dy.clone()
        dist.all_reduce(total)
        return total


def _spread(values: Tensor, axis: int, x: Tensor) -> Tensor:
    """`values` shaped so that its axes meet those of x from `axis` on."""
    first = axis % x.dim() if values.dim() else 0
    behind = x.dim() - first - values.dim()
    return values.reshape((1,) * first + tuple(values.shape) + (1,) * behind)


def _given_or_learned(layer: Layer, bottoms: Tensors) -> Tensor:
    """The second bottom, or the layer's parameter where it has one bottom only."""
    if len(bottoms) > 1:
        return bottoms[1]
    return layer.blobs[0]


@layer("Scale")
class Scale(Layer):
    """The bottom times a factor, learned or the second bottom; plus a learned bias with bias_term.

    The factor's axes meet the bottom's from `axis` on.
    Source: weiliu89/caffe (ssd), scale_layer.cpp.
    """

    owns_top = True

    def forward(self, bottoms: Tensors) -> Tensors:
        """x * factor + bias."""
        x = bottoms[0]
        p = self.param.scale_param
        factor = _spread(_given_or_learned(self, bottoms), p.axis, x)
        into = x if self.overwrite and not torch.is_grad_enabled() else None
        if not p.bias_term:
            return [torch.mul(x, factor, out=into)]
        bias = _spread(self.blobs[-1], p.axis, x)
        return [torch.addcmul(bias, x, factor, out=into)]


@layer("Bias")
class Bias(Layer):
    """The bottom plus a term, learned or the second bottom.

    The term's axes meet the bottom's from `axis` on.
    Source: weiliu89/caffe (ssd), bias_layer.cpp.
    """

    owns_top = True

    def forward(self, bottoms: Tensors) -> Tensors:
        """x + term."""
        x = bottoms[0]
        term = _given_or_learned(self, bottoms)
        return [x + _spread(term, self.param.bias_param.axis, x)]


class _Normalize(torch.autograd.Function):
    """x / norm * scale with Caffe's gradient.

    Where scale differs between channels, this gradient is not the derivative: the part through the
    norm leaves the scale out. SSD was trained with it.
    Source: weiliu89/caffe (ssd), normalize_layer.cpp.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=axes, keepdim=True)
        norm = (length.square() + eps).sqrt()
        ctx.save_for_backward(x, scale, norm)
        ctx.axes = axes
        return x / norm * scale

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, norm = ctx.saved_tensors
        dx = None
        dscale = None
        if ctx.needs_input_grad[0]:
            along = (x * dy).sum(ctx.axes, keepdim=True) / norm.square()
            dx = (dy - x * along) / norm * scale
        if ctx.needs_input_grad[1]:
            dscale = (x / norm * dy).sum_to_size(scale.shape)
        return dx, dscale, None, None


@layer("Normalize")
class Normalize(Layer):
    """Division by the L2 norm, times a learned scale (ParseNet, SSD's conv4_3).

    The norm is taken over channels at each place, or with across_spatial over the whole image.
    Source: weiliu89/caffe (ssd), normalize_layer.cpp.
    """

    owns_top = True

    @property
    def needs_bottom(self) -> bool:
        """Always: the gradient goes through the norm."""
        return True

    def forward(self, bottoms: Tensors) -> Tensors:
        """x / sqrt(sum of x**2 + eps) * scale."""
        x = bottoms[0]
        p = self.param.norm_param
        scale = _spread(self.blobs[0], 0 if p.channel_shared else 1, x)
        axes = tuple(range(1, x.dim())) if p.across_spatial else (1,)
        return [_Normalize.apply(x, scale, axes, p.eps)]


@layer("LRN")
class LRN(Layer):
    """Local response normalisation across channels or within each.

    Source: Krizhevsky et al. 2012, section 3.3; weiliu89/caffe (ssd), lrn_layer.cpp.
    """

    @property
    def needs_bottom(self) -> bool:
        """Always: the gradient goes through the sums of squares."""
        return True

    def forward(self, bottoms: Tensors) -> Tensors:
        """x * (k + alpha * mean of the squares nearby)**-beta; k is 1 within a channel."""
        x = bottoms[0]
        p = self.param.lrn_param
        if p.norm_region == p.ACROSS_CHANNELS:
            return [F.local_response_norm(x, p.local_size, p.alpha, p.beta, p.k)]
        around = F.avg_pool2d(x.square(), p.local_size, 1, p.local_size // 2)
        return [x * (1 + p.alpha * around) ** -p.beta]


@layer("MVN")
class MVN(Layer):
    """Brings the mean to zero and, with normalize_variance, the deviation to one.

    It does so for each channel or, with across_channels, for each image.
    Source: weiliu89/caffe (ssd), mvn_layer.cpp.
    """

    @property
    def needs_bottom(self) -> bool:
        """Always: the gradient goes through the deviation."""
        return True

    def forward(self, bottoms: Tensors) -> Tensors:
        """(x - mean) / (deviation + eps)."""
        x = bottoms[0].reshape(self.facts.tops[0])
        p = self.param.mvn_param
        first = 1 if p.across_channels else 2
        axes = tuple(range(first, x.dim()))
        centred = x - x.mean(axes, keepdim=True)
        if not p.normalize_variance:
            return [centred]
        count = centred[(0,) * first].numel()
        length = torch.linalg.vector_norm(centred, dim=axes, keepdim=True)
        deviation = length * count**-0.5
        divisor = deviation + p.eps
        # Caffe's gradient uses the deviation as the divisor. That matters where eps is not much
        # smaller.
        ratio = (deviation / divisor).detach()
        return [centred / pass_through(divisor, deviation * ratio)]
