"""Layer types of published nets that the SSD forks lack: other names for what they have.

ReLU6, and a Convolution with a group a channel. Nets are read, run and trained with them; the zoo
does not write them.
"""

from __future__ import annotations

from caffe_ir.rules.checks import check, count_blobs, four_axes
from caffe_ir.rules.convolution import convolution
from caffe_ir.rules.registry import Facts, Layer, Shapes, rule

# The fork that each type comes from.
FROM_FORK = {
    "ConvolutionDepthwise": "BVLC/caffe pull request 5665",
    "DepthwiseConvolution": "yonghenglh6/DepthwiseConvolution",
    "ReLU6": "chuanqi305/ssd",
}
# The field of LayerParameter that holds a type's own message, named after another type.
PARAMETER_FIELDS = {
    "ConvolutionDepthwise": "convolution_param",
    "DepthwiseConvolution": "convolution_param",
}


@rule("ReLU6")
def relu6(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the bottom's shape.

    Source: chuanqi305/ssd relu6_layer.cpp, which knows no negative_slope.
    """
    count_blobs(layer, bottoms)
    slope = layer.relu_param.negative_slope
    check(not slope, layer, "negative_slope", f"ReLU6 has none, found {slope:g}")
    return Facts([bottoms[0]])


@rule("ConvolutionDepthwise")
def convolution_depthwise(layer: Layer, bottoms: Shapes) -> Facts:
    """A Convolution of each channel by itself, whatever `group` says.

    Parameters: weights C x 1 x kernel, and bias C.
    Source: BVLC/caffe pull request 5665, conv_dw_layer.cpp.
    """
    count_blobs(layer, bottoms)
    channels = _channels(layer, bottoms)
    grouped = Layer()
    grouped.CopyFrom(layer)
    grouped.convolution_param.group = channels
    check(
        layer.convolution_param.group in (1, channels),
        layer,
        "group",
        f"must be 1, or the bottom's {channels} channels",
    )
    return convolution(grouped, bottoms)


@rule("DepthwiseConvolution")
def depthwise_convolution(layer: Layer, bottoms: Shapes) -> Facts:
    """A Convolution with a group a channel.

    With other groups its own code on a CPU and on a GPU disagree, so they are refused.
    Parameters: weights C x 1 x kernel, and bias C.
    Source: yonghenglh6/DepthwiseConvolution, depthwise_conv_layer.cpp and .cu.
    """
    channels = _channels(layer, bottoms)
    group = layer.convolution_param.group
    wanted = f"must be the bottom's {channels} channels, found {group}"
    check(group == channels, layer, "group", wanted)
    return convolution(layer, bottoms)


def _channels(layer: Layer, bottoms: Shapes) -> int:
    """Return the channels of an N x C x H x W bottom, which num_output repeats."""
    check(bottoms, layer, "bottom", f"{layer.type} takes at least 1 bottom, found 0")
    _, channels, _, _ = four_axes(layer, bottoms[0])
    param = layer.convolution_param
    check(param.axis in (1, -3), layer, "axis", f"must be 1, found {param.axis}")
    outputs = param.num_output
    wanted = f"must be the bottom's {channels} channels, found {outputs}"
    check(outputs == channels, layer, "num_output", wanted)
    return channels
