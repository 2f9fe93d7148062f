"""Convolution, Deconvolution and InnerProduct: the layers that multiply by a weight matrix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.registry import Facts
from netrun.layers.registry import Context, Layer, layer


def per_axis(values: Sequence[int], by_name: tuple[int, int] | None, axes: int, default: int) -> tuple[int, ...]:
    """One value per spatial axis from Caffe's three ways of saying it: none, one for all, one each (or the _h and _w fields)."""
    if by_name is not None:
        return by_name
    return tuple(values) if len(values) > 1 else (values[0] if values else default,) * axes


class _Filters(Layer):
    """What Convolution and Deconvolution share. Every bottom goes through the same filters, bottom i to top i."""

    owns_top = True

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        p = layer.convolution_param
        axes = len(facts.params[0].shape) - 2
        if p.axis not in (1, -1 - axes):
            raise self.refuse(f"netrun convolves over the axes behind axis 1, not {p.axis}", "convolution_param.axis")
        if not 1 <= axes <= 3:
            raise self.refuse(f"netrun convolves over 1, 2 or 3 axes, not {axes}", "convolution_param")
        self.stride = per_axis(p.stride, (p.stride_h, p.stride_w) if p.HasField("stride_h") else None, axes, 1)
        self.padding = per_axis(p.pad, (p.pad_h, p.pad_w) if p.HasField("pad_h") else None, axes, 0)
        self.dilation = per_axis(p.dilation, None, axes, 1)
        self.groups = p.group
        self.axes = axes

    def parameters(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        return self.blobs[0], self.blobs[1] if len(self.blobs) > 1 else None


@layer("Convolution")
class Convolution(_Filters):
    """Cross-correlation with learned filters, blobs (out, in / group, *kernel) and, with bias_term, (out,)."""

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        convolve = (F.conv1d, F.conv2d, F.conv3d)[self.axes - 1]
        weight, bias = self.parameters()
        if self.axes == 2:  # the order that is fastest on the CPU, whatever the filters' own is
            bottoms = [x.contiguous(memory_format=torch.channels_last) for x in bottoms]
        return [convolve(x, weight, bias, self.stride, self.padding, self.dilation, self.groups) for x in bottoms]


@layer("Deconvolution")
class Deconvolution(_Filters):
    """The transpose of a convolution, blobs (in, out / group, *kernel) and, with bias_term, (out,)."""

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        spread = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.axes - 1]
        weight, bias = self.parameters()
        return [spread(x, weight, bias, self.stride, self.padding, 0, self.groups, self.dilation) for x in bottoms]


@layer("InnerProduct")
class InnerProduct(Layer):
    """A full connection over all axes from `axis` on."""

    owns_top = True

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        p = self.param.inner_product_param
        weight = self.blobs[0].t() if p.transpose else self.blobs[0]
        x = bottoms[0].flatten(p.axis) if p.axis != bottoms[0].dim() else bottoms[0].unsqueeze(-1)
        return [F.linear(x, weight, self.blobs[1] if p.bias_term else None)]


@layer("Embed")
class Embed(Layer):
    """Rows of a learned table, by the whole numbers in the bottom."""

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        rows = F.embedding(bottoms[0].detach().long(), self.blobs[0])
        return [rows + self.blobs[1] if self.param.embed_param.bias_term else rows]
