"""ZF net as SSD reduces it: fc6 and fc7 are convolutions, à trous.

Layer names are those of ZF_conv_reduced.caffemodel, the start of examples/ssd/ssd_pascal_zf.py of
weiliu89/caffe.

Source: Zeiler & Fergus 2014, the faster model that Faster R-CNN uses.
"""

from __future__ import annotations

from typing import Any

from netgen.backbones.registry import Backbone, register
from netgen.blocks.convolution import conv_norm_relu, relu_of_number
from netgen.graph import Blob, Net

FC_CHANNELS = 1024
FC6_DILATION = 5  # fc6 keeps 3×3 of its 6×6 weights


def zf(net: Net, image: Blob) -> dict[str, Blob]:
    """Add ZF net.

    image: N×3×H×W.

    Returns the maps by layer name, after ReLU: conv2 (stride 8) and fc7 (stride 16).
    """
    x = _layer(net, "conv1", image, 96, 7, pad=3, stride=2)
    x = _normalise(net, 1, x)
    conv2 = _layer(net, "conv2", x, 256, 5, pad=2, stride=2)
    x = _normalise(net, 2, conv2)
    x = _layer(net, "conv3", x, 384, 3, pad=1)
    x = _layer(net, "conv4", x, 384, 3, pad=1)
    x = _layer(net, "conv5", x, 256, 3, pad=1)
    x = _pool(net, 5, x, stride=1)
    x = _layer(net, "fc6", x, FC_CHANNELS, 3, pad=FC6_DILATION, dilation=FC6_DILATION)
    fc7 = _layer(net, "fc7", x, FC_CHANNELS, 1)
    return {"conv2": conv2, "fc7": fc7}


def _layer(net: Net, name: str, x: Blob, channels: int, kernel_size: int, **fields: Any) -> Blob:
    return conv_norm_relu(net, name, x, channels, kernel_size, activate=relu_of_number, **fields)


def _normalise(net: Net, number: int, x: Blob) -> Blob:
    """Add normalisation over 3×3 neighbours of the same channel, and pooling by two."""
    x = net.add(
        "LRN",
        f"norm{number}",
        x,
        local_size=3,
        alpha=0.00005,
        beta=0.75,
        norm_region="WITHIN_CHANNEL",
        engine="CAFFE",  # as released
    )
    return _pool(net, number, x, stride=2)


def _pool(net: Net, number: int, x: Blob, stride: int) -> Blob:
    return net.add("Pooling", f"pool{number}", x, pool="MAX", kernel_size=3, pad=1, stride=stride)


ZF = register(
    Backbone(
        name="zf",
        year=2013,
        build=zf,
        maps={8: "conv2", 16: "fc7"},
        weights="models/ZF_conv_reduced.caffemodel",
    )
)
