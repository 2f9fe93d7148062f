"""Pooling with Caffe's rounding: a window that starts inside the (padded) bottom counts."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.registry import Facts
from netrun.layers.registry import Context, Layer, layer

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


def pool_average(x: torch.Tensor, kernel: Pair, stride: Pair, pad: Pair) -> torch.Tensor:
    """Averages over windows: padding counts in the divisor, what lies beyond the padding does not."""
    if 2 * pad[0] > kernel[0] or 2 * pad[1] > kernel[1]:  # torch pads half a window at most
        x, pad = F.pad(x, (pad[1], pad[1], pad[0], pad[0])), (0, 0)
    return F.avg_pool2d(x, kernel, stride, pad, ceil_mode=True, count_include_pad=True)


@layer("Pooling")
class Pooling(Layer):
    """MAX (a second top is the mask: each maximum's index within its channel) or AVE."""

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        p = layer.pooling_param
        if p.pool == p.STOCHASTIC:
            raise self.refuse("netrun pools by MAX and AVE, not STOCHASTIC", "pooling_param.pool")
        self.kernel = (p.kernel_h, p.kernel_w) if p.HasField("kernel_h") else (p.kernel_size, p.kernel_size)
        self.stride = (p.stride_h, p.stride_w) if p.HasField("stride_h") else (p.stride, p.stride)
        self.pad = (p.pad_h, p.pad_w) if p.HasField("pad_h") else (p.pad, p.pad)

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        x, p = bottoms[0], self.param.pooling_param
        height, width = self.facts.tops[0][2:]
        kernel = (x.shape[2], x.shape[3]) if p.global_pooling else self.kernel
        if p.pool == p.MAX:
            return pool_max(x, kernel, self.stride, self.pad, (height, width), mask=len(self.param.top) > 1)
        if (height - 1) * self.stride[0] >= x.shape[2] + self.pad[0] or (width - 1) * self.stride[1] >= x.shape[3] + self.pad[1]:
            raise self.refuse("the last AVE window lies wholly outside the bottom, where Caffe divides zero by zero", "pooling_param")
        return [pool_average(x, kernel, self.stride, self.pad)]
