"""Convolution, Deconvolution and InnerProduct: the layers that multiply by a weight matrix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_ir.rules.convolution import spatial
from netrun.layers.registry import Layer, Tensors, layer


class _Filters(Layer):
    """What Convolution and Deconvolution share: filters that take bottom i to top i.

    stride, padding, dilation: one number for each axis, in pixels.
    axes: spatial axes; a bottom without any gets one of size 1.
    images: how many axes come before the channels; torch has exactly one.
    Raises LayerError for more than 3 spatial axes.
    Source: weiliu89/caffe (ssd), base_conv_layer.cpp.
    """

    owns_top = True

    def set_up(self) -> None:
        """Read stride, padding and dilation. Raises LayerError for more than 3 spatial axes."""
        axes = len(self.facts.params[0].shape) - 2
        if axes > 3:
            what = f"netrun convolves over up to 3 axes, not {axes}"
            raise self.refuse(what, "convolution_param")
        p = self.param
        self.stride = tuple(spatial(p, "stride", axes, 1)) or (1,)
        self.padding = tuple(spatial(p, "pad", axes, 0)) or (0,)
        self.dilation = tuple(spatial(p, "dilation", axes, 1)) or (1,)
        self.groups = p.convolution_param.group
        self.axes = max(axes, 1)
        self.images = len(self.facts.tops[0]) - axes - 1
        self.plain = self.images == 1 and axes > 0

    def parameters(self) -> tuple[Tensor, Tensor | None]:
        """The filters, with at least one spatial axis, and the bias if the layer has one."""
        weight = self.blobs[0]
        if weight.dim() == 2:
            weight = weight.unsqueeze(-1)
        if len(self.blobs) == 1:
            return weight, None
        return weight, self.blobs[1]

    def forward(self, bottoms: Tensors) -> Tensors:
        """Filter each bottom; for torch, the axes before the channels become one."""
        if self.plain:
            return [self.filtered(x) for x in bottoms]
        shape = self.facts.tops[0]
        tops = [self.filtered(self._with_one_image_axis(x)) for x in bottoms]
        return [top.reshape(shape) for top in tops]

    def _with_one_image_axis(self, x: Tensor) -> Tensor:
        """Reshape a bottom to (N, C, ...), torch's form."""
        if x.dim() == self.images + 1:
            return x.reshape(-1, x.shape[-1], 1)
        return x.reshape(-1, *x.shape[self.images :])

    def filtered(self, x: Tensor) -> Tensor:
        """The top of a bottom (N, C, ...)."""
        raise NotImplementedError


def reached(
    x: Tensor,
    kernel: Sequence[int],
    pad: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    """Put zeros behind x (N, C, ...) where a kernel is larger than x with its padding.

    Caffe applies a kernel to such a bottom too.
    """
    sizes = x.shape[-len(kernel) :]
    beyond = []
    for k, p, d, size in zip(kernel, pad, dilation, sizes, strict=True):
        extent = d * (k - 1) + 1
        beyond.append(extent - size - 2 * p)
    if max(beyond) <= 0:
        return x
    sides = []
    for more in reversed(beyond):
        sides += [0, max(more, 0)]
    return F.pad(x, sides)


@layer("Convolution")
class Convolution(_Filters):
    """Cross-correlation with learned filters.

    blobs: (out, in / group, *kernel) and, with bias_term, (out,).
    Source: weiliu89/caffe (ssd), conv_layer.cpp.
    """

    def filtered(self, x: Tensor) -> Tensor:
        """The sums of products of each filter with the values under it, plus the bias."""
        convolve = (F.conv1d, F.conv2d, F.conv3d)[self.axes - 1]
        if self.axes == 2:
            # This order is the fastest on the CPU, even where filters have another.
            x = x.contiguous(memory_format=torch.channels_last)
        weight, bias = self.parameters()
        x = reached(x, weight.shape[2:], self.padding, self.dilation)
        return convolve(
            x,
            weight,
            bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )


@layer("ConvolutionDepthwise", "DepthwiseConvolution")
class DepthwiseConvolution(Convolution):
    """A Convolution of each channel by itself.

    blobs: (channels, 1, kernel height, kernel width) and, with bias_term, (channels,).
    Source: BVLC/caffe pull request 5665, conv_dw_layer.cpp; yonghenglh6/DepthwiseConvolution.
    """

    def set_up(self) -> None:
        """Read how the filters move; each channel is a group."""
        super().set_up()
        self.groups = self.facts.params[0].shape[0]


@layer("Deconvolution")
class Deconvolution(_Filters):
    """The transpose of a convolution.

    blobs: (in, out / group, *kernel) and, with bias_term, (out,).
    Source: weiliu89/caffe (ssd), deconv_layer.cpp.
    """

    def filtered(self, x: Tensor) -> Tensor:
        """Spread each value over the filter's places, add up overlaps, and add the bias."""
        spreads = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
        weight, bias = self.parameters()
        return spreads[self.axes - 1](
            x,
            weight,
            bias,
            self.stride,
            self.padding,
            0,
            self.groups,
            self.dilation,
        )


@layer("Im2col")
class Im2col(Layer):
    """The values under each place of a convolution's kernel, as channels.

    Source: weiliu89/caffe (ssd), im2col_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """For each place, the values under the kernel: C times the kernel's size channels."""
        x = bottoms[0]
        axis = self.param.convolution_param.axis % x.dim()
        axes = x.dim() - axis - 1
        kernel = spatial(self.param, "kernel_size", axes, None)
        stride = spatial(self.param, "stride", axes, 1)
        pad = spatial(self.param, "pad", axes, 0)
        dilation = spatial(self.param, "dilation", axes, 1)
        x = F.pad(x, [side for p in reversed(pad) for side in (p, p)])
        x = reached(x, kernel, [0] * axes, dilation)
        for i in range(axes):
            extent = dilation[i] * (kernel[i] - 1) + 1
            x = x.unfold(axis + 1 + i, extent, stride[i])[..., :: dilation[i]]
        places = range(axis + 1, axis + 1 + axes)
        offsets = [i + axes for i in places]
        x = x.permute(*range(axis + 1), *offsets, *places)
        return [x.reshape(self.facts.tops[0])]


@layer("InnerProduct")
class InnerProduct(Layer):
    """A full connection over all axes from `axis` on.

    Source: weiliu89/caffe (ssd), inner_product_layer.cpp.
    """

    owns_top = True

    def forward(self, bottoms: Tensors) -> Tensors:
        """The weight matrix times the flattened bottom, plus the bias."""
        p = self.param.inner_product_param
        weight = self.blobs[0]
        if p.transpose:
            weight = weight.t()
        x = bottoms[0]
        x = x.unsqueeze(-1) if p.axis == x.dim() else x.flatten(p.axis)
        return [F.linear(x, weight, *self.blobs[1:])]


@layer("Embed")
class Embed(Layer):
    """A learned table, looked up by row.

    Source: weiliu89/caffe (ssd), embed_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """The rows with the bottom's whole numbers as indices, plus the bias."""
        rows = F.embedding(bottoms[0].detach().long(), self.blobs[0])
        if not self.param.embed_param.bias_term:
            return [rows]
        return [rows + self.blobs[1]]
