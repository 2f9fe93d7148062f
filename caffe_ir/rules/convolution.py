"""Layers that multiply by weights, Convolution, Deconvolution, InnerProduct, Embed; and Im2col, which lays a convolution out."""

from __future__ import annotations

from collections.abc import Sequence

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.checks import MANY, axis_of, check, count, count_blobs, learned, not_in_place, same_shapes
from caffe_ir.rules.registry import Facts, Param, Shape, rule, shape_text


def spatial(layer: pb.LayerParameter, field: str, axes: int, default: int | None) -> list[int]:
    """A field of convolution_param once per spatial axis: written once, or once per axis, or as FIELD_h and FIELD_w.

    field: kernel_size, stride, pad or dilation. default: None where it must be written.
    Raises LayerError for a count that fits neither, for both forms at once, and for 0 where that makes no sense.
    """
    param = layer.convolution_param
    written = list(getattr(param, field))
    stem = field.removesuffix("_size")
    if stem != "dilation" and (param.HasField(f"{stem}_h") or param.HasField(f"{stem}_w")):
        check(axes == 2, layer, f"{stem}_h", f"{stem}_h and {stem}_w need 2 spatial axes, the bottom has {axes}")
        check(not written, layer, field, f"is written beside {stem}_h and {stem}_w; keep one form")
        values = [getattr(param, f"{stem}_h"), getattr(param, f"{stem}_w")]
    else:
        check(written or default is not None or not axes, layer, field, "must be specified")
        fits = len(written) in (1, axes) or not written
        check(fits, layer, field, f"must be written once or once per spatial axis ({axes}), found {len(written)} values")
        values = written if len(written) == axes else (written or [default or 0]) * axes
    check(stem == "pad" or all(v > 0 for v in values), layer, field, "must be positive")
    return values


def _convolved(layer: pb.LayerParameter, size: int, fields: tuple[int, int, int, int]) -> int:
    """The size of a convolution's output along one axis. fields: kernel_size, stride, pad and dilation there.

    Caffe divides towards zero: where the kernel is larger than the padded bottom by less than the stride, it is laid once, over zeros.
    """
    kernel, stride, pad, dilation = fields
    extent = dilation * (kernel - 1) + 1
    room = size + 2 * pad - extent
    check(room > -stride, layer, "kernel_size", f"{extent} is larger than the padded bottom, {size} + 2 x {pad}")
    return max(room, 0) // stride + 1


def _convolve(layer: pb.LayerParameter, bottoms: Sequence[Shape], transposed: bool) -> Facts:
    count_blobs(layer, bottoms, (1, MANY), len(bottoms))
    same_shapes(layer, bottoms)
    not_in_place(layer)
    param, shape = layer.convolution_param, bottoms[0]
    axis = axis_of(layer, shape, param.axis, "axis")
    channels, inputs = shape[axis], shape[axis + 1 :]
    kernel = spatial(layer, "kernel_size", len(inputs), None)
    stride = spatial(layer, "stride", len(inputs), 1)
    pad = spatial(layer, "pad", len(inputs), 0)
    dilation = spatial(layer, "dilation", len(inputs), 1)
    outputs, group = param.num_output, param.group
    check(outputs > 0, layer, "num_output", "must be specified and positive")
    check(group > 0 and channels % group == 0, layer, "group", f"{group} does not divide the {channels} channels of the bottom")
    check(outputs % group == 0, layer, "group", f"{group} does not divide num_output {outputs}")
    sizes = []
    for size, k, s, p, d in zip(inputs, kernel, stride, pad, dilation, strict=True):
        if transposed:
            sizes.append(s * (size - 1) + d * (k - 1) + 1 - 2 * p)
            check(sizes[-1] > 0, layer, "pad", f"{p} leaves nothing of the output (bottom {shape_text(shape)})")
        else:
            sizes.append(_convolved(layer, size, (k, s, p, d)))
    weight = [channels, outputs // group, *kernel] if transposed else [outputs, channels // group, *kernel]
    params = [learned(layer, weight, param, "weight_filler")]
    if param.bias_term:
        params.append(learned(layer, [outputs], param, "bias_filler"))
    places = count(shape[:axis]) * count(inputs if transposed else sizes)  # where the kernel is laid, in all images
    top = (*shape[:axis], outputs, *sizes)
    return Facts([top] * len(bottoms), params, len(bottoms) * places * count(weight))


@rule("Convolution")
def convolution(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """Output (in + 2 pad - extent) / stride + 1, extent = dilation (kernel - 1) + 1; weights num_output x C/group x kernel.

    Source: weiliu89/caffe base_conv_layer.cpp, conv_layer.cpp.
    """
    return _convolve(layer, bottoms, transposed=False)


@rule("Deconvolution")
def deconvolution(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """Output stride (in - 1) + extent - 2 pad; weights C x num_output/group x kernel. Source: deconv_layer.cpp."""
    return _convolve(layer, bottoms, transposed=True)


@rule("Im2col")
def im2col(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """Every place's values under the kernel become channels: C times the kernel's, and a convolution's sizes."""
    count_blobs(layer, bottoms)
    not_in_place(layer)
    shape = bottoms[0]
    axis = axis_of(layer, shape, layer.convolution_param.axis, "axis")
    inputs = shape[axis + 1 :]
    check(inputs, layer, "axis", f"leaves no spatial axes in a bottom of {shape_text(shape)}")
    kernel = spatial(layer, "kernel_size", len(inputs), None)
    fields = (spatial(layer, name, len(inputs), default) for name, default in (("stride", 1), ("pad", 0), ("dilation", 1)))
    sizes = [_convolved(layer, size, values) for size, values in zip(inputs, zip(kernel, *fields, strict=True), strict=True)]
    return Facts([(*shape[:axis], shape[axis] * count(kernel), *sizes)])


@rule("InnerProduct")
def inner_product(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The axes from `axis` on are flattened into K and become one of num_output; weights num_output x K, or K x num_output."""
    count_blobs(layer, bottoms)
    not_in_place(layer)
    param, shape = layer.inner_product_param, bottoms[0]
    check(param.num_output > 0, layer, "num_output", "must be specified and positive")
    axis = axis_of(layer, shape, param.axis, "axis")
    rows, inputs, outputs = count(shape[:axis]), count(shape[axis:]), param.num_output
    weight = [inputs, outputs] if param.transpose else [outputs, inputs]
    params = [learned(layer, weight, param, "weight_filler")]
    if param.bias_term:
        params.append(learned(layer, [outputs], param, "bias_filler"))
    return Facts([(*shape[:axis], outputs)], params, rows * inputs * outputs)


@rule("Embed")
def embed(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """Each value of the bottom picks one of input_dim rows of num_output weights."""
    count_blobs(layer, bottoms)
    param = layer.embed_param
    check(param.num_output > 0, layer, "num_output", "must be specified and positive")
    check(param.input_dim > 0, layer, "input_dim", "must be specified and positive")
    params: list[Param] = [learned(layer, [param.input_dim, param.num_output], param, "weight_filler")]
    if param.bias_term:
        params.append(learned(layer, [param.num_output], param, "bias_filler"))
    return Facts([(*bottoms[0], param.num_output)], params)
