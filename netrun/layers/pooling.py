"""Pooling and SPP with Caffe's rounding: a window that starts inside the padded bottom counts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_ir.rules.pooling import pooled_size, pyramid, window
from netrun.layers.draws import DrawingLayer
from netrun.layers.registry import Tensors, layer

LOWEST = torch.finfo(torch.float32).min  # where Caffe starts a maximum
Pair = tuple[int, int]  # height and width


def pool_max(
    x: Tensor,
    kernel: Pair,
    stride: Pair,
    pad: Pair,
    size: Pair,
    *,
    mask: bool = False,
) -> Tensors:
    """Maxima of x (N, C, H, W) over windows; with mask also their indices within the channel.

    size: the top's height and width.
    Of equal values, the first counts. A window with nothing but padding gives the lowest float32,
    as in Caffe, and the index -1.
    """
    height, width = x.shape[2:]
    last = [(size[i] - 1) * stride[i] - pad[i] for i in (0, 1)]
    starts_inside = last[0] < height and last[1] < width
    if starts_inside and not _pads_more_than_half(kernel, pad):
        if not mask:
            return [F.max_pool2d(x, kernel, stride, pad, ceil_mode=True)]
        top, places = F.max_pool2d(
            x,
            kernel,
            stride,
            pad,
            ceil_mode=True,
            return_indices=True,
        )
        return [top, places.to(x.dtype)]
    # torch drops a last window that starts outside: pad by hand.
    below = max(last[0] + kernel[0] - height, 0)
    right = max(last[1] + kernel[1] - width, 0)
    padded = F.pad(x, (pad[1], right, pad[0], below), value=LOWEST)
    top, places = F.max_pool2d(padded, kernel, stride, return_indices=True)
    if not mask:
        return [top]
    row = places // padded.shape[3] - pad[0]
    column = places % padded.shape[3] - pad[1]
    in_row = (row >= 0) & (row < height)
    in_column = (column >= 0) & (column < width)
    index = torch.where(in_row & in_column, row * width + column, -1)
    return [top, index.to(x.dtype)]


def _pads_more_than_half(kernel: Pair, pad: Pair) -> bool:
    """Whether padding exceeds half a window, which torch does not allow."""
    return 2 * pad[0] > kernel[0] or 2 * pad[1] > kernel[1]


def pool_average(
    x: Tensor,
    kernel: Pair,
    stride: Pair,
    pad: Pair,
    size: Pair,
) -> Tensor:
    """Averages of x (N, C, H, W) over windows.

    Padding counts in the divisor; places beyond the padding do not.
    size: the top's height and width.
    A last window that begins beyond the padding averages to 0. One that begins right at its end
    gives 0 / 0, as in Caffe.
    """
    if _pads_more_than_half(kernel, pad):
        x = F.pad(x, (pad[1], pad[1], pad[0], pad[0]))
        pad = (0, 0)
    top = F.avg_pool2d(
        x,
        kernel,
        stride,
        pad,
        ceil_mode=True,
        count_include_pad=True,
    )
    for axis in (0, 1):
        missing = size[axis] - top.shape[2 + axis]
        if missing:  # torch leaves those windows out
            begin = (size[axis] - 1) * stride[axis] - pad[axis]
            starts_right_behind = begin == x.shape[2 + axis] + pad[axis]
            value = float("nan") if starts_right_behind else 0.0
            sides = ((0, 0, 0, missing), (0, missing))[axis]
            top = F.pad(top, sides, value=value)
    return top


def pool_stochastic(
    x: Tensor,
    kernel: Pair,
    stride: Pair,
    size: Pair,
    random: torch.Generator | None,
) -> Tensor:
    """Draw one value of each window, with a chance in proportion to it, as in Caffe's GPU code.

    x: (N, C, H, W), not negative. size: the top's height and width.
    random: None gives each window's mean instead, weighted by the values themselves.
    Source: Zeiler & Fergus 2013.
    """
    below = (size[0] - 1) * stride[0] + kernel[0] - x.shape[2]
    right = (size[1] - 1) * stride[1] + kernel[1] - x.shape[3]
    padded = F.pad(x, (0, right, 0, below))
    rows = padded.unfold(2, kernel[0], stride[0])
    windows = rows.unfold(3, kernel[1], stride[1]).flatten(4)
    if random is None:
        tiny = torch.finfo(x.dtype).tiny
        return windows.square().sum(-1) / (windows.sum(-1) + tiny)
    with torch.no_grad():
        sums = windows.cumsum(-1)
        total = sums[..., -1]
        draws = torch.rand(
            total.shape,
            generator=random,
            device=x.device,
            dtype=x.dtype,
        )
        reached = sums >= (draws * total)[..., None]
        first = reached.byte().argmax(-1, keepdim=True)
    return windows.gather(-1, first)[..., 0]


@layer("Pooling")
class Pooling(DrawingLayer):
    """One value for each window: MAX, AVE or STOCHASTIC.

    A second top of MAX is the mask: each maximum's index within its channel.
    Source: weiliu89/caffe (ssd), pooling_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """Each window's maximum, average, or a value drawn in TRAIN and a weighted mean in TEST."""
        x = bottoms[0]
        p = self.param.pooling_param
        kernel, stride, pad = window(self.param, x.shape[2], x.shape[3])
        height, width = self.facts.tops[0][2:]
        size = (height, width)
        if p.pool == p.MAX:
            mask = len(self.param.top) > 1
            return pool_max(x, kernel, stride, pad, size, mask=mask)
        if p.pool == p.AVE:
            return [pool_average(x, kernel, stride, pad, size)]
        return [pool_stochastic(x, kernel, stride, size, self.training_draws())]


@layer("SPP")
class SPP(DrawingLayer):
    """Spatial pyramid pooling into 1, 4, 16, ... bins.

    Source: He et al. 2014, section 2; weiliu89/caffe (ssd), spp_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """The poolings of all levels of the pyramid, concatenated."""
        x = bottoms[0]
        p = self.param.spp_param
        random = None
        if p.pool == p.STOCHASTIC:
            random = self.training_draws()
        tops = []
        height, width = x.shape[2:]
        for kernel, pad in pyramid(self.param, height, width):
            rows = pooled_size(height, kernel[0], kernel[0], pad[0], any(pad))
            columns = pooled_size(width, kernel[1], kernel[1], pad[1], any(pad))
            size = (rows, columns)
            if p.pool == p.MAX:
                top = pool_max(x, kernel, kernel, pad, size)[0]
            elif p.pool == p.AVE:
                top = pool_average(x, kernel, kernel, pad, size)
            else:
                top = pool_stochastic(x, kernel, kernel, size, random)
            tops.append(top.flatten(1))
        return [torch.cat(tops, 1).reshape(self.facts.tops[0])]
