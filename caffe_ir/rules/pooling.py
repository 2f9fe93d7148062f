"""Pooling, whose sizes are rounded up, unlike Convolution's, and SPP, the pyramid of poolings."""

from __future__ import annotations

from collections.abc import Sequence

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.checks import check, count_blobs, four_axes, not_in_place
from caffe_ir.rules.registry import Facts, Shape, rule


def window(layer: pb.LayerParameter, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """(kernel, stride, pad), each (vertical, horizontal), over a bottom of height x width. Raises LayerError as Caffe's SetUp stops."""
    param = layer.pooling_param
    sized, sided = param.HasField("kernel_size"), (param.HasField("kernel_h"), param.HasField("kernel_w"))
    if param.global_pooling:
        check(not sized and not any(sided), layer, "kernel_size", "cannot be given with global_pooling")
        kernel = (height, width)
    else:
        check(sized != all(sided), layer, "kernel_size", "give either kernel_size or both kernel_h and kernel_w")
        kernel = (param.kernel_size, param.kernel_size) if sized else (param.kernel_h, param.kernel_w)
    pairs = []
    for name in ("stride", "pad"):
        single, pair = getattr(param, name), (getattr(param, f"{name}_h"), getattr(param, f"{name}_w"))
        written = (param.HasField(f"{name}_h"), param.HasField(f"{name}_w"))
        fits = not any(written) or (all(written) and not param.HasField(name))
        check(fits, layer, name, f"give either {name} or both {name}_h and {name}_w")
        pairs.append(pair if any(written) else (single, single))
    stride, pad = pairs
    check(min(kernel) > 0, layer, "kernel_size", "must be positive")
    check(min(stride) > 0, layer, "stride", "must be positive")
    if param.global_pooling:
        check(stride == (1, 1) and pad == (0, 0), layer, "global_pooling", "takes only stride 1 and pad 0")
    if any(pad):
        check(param.pool != pb.PoolingParameter.STOCHASTIC, layer, "pad", "is not implemented for stochastic pooling")
        check(pad[0] < kernel[0] and pad[1] < kernel[1], layer, "pad", "must be smaller than the kernel")
    return kernel, stride, pad


def pooled_size(size: int, kernel: int, stride: int, pad: int, clip: bool) -> int:
    """ceil((size + 2 pad - kernel) / stride) + 1; with clip, a last window that would begin in the padding is left out."""
    pooled = -(-(size + 2 * pad - kernel) // stride) + 1
    return pooled - 1 if clip and (pooled - 1) * stride >= size + pad else pooled


@rule("Pooling")
def pooling(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """N x C x pooled sizes; a second top (max pooling's mask) has the same shape. Source: weiliu89/caffe pooling_layer.cpp."""
    most_tops = 2 if layer.pooling_param.pool == pb.PoolingParameter.MAX else 1
    count_blobs(layer, bottoms, 1, (1, most_tops))
    not_in_place(layer)
    n, c, *sizes = four_axes(layer, bottoms[0])
    kernel, stride, pad = window(layer, *sizes)
    pooled = [pooled_size(size, k, s, p, any(pad)) for size, k, s, p in zip(sizes, kernel, stride, pad, strict=True)]
    check(min(pooled) > 0, layer, "kernel_size", f"{kernel[0]}x{kernel[1]} is too large for a bottom of {sizes[0]}x{sizes[1]}")
    return Facts([(n, c, *pooled)] * len(layer.top))


def pyramid(layer: pb.LayerParameter, height: int, width: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """(kernel, pad) of each of SPP's levels, each (vertical, horizontal), from 1 bin a side to 2, 4, ...; the stride is the kernel."""
    levels = []
    for level in range(layer.spp_param.pyramid_height):
        bins = 2**level
        kernel = tuple(-(-size // bins) for size in (height, width))
        pad = tuple((k * bins - size + 1) // 2 for k, size in zip(kernel, (height, width), strict=True))
        fits = pad[0] < kernel[0] and pad[1] < kernel[1]
        check(fits, layer, "pyramid_height", f"a bottom of {height}x{width} cannot be pooled into {bins}x{bins} bins, as Caffe pads it")
        stochastic = layer.spp_param.pool == pb.SPPParameter.STOCHASTIC
        check(not (stochastic and any(pad)), layer, "pool", f"STOCHASTIC cannot pad, which {bins}x{bins} bins of {height}x{width} need")
        levels.append(((kernel[0], kernel[1]), (pad[0], pad[1])))
    return levels


@rule("SPP")
def spp(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """N x (C times the bins of all levels), or, of a single level, Pooling's N x C x 1 x 1. Source: spp_layer.cpp."""
    count_blobs(layer, bottoms)
    n, c, *sizes = four_axes(layer, bottoms[0])
    check(1 <= layer.spp_param.pyramid_height <= 16, layer, "pyramid_height", "must be specified, and lie between 1 and 16")
    bins = 0
    for kernel, pad in pyramid(layer, *sizes):
        pooled = [pooled_size(size, k, k, p, any(pad)) for size, k, p in zip(sizes, kernel, pad, strict=True)]
        bins += pooled[0] * pooled[1]
    return Facts([(n, c, 1, 1) if layer.spp_param.pyramid_height == 1 else (n, c * bins)])
