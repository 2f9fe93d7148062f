"""Pooling and SPP with Caffe's rounding: a window that starts inside the (padded) bottom counts."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from caffe_ir.rules.pooling import pooled_size, pyramid, window
from netrun.layers.draws import DrawingLayer
from netrun.layers.registry import layer

LOWEST = torch.finfo(torch.float32).min  # what Caffe starts a maximum from
Pair = tuple[int, int]


def pool_max(x: torch.Tensor, kernel: Pair, stride: Pair, pad: Pair, size: Pair, *, mask: bool = False) -> list[torch.Tensor]:
    """Maxima over windows, the first of equals; with mask also their indices within the channel, -1 for a window of padding only.

    x: (N, C, H, W). size: the top's height and width. A window of padding only gives the lowest float32, as in Caffe.
    """
    height, width = x.shape[2:]
    starts_inside = all((size[i] - 1) * stride[i] < x.shape[2 + i] + pad[i] for i in (0, 1))
    if starts_inside and 2 * pad[0] <= kernel[0] and 2 * pad[1] <= kernel[1]:
        if not mask:
            return [F.max_pool2d(x, kernel, stride, pad, ceil_mode=True)]
        top, places = F.max_pool2d(x, kernel, stride, pad, ceil_mode=True, return_indices=True)
        return [top, places.to(x.dtype)]
    # torch pads half a window at most and drops a last window that starts outside, so pad by hand
    below, right = ((size[i] - 1) * stride[i] + kernel[i] - pad[i] - x.shape[2 + i] for i in (0, 1))
    padded = F.pad(x, (pad[1], max(right, 0), pad[0], max(below, 0)), value=LOWEST)
    top, places = F.max_pool2d(padded, kernel, stride, return_indices=True)
    row, column = places // padded.shape[3] - pad[0], places % padded.shape[3] - pad[1]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return [top, torch.where(inside, row * width + column, -1).to(x.dtype)] if mask else [top]


def pool_average(x: torch.Tensor, kernel: Pair, stride: Pair, pad: Pair, size: Pair) -> torch.Tensor:
    """Averages over windows: padding counts in the divisor, what lies beyond the padding does not. size: the top's height and width.

    A last window that begins beyond the padding averages to 0; one that begins right behind it is Caffe's 0 / 0, and ours.
    """
    if 2 * pad[0] > kernel[0] or 2 * pad[1] > kernel[1]:  # torch pads half a window at most
        x, pad = F.pad(x, (pad[1], pad[1], pad[0], pad[0])), (0, 0)
    top = F.avg_pool2d(x, kernel, stride, pad, ceil_mode=True, count_include_pad=True)
    for axis in (0, 1):  # torch leaves those windows out
        if missing := size[axis] - top.shape[2 + axis]:
            begin = (size[axis] - 1) * stride[axis] - pad[axis]
            value = float("nan") if begin == x.shape[2 + axis] + pad[axis] else 0.0
            top = F.pad(top, (0, missing) if axis else (0, 0, 0, missing), value=value)
    return top


def pool_stochastic(x: torch.Tensor, kernel: Pair, stride: Pair, size: Pair, random: torch.Generator | None) -> torch.Tensor:
    """One value of each window, drawn with a chance in proportion to it (Zeiler & Fergus 2013), as in Caffe's GPU code.

    x: (N, C, H, W), not negative. random: None gives each window's mean instead, weighted by the values themselves.
    """
    below, right = ((size[i] - 1) * stride[i] + kernel[i] - x.shape[2 + i] for i in (0, 1))
    windows = F.pad(x, (0, right, 0, below)).unfold(2, kernel[0], stride[0]).unfold(3, kernel[1], stride[1]).flatten(4)
    if random is None:
        return windows.square().sum(-1) / (windows.sum(-1) + torch.finfo(x.dtype).tiny)
    with torch.no_grad():
        sums = windows.cumsum(-1)
        draws = torch.rand(sums.shape[:-1], generator=random, device=x.device, dtype=x.dtype)
        chosen = (sums >= (draws * sums[..., -1])[..., None]).byte().argmax(-1, keepdim=True)  # the first that reaches its draw
    return windows.gather(-1, chosen)[..., 0]


@layer("Pooling")
class Pooling(DrawingLayer):
    """MAX (a second top is the mask: each maximum's index within its channel), AVE or STOCHASTIC."""

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        x, p = bottoms[0], self.param.pooling_param
        kernel, stride, pad = window(self.param, x.shape[2], x.shape[3])
        size = self.facts.tops[0][2], self.facts.tops[0][3]
        if p.pool == p.MAX:
            return pool_max(x, kernel, stride, pad, size, mask=len(self.param.top) > 1)
        if p.pool == p.AVE:
            return [pool_average(x, kernel, stride, pad, size)]
        return [pool_stochastic(x, kernel, stride, size, self.draws.next() if self.context.train else None)]


@layer("SPP")
class SPP(DrawingLayer):
    """Poolings into 1, 4, 16, ... bins, one behind the other (He et al. 2014, section 2)."""

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        x, p = bottoms[0], self.param.spp_param
        tops = []
        random = self.draws.next() if p.pool == p.STOCHASTIC and self.context.train else None
        for kernel, pad in pyramid(self.param, x.shape[2], x.shape[3]):
            height, width = (pooled_size(x.shape[2 + i], kernel[i], kernel[i], pad[i], any(pad)) for i in (0, 1))
            if p.pool == p.MAX:
                top = pool_max(x, kernel, kernel, pad, (height, width))[0]
            elif p.pool == p.AVE:
                top = pool_average(x, kernel, kernel, pad, (height, width))
            else:
                top = pool_stochastic(x, kernel, kernel, (height, width), random)
            tops.append(top.flatten(1))
        return [torch.cat(tops, 1).reshape(self.facts.tops[0])]
