"""Convolution, Deconvolution and InnerProduct: the layers that multiply by a weight matrix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.convolution import spatial
from caffe_ir.rules.registry import Facts
from netrun.layers.registry import Context, Layer, layer


class _Filters(Layer):
    """What Convolution and Deconvolution share. Every bottom goes through the same filters, bottom i to top i."""

    owns_top = True

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        axes = len(facts.params[0].shape) - 2
        if axes > 3:
            raise self.refuse(f"netrun convolves over up to 3 axes, not {axes}", "convolution_param")
        defaults = (("stride", 1), ("pad", 0), ("dilation", 1))
        self.stride, self.padding, self.dilation = (tuple(spatial(layer, name, axes, d)) or (d,) for name, d in defaults)
        self.groups = layer.convolution_param.group
        self.axes = max(axes, 1)  # a bottom without spatial axes is given one, of size 1
        self.images = len(facts.tops[0]) - axes - 1  # axes before the channels': torch knows exactly one
        self.plain = self.images == 1 and axes > 0

    def parameters(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        weight, bias = self.blobs[0], self.blobs[1] if len(self.blobs) > 1 else None
        return weight if weight.dim() > 2 else weight.unsqueeze(-1), bias

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        if self.plain:
            return [self.filtered(x) for x in bottoms]
        shapes = [(-1, *(x.shape[self.images :] if x.dim() > self.images + 1 else (x.shape[-1], 1))) for x in bottoms]
        return [self.filtered(x.reshape(s)).reshape(self.facts.tops[0]) for x, s in zip(bottoms, shapes, strict=True)]

    def filtered(self, x: torch.Tensor) -> torch.Tensor:
        """The top of a bottom (N, C, ...)."""
        raise NotImplementedError


def reached(x: torch.Tensor, kernel: Sequence[int], pad: Sequence[int], dilation: Sequence[int]) -> torch.Tensor:
    """x (N, C, ...) with zeros behind it where a kernel is larger than all there is, padding included; Caffe lays it over such, too."""
    beyond = [d * (k - 1) + 1 - size - 2 * p for k, p, d, size in zip(kernel, pad, dilation, x.shape[-len(kernel) :], strict=True)]
    return x if max(beyond) <= 0 else F.pad(x, [side for more in reversed(beyond) for side in (0, max(more, 0))])


@layer("Convolution")
class Convolution(_Filters):
    """Cross-correlation with learned filters, blobs (out, in / group, *kernel) and, with bias_term, (out,)."""

    def filtered(self, x: torch.Tensor) -> torch.Tensor:
        convolve = (F.conv1d, F.conv2d, F.conv3d)[self.axes - 1]
        if self.axes == 2:  # the order that is fastest on the CPU, whatever the filters' own is
            x = x.contiguous(memory_format=torch.channels_last)
        weight, bias = self.parameters()
        x = reached(x, weight.shape[2:], self.padding, self.dilation)
        return convolve(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)


@layer("Deconvolution")
class Deconvolution(_Filters):
    """The transpose of a convolution, blobs (in, out / group, *kernel) and, with bias_term, (out,)."""

    def filtered(self, x: torch.Tensor) -> torch.Tensor:
        spread = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.axes - 1]
        return spread(x, *self.parameters(), self.stride, self.padding, 0, self.groups, self.dilation)


@layer("Im2col")
class Im2col(Layer):
    """The values under each place of a convolution's kernel, as channels: C times the kernel's size of them."""

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        x, axis = bottoms[0], self.param.convolution_param.axis % bottoms[0].dim()
        axes = x.dim() - axis - 1
        kernel, stride, pad, dilation = (
            spatial(self.param, name, axes, d) for name, d in (("kernel_size", None), ("stride", 1), ("pad", 0), ("dilation", 1))
        )
        x = reached(F.pad(x, [side for p in reversed(pad) for side in (p, p)]), kernel, [0] * axes, dilation)
        for i, (k, s, d) in enumerate(zip(kernel, stride, dilation, strict=True), axis + 1):
            x = x.unfold(i, d * (k - 1) + 1, s)[..., ::d]
        places = range(axis + 1, axis + 1 + axes)
        return [x.permute(*range(axis + 1), *(i + axes for i in places), *places).reshape(self.facts.tops[0])]


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
