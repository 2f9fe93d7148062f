"""Pooling, which unlike Convolution rounds sizes up, and SPP, the pyramid of poolings."""

from __future__ import annotations

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.checks import check, count_blobs, four_axes, not_in_place
from caffe_ir.rules.registry import Facts, Layer, Shapes, rule

Pair = tuple[int, int]  # vertical, horizontal


def window(layer: Layer, height: int, width: int) -> tuple[Pair, Pair, Pair]:
    """Return kernel, stride and pad of a Pooling over a bottom of height x width.

    Raises LayerError where Caffe's SetUp stops.
    """
    param = layer.pooling_param
    kernel = _kernel(layer, height, width)
    stride = _pair(layer, "stride")
    pad = _pair(layer, "pad")
    check(min(kernel) > 0, layer, "kernel_size", "must be positive")
    check(min(stride) > 0, layer, "stride", "must be positive")
    if param.global_pooling:
        plain = stride == (1, 1) and pad == (0, 0)
        check(plain, layer, "global_pooling", "takes only stride 1 and pad 0")
    if any(pad):
        stochastic = param.pool == pb.PoolingParameter.STOCHASTIC
        check(not stochastic, layer, "pad", "is not implemented for stochastic pooling")
        smaller = pad[0] < kernel[0] and pad[1] < kernel[1]
        check(smaller, layer, "pad", "must be smaller than the kernel")
    return kernel, stride, pad


def _kernel(layer: Layer, height: int, width: int) -> Pair:
    """Return the kernel of a Pooling: the whole bottom, kernel_size, or kernel_h and kernel_w."""
    param = layer.pooling_param
    sized = param.HasField("kernel_size")
    sides = (param.HasField("kernel_h"), param.HasField("kernel_w"))
    if param.global_pooling:
        none = not sized and not any(sides)
        check(none, layer, "kernel_size", "cannot be given with global_pooling")
        return (height, width)
    one_form = sized != all(sides)
    check(
        one_form,
        layer,
        "kernel_size",
        "give either kernel_size or both kernel_h and kernel_w",
    )
    if sized:
        return (param.kernel_size, param.kernel_size)
    return (param.kernel_h, param.kernel_w)


def _pair(layer: Layer, name: str) -> Pair:
    """Return the stride or pad of a Pooling: one field for both sides, or NAME_h and NAME_w."""
    param = layer.pooling_param
    sides = (param.HasField(f"{name}_h"), param.HasField(f"{name}_w"))
    fits = not any(sides) or (all(sides) and not param.HasField(name))
    check(fits, layer, name, f"give either {name} or both {name}_h and {name}_w")
    if any(sides):
        return (getattr(param, f"{name}_h"), getattr(param, f"{name}_w"))
    single = getattr(param, name)
    return (single, single)


def pooled_size(size: int, kernel: int, stride: int, pad: int, clip: bool) -> int:
    """Return ceil((size + 2 pad - kernel) / stride) + 1, the size of a pooled map along one axis.

    clip: whether to leave out a last window that would begin in the padding.
    """
    pooled = -(-(size + 2 * pad - kernel) // stride) + 1
    if clip and (pooled - 1) * stride >= size + pad:
        return pooled - 1
    return pooled


@rule("Pooling")
def pooling(layer: Layer, bottoms: Shapes) -> Facts:
    """The top is N x C x pooled sizes; a second top (max pooling's mask) has the same shape.

    Source: weiliu89/caffe pooling_layer.cpp.
    """
    most_tops = 2 if layer.pooling_param.pool == pb.PoolingParameter.MAX else 1
    count_blobs(layer, bottoms, 1, (1, most_tops))
    not_in_place(layer)
    n, c, *sizes = four_axes(layer, bottoms[0])
    kernel, stride, pad = window(layer, *sizes)
    pooled = [
        pooled_size(size, k, s, p, any(pad))
        for size, k, s, p in zip(sizes, kernel, stride, pad, strict=True)
    ]
    bottom = f"a bottom of {sizes[0]}x{sizes[1]}"
    message = f"{kernel[0]}x{kernel[1]} is too large for {bottom}"
    check(min(pooled) > 0, layer, "kernel_size", message)
    return Facts([(n, c, *pooled)] * len(layer.top))


def pyramid(layer: Layer, height: int, width: int) -> list[tuple[Pair, Pair]]:
    """Return kernel and pad of each level of SPP: 1 bin a side, then 2, 4 and so on.

    The stride is the kernel.
    """
    levels = []
    stochastic = layer.spp_param.pool == pb.SPPParameter.STOCHASTIC
    for level in range(layer.spp_param.pyramid_height):
        bins = 2**level
        kernel = (-(-height // bins), -(-width // bins))
        pad = (
            (kernel[0] * bins - height + 1) // 2,
            (kernel[1] * bins - width + 1) // 2,
        )
        fits = pad[0] < kernel[0] and pad[1] < kernel[1]
        refused = f"a bottom of {height}x{width} cannot be pooled into {bins}x{bins} bins"
        check(fits, layer, "pyramid_height", f"{refused}, as Caffe pads it")
        padded = f"which {bins}x{bins} bins of {height}x{width} need"
        implemented = not (stochastic and any(pad))
        check(implemented, layer, "pool", f"STOCHASTIC cannot pad, {padded}")
        levels.append((kernel, pad))
    return levels


@rule("SPP")
def spp(layer: Layer, bottoms: Shapes) -> Facts:
    """The top is N x (C times the bins of all levels); with one level it is N x C x 1 x 1.

    Source: weiliu89/caffe spp_layer.cpp.
    """
    count_blobs(layer, bottoms)
    n, c, *sizes = four_axes(layer, bottoms[0])
    levels = layer.spp_param.pyramid_height
    wanted = "must be specified, and lie between 1 and 16"
    check(1 <= levels <= 16, layer, "pyramid_height", wanted)
    bins = 0
    for kernel, pad in pyramid(layer, *sizes):
        pooled = [
            pooled_size(size, k, k, p, any(pad))
            for size, k, p in zip(sizes, kernel, pad, strict=True)
        ]
        bins += pooled[0] * pooled[1]
    if levels == 1:
        return Facts([(n, c, 1, 1)])
    return Facts([(n, c * bins)])
