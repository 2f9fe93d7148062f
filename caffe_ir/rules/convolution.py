"""Layers that multiply by weights: Convolution, Deconvolution, InnerProduct, Embed.

Im2col, which arranges a convolution's bottom as a matrix, is here too.
"""

from __future__ import annotations

from caffe_ir.rules.checks import (
    MANY,
    axis_of,
    check,
    check_positive,
    count,
    count_blobs,
    learned,
    not_in_place,
    same_shapes,
)
from caffe_ir.rules.registry import Facts, Layer, Param, Shapes, rule, shape_text


def spatial(layer: Layer, field: str, axes: int, default: int | None) -> list[int]:
    """Return the value of a field of convolution_param for each spatial axis.

    The field is written once, or once per axis, or as FIELD_h and FIELD_w.
    field: kernel_size, stride, pad or dilation.
    axes: how many spatial axes the bottom has.
    default: the value of a field that is not written; None for a required field.
    Raises LayerError for another number of values, for both forms at once, and for a 0 in any field
    but pad.
    """
    param = layer.convolution_param
    written = list(getattr(param, field))
    stem = field.removesuffix("_size")
    sides = [f"{stem}_h", f"{stem}_w"]
    if stem != "dilation" and any(param.HasField(side) for side in sides):
        both = f"{stem}_h and {stem}_w"
        needed = f"{both} need 2 spatial axes, the bottom has {axes}"
        check(axes == 2, layer, f"{stem}_h", needed)
        check(not written, layer, field, f"is written beside {both}; keep one form")
        values = [getattr(param, side) for side in sides]
    else:
        check(
            written or default is not None or not axes,
            layer,
            field,
            "must be specified",
        )
        fits = len(written) in (0, 1, axes)
        wanted = f"must be written once or once per spatial axis ({axes})"
        check(fits, layer, field, f"{wanted}, found {len(written)} values")
        values = written or [default or 0]
        if len(values) != axes:
            values = values * axes
    check(stem == "pad" or all(v > 0 for v in values), layer, field, "must be positive")
    return values


def _convolved(layer: Layer, size: int, fields: tuple[int, int, int, int]) -> int:
    """Return the size of a convolution's output along one axis.

    size: the bottom's size along it.
    fields: kernel_size, stride, pad and dilation along it
    Caffe divides towards zero. So a kernel that exceeds the padded bottom by less than the stride
    still gives one value, over zeros.
    """
    kernel, stride, pad, dilation = fields
    extent = dilation * (kernel - 1) + 1
    room = size + 2 * pad - extent
    check(
        room > -stride,
        layer,
        "kernel_size",
        f"{extent} is larger than the padded bottom, {size} + 2 x {pad}",
    )
    return max(room, 0) // stride + 1


def _convolve(layer: Layer, bottoms: Shapes, transposed: bool) -> Facts:
    """Return the facts of a Convolution, or, transposed, of a Deconvolution."""
    count_blobs(layer, bottoms, (1, MANY), len(bottoms))
    same_shapes(layer, bottoms)
    not_in_place(layer)
    param = layer.convolution_param
    shape = bottoms[0]
    axis = axis_of(layer, shape, param.axis, "axis")
    channels = shape[axis]
    inputs = shape[axis + 1 :]
    kernel = spatial(layer, "kernel_size", len(inputs), None)
    stride = spatial(layer, "stride", len(inputs), 1)
    pad = spatial(layer, "pad", len(inputs), 0)
    dilation = spatial(layer, "dilation", len(inputs), 1)
    outputs = param.num_output
    group = param.group
    check_positive(layer, "num_output", outputs)
    check(
        group > 0 and channels % group == 0,
        layer,
        "group",
        f"{group} does not divide the {channels} channels of the bottom",
    )
    check(
        outputs % group == 0,
        layer,
        "group",
        f"{group} does not divide num_output {outputs}",
    )
    sizes = []
    for size, k, s, p, d in zip(inputs, kernel, stride, pad, dilation, strict=True):
        if transposed:
            sizes.append(s * (size - 1) + d * (k - 1) + 1 - 2 * p)
            message = f"{p} leaves nothing of the output (bottom {shape_text(shape)})"
            check(sizes[-1] > 0, layer, "pad", message)
        else:
            sizes.append(_convolved(layer, size, (k, s, p, d)))
    if transposed:
        weight = [channels, outputs // group, *kernel]
        places = count(inputs)  # of the kernel, in one image
    else:
        weight = [outputs, channels // group, *kernel]
        places = count(sizes)
    params = [learned(layer, weight, param, "weight_filler")]
    if param.bias_term:
        params.append(learned(layer, [outputs], param, "bias_filler"))
    images = len(bottoms) * count(shape[:axis])
    top = (*shape[:axis], outputs, *sizes)
    return Facts([top] * len(bottoms), params, images * places * count(weight))


@rule("Convolution")
def convolution(layer: Layer, bottoms: Shapes) -> Facts:
    """Each top's size is (in + 2 pad - extent) / stride + 1, extent = dilation (kernel - 1) + 1.

    Parameters: weights num_output x C/group x kernel, and bias num_output.
    Source: weiliu89/caffe base_conv_layer.cpp, conv_layer.cpp.
    """
    return _convolve(layer, bottoms, transposed=False)


@rule("Deconvolution")
def deconvolution(layer: Layer, bottoms: Shapes) -> Facts:
    """Each top's size is stride (in - 1) + extent - 2 pad, extent = dilation (kernel - 1) + 1.

    Parameters: weights C x num_output/group x kernel, and bias num_output.
    Source: weiliu89/caffe deconv_layer.cpp.
    """
    return _convolve(layer, bottoms, transposed=True)


@rule("Im2col")
def im2col(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has C times the kernel's values as channels, and a convolution's sizes.

    The channels of a place are the values that the kernel covers there.
    """
    count_blobs(layer, bottoms)
    not_in_place(layer)
    shape = bottoms[0]
    axis = axis_of(layer, shape, layer.convolution_param.axis, "axis")
    inputs = shape[axis + 1 :]
    check(
        inputs,
        layer,
        "axis",
        f"leaves no spatial axes in a bottom of {shape_text(shape)}",
    )
    kernel = spatial(layer, "kernel_size", len(inputs), None)
    stride = spatial(layer, "stride", len(inputs), 1)
    pad = spatial(layer, "pad", len(inputs), 0)
    dilation = spatial(layer, "dilation", len(inputs), 1)
    fields = zip(kernel, stride, pad, dilation, strict=True)
    sizes = [_convolved(layer, size, f) for size, f in zip(inputs, fields, strict=True)]
    return Facts([(*shape[:axis], shape[axis] * count(kernel), *sizes)])


@rule("InnerProduct")
def inner_product(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the axes before `axis`, then num_output; the others are flattened into K.

    Parameters: weights num_output x K, or K x num_output with transpose, and bias num_output.
    """
    count_blobs(layer, bottoms)
    not_in_place(layer)
    param = layer.inner_product_param
    shape = bottoms[0]
    check_positive(layer, "num_output", param.num_output)
    axis = axis_of(layer, shape, param.axis, "axis")
    rows = count(shape[:axis])
    inputs = count(shape[axis:])
    outputs = param.num_output
    weight = [inputs, outputs] if param.transpose else [outputs, inputs]
    params = [learned(layer, weight, param, "weight_filler")]
    if param.bias_term:
        params.append(learned(layer, [outputs], param, "bias_filler"))
    return Facts([(*shape[:axis], outputs)], params, rows * inputs * outputs)


@rule("Embed")
def embed(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the bottom's axes, then num_output: the row of weights that each value picks.

    Parameters: weights input_dim x num_output, and bias num_output.
    """
    count_blobs(layer, bottoms)
    param = layer.embed_param
    check_positive(layer, "num_output", param.num_output)
    check_positive(layer, "input_dim", param.input_dim)
    params: list[Param] = [
        learned(layer, [param.input_dim, param.num_output], param, "weight_filler")
    ]
    if param.bias_term:
        params.append(learned(layer, [param.num_output], param, "bias_filler"))
    return Facts([(*bottoms[0], param.num_output)], params)
