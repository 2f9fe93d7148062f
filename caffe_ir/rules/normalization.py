"""Layers that normalise: BatchNorm, Normalize, LRN, MVN, Softmax."""

from __future__ import annotations

from caffe_ir.rules.checks import (
    axis_of,
    check,
    check_two_axes,
    count_blobs,
    four_axes,
    learned,
    legacy,
)
from caffe_ir.rules.registry import Facts, Layer, Param, Shapes, rule


@rule("BatchNorm")
def batch_norm(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the bottom's shape.

    Parameters: three statistics, the sums of means and of variances per channel, and the weight of
    these sums.
    """
    count_blobs(layer, bottoms)
    shape = bottoms[0]
    check_two_axes(layer, shape)
    for param in layer.param:
        message = "must be 0: the three blobs are statistics, not learned"
        check(param.lr_mult == 0, layer, "param.lr_mult", message)
    sizes = (shape[1], shape[1], 1)
    return Facts([shape], [Param((size,), learnable=False) for size in sizes])


@rule("Normalize")
def normalize(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the bottom's shape.

    Parameters: one scale per channel, or a single one (channel_shared), 1 at first.
    Source: weiliu89/caffe normalize_layer.cpp.
    """
    count_blobs(layer, bottoms)
    shape = bottoms[0]
    check_two_axes(layer, shape)
    channels = legacy(layer, shape)[1]
    param = layer.norm_param
    scales = [] if param.channel_shared else [channels]
    scale = learned(layer, scales, param, "scale_filler", default=1)
    return Facts([shape], [scale])


@rule("LRN")
def lrn(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the bottom's shape."""
    count_blobs(layer, bottoms)
    four_axes(layer, bottoms[0])
    size = layer.lrn_param.local_size
    check(size % 2, layer, "local_size", f"must be odd, found {size}")
    return Facts([bottoms[0]])


@rule("MVN")
def mvn(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the bottom's shape, always with 4 axes."""
    count_blobs(layer, bottoms)
    return Facts([legacy(layer, bottoms[0])])


@rule("Softmax")
def softmax(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the bottom's shape."""
    count_blobs(layer, bottoms)
    axis_of(layer, bottoms[0], layer.softmax_param.axis, "axis")
    return Facts([bottoms[0]])
