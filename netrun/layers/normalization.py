"""Layers that bring a blob to a scale: BatchNorm, Scale, Bias, Normalize, LRN, MVN."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from netrun.layers.registry import Layer, layer, pass_through


@layer("BatchNorm")
class BatchNorm(Layer):
    """Normalisation by the batch's statistics, or by the stored ones (in TEST, unless use_global_stats says otherwise).

    blobs: decayed sums of means and of unbiased variances, each (C,), and of the weights of both, (1,). The top is that of `scale`, the
    layer behind, where the net sets it.
    """

    owns_top = True

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        x, p = bottoms[0], self.param.batch_norm_param
        mean_sum, variance_sum, weight = self.blobs
        factor, term = [*self.scale.blobs, None][:2] if self.scale else (None, None)
        if p.use_global_stats if p.HasField("use_global_stats") else not self.context.train:
            share = torch.where(weight == 0, 0.0, 1.0 / weight)
            return [F.batch_norm(x, mean_sum * share, variance_sum * share, factor, term, eps=p.eps)]
        if self.context.options.sync_batch_norm and self.context.options.world > 1:
            top, mean, variance = self._over_all_processes(x, factor, term)
        else:
            top, mean, variance = self._over_batch(x, factor, term)
        fraction = p.moving_average_fraction
        with torch.no_grad():
            weight.mul_(fraction).add_(1)
            mean_sum.mul_(fraction).add_(mean)
            variance_sum.mul_(fraction).add_(variance)
        return [top]

    def _over_batch(self, x: Tensor, factor: Tensor | None, term: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """The top, and the mean and unbiased variance of each channel."""
        # momentum 1 makes torch put this batch's own mean and unbiased variance there
        mean, variance = torch.zeros_like(self.blobs[0]), torch.zeros_like(self.blobs[1])
        eps = self.param.batch_norm_param.eps
        top = torch.batch_norm(x, factor, term, mean, variance, True, 1.0, eps, torch.backends.cudnn.enabled)
        if x.numel() == x.shape[1]:  # one value per channel: its unbiased variance is 0 / 0, Caffe's 0
            variance = torch.zeros_like(variance)  # the gradient needs the other one
        return top, mean, variance

    def _over_all_processes(self, x: Tensor, factor: Tensor | None, term: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """The same over the batches of all processes together, which may differ in size."""
        axes = tuple(i for i in range(x.dim()) if i != 1)
        own = x.new_full((1,), x.numel() / x.shape[1])
        total, count = _SumOfProcesses.apply(torch.cat([x.sum(axes), own])).split([x.shape[1], 1])
        mean = total / count
        centred = x - _spread(mean, 1, x)
        variance = _SumOfProcesses.apply(centred.square().sum(axes)) / count
        top = centred * _spread((variance + self.param.batch_norm_param.eps).rsqrt(), 1, x)
        if factor is not None:
            top = top * _spread(factor, 1, x)
        if term is not None:
            top = top + _spread(term, 1, x)
        return top, mean, variance * (count / (count - 1).clamp(min=1))


class _SumOfProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes of a run, in each of them. Its gradient is the sum of theirs."""

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


def _spread(values: torch.Tensor, axis: int, x: torch.Tensor) -> torch.Tensor:
    """`values` shaped so that its axes meet those of x from `axis` on."""
    axis = 0 if values.dim() == 0 else axis % x.dim()
    return values.reshape((1,) * axis + tuple(values.shape) + (1,) * (x.dim() - axis - values.dim()))


@layer("Scale")
class Scale(Layer):
    """The bottom times a factor, learned or the second bottom, spread over the other axes; plus a learned bias with bias_term."""

    owns_top = True

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        x, p = bottoms[0], self.param.scale_param
        factor = _spread(bottoms[1] if len(bottoms) > 1 else self.blobs[0], p.axis, x)
        into = x if self.overwrite and not torch.is_grad_enabled() else None
        if not p.bias_term:
            return [torch.mul(x, factor, out=into)]
        return [torch.addcmul(_spread(self.blobs[-1], p.axis, x), x, factor, out=into)]


@layer("Bias")
class Bias(Layer):
    """The bottom plus a term, learned or the second bottom, spread over the other axes."""

    owns_top = True

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        x = bottoms[0]
        return [x + _spread(bottoms[1] if len(bottoms) > 1 else self.blobs[0], self.param.bias_param.axis, x)]


class _Normalize(torch.autograd.Function):
    """x / norm * scale with Caffe's gradient.

    Where scale differs between channels that gradient is not the derivative: the part that goes through the norm leaves the scale out
    (normalize_layer.cpp of the SSD fork). SSD was trained with it.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, scale: torch.Tensor, axes: tuple[int, ...], eps: float) -> torch.Tensor:
        norm = (torch.linalg.vector_norm(x, dim=axes, keepdim=True).square() + eps).sqrt()
        ctx.save_for_backward(x, scale, norm)
        ctx.axes = axes
        return x / norm * scale

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, scale, norm = ctx.saved_tensors
        dx = dscale = None
        if ctx.needs_input_grad[0]:
            dx = (dy - x * ((x * dy).sum(ctx.axes, keepdim=True) / norm.square())) / norm * scale
        if ctx.needs_input_grad[1]:
            dscale = (x / norm * dy).sum_to_size(scale.shape)
        return dx, dscale, None, None


@layer("Normalize")
class Normalize(Layer):
    """Division by the L2 norm over channels at each place, or over the whole image, times a learned scale (ParseNet, SSD's conv4_3)."""

    owns_top = True

    @property
    def needs_bottom(self) -> bool:
        return True

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        x, p = bottoms[0], self.param.norm_param
        scale = _spread(self.blobs[0], 0 if p.channel_shared else 1, x)
        return [_Normalize.apply(x, scale, tuple(range(1, x.dim())) if p.across_spatial else (1,), p.eps)]


@layer("LRN")
class LRN(Layer):
    """Local response normalisation across channels or within each (Krizhevsky et al. 2012, section 3.3)."""

    @property
    def needs_bottom(self) -> bool:
        return True

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        x, p = bottoms[0], self.param.lrn_param
        if p.norm_region == p.ACROSS_CHANNELS:
            return [F.local_response_norm(x, p.local_size, p.alpha, p.beta, p.k)]
        around = F.avg_pool2d(x.square(), p.local_size, 1, p.local_size // 2)
        return [x * (1 + p.alpha * around) ** -p.beta]


@layer("MVN")
class MVN(Layer):
    """Mean to zero, and with normalize_variance deviation to one, of each channel or (across_channels) each image."""

    @property
    def needs_bottom(self) -> bool:
        return True

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        x, p = bottoms[0].reshape(self.facts.tops[0]), self.param.mvn_param
        axes = tuple(range(1 if p.across_channels else 2, x.dim()))
        centred = x - x.mean(axes, keepdim=True)
        if not p.normalize_variance:
            return [centred]
        count = centred[0].numel() if p.across_channels else centred[0, 0].numel()
        deviation = torch.linalg.vector_norm(centred, dim=axes, keepdim=True) * count**-0.5
        divisor = deviation + p.eps
        # Caffe's gradient takes the deviation for the divisor, which matters where eps is not small beside it
        return [centred / pass_through(divisor, deviation * (deviation / divisor).detach())]
