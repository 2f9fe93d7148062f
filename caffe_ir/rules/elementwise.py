"""Layers that keep the shape and treat each value alike.

PReLU, Scale and Bias, which have one parameter per channel, are here too.
"""

from __future__ import annotations

from caffe_ir.rules.checks import axis_of, check, check_two_axes, count_blobs, learned, not_in_place
from caffe_ir.rules.registry import (
    Facts,
    Layer,
    Param,
    Shape,
    Shapes,
    rule,
    shape_text,
)


@rule("ReLU", "ELU", "Sigmoid", "TanH", "BNLL", "Power", "Threshold")
def neuron(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the bottom's shape."""
    count_blobs(layer, bottoms)
    return Facts([bottoms[0]])


@rule("AbsVal")
def absval(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the bottom's shape."""
    not_in_place(layer)
    return neuron(layer, bottoms)


@rule("Exp", "Log")
def exponential(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the bottom's shape; base -1 stands for e."""
    power = layer.type == "Exp"
    base = layer.exp_param.base if power else layer.log_param.base
    check(
        base == -1 or base > 0,
        layer,
        "base",
        f"must be positive, or -1 for e, found {base:g}",
    )
    check(
        base != 1 or power,
        layer,
        "base",
        "must not be 1, to which there is no logarithm",
    )
    return neuron(layer, bottoms)


@rule("Dropout")
def dropout(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the bottom's shape."""
    ratio = layer.dropout_param.dropout_ratio
    check(0 < ratio < 1, layer, "dropout_ratio", "must lie between 0 and 1")
    return neuron(layer, bottoms)


@rule("PReLU")
def prelu(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the bottom's shape.

    Parameters: one slope per channel, or a single one (channel_shared), 0.25 at first.
    """
    count_blobs(layer, bottoms)
    shape = bottoms[0]
    check_two_axes(layer, shape)
    slopes = [] if layer.prelu_param.channel_shared else [shape[1]]
    slope = learned(layer, slopes, layer.prelu_param, "filler", default=0.25)
    return Facts([shape], [slope])


def _span(layer: Layer, bottoms: Shapes, axis: int, num_axes: int) -> Shape:
    """Return the shape of a blob of Scale or Bias, part of the first bottom's.

    It is the second bottom's shape, or num_axes axes of the first from axis on.
    """
    shape = bottoms[0]
    if len(bottoms) == 2:
        span = tuple(bottoms[1])
        start = axis_of(layer, shape, axis, "axis") if span else 0
        fits = shape[start : start + len(span)] == span
        second = f"bottom '{layer.bottom[1]}' {shape_text(span)}"
        message = f"{second} does not fit axes {axis}... of {shape_text(shape)}"
        check(fits, layer, "axis", message)
        return span
    start = axis_of(layer, shape, axis, "axis")
    check(
        num_axes >= -1,
        layer,
        "num_axes",
        "must be 0 or more, or -1 for all that follow",
    )
    past = f"{num_axes} from axis {start} extend past a bottom of {shape_text(shape)}"
    check(start + num_axes <= len(shape), layer, "num_axes", past)
    if num_axes == -1:
        return shape[start:]
    return shape[start : start + num_axes]


@rule("Scale")
def scale(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the bottom's shape.

    Parameters: a factor, 1 at first, over num_axes axes from axis on, unless the second bottom is
    the factor; with bias_term a summand over the same axes.
    """
    count_blobs(layer, bottoms, (1, 2))
    param = layer.scale_param
    span = _span(layer, bottoms, param.axis, param.num_axes)
    params: list[Param] = []
    if len(bottoms) == 1:
        params.append(learned(layer, span, param, "filler", default=1))
    if param.bias_term:
        params.append(learned(layer, span, param, "bias_filler"))
    return Facts([bottoms[0]], params)


@rule("Bias")
def bias(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the bottom's shape.

    Parameter: a summand over num_axes axes from axis on, unless the second bottom is the summand.
    """
    count_blobs(layer, bottoms, (1, 2))
    param = layer.bias_param
    span = _span(layer, bottoms, param.axis, param.num_axes)
    if len(bottoms) == 2:
        return Facts([bottoms[0]])
    return Facts([bottoms[0]], [learned(layer, span, param, "filler")])
