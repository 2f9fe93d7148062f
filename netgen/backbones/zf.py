"""ZF net (Zeiler & Fergus 2014, the faster model that Faster R-CNN uses) as SSD reduces it: fc6 and fc7 are convolutions, à trous.

Layer names are those of ZF_conv_reduced.caffemodel, for which examples/ssd/ssd_pascal_zf.py of weiliu89/caffe is written.
"""

from __future__ import annotations

from netgen.backbones.registry import Backbone, register
from netgen.blocks.convolution import conv, relu
from netgen.graph import Blob, Net

FC_CHANNELS = 1024
FC6_DILATION = 5  # fc6 keeps 3×3 of its 6×6 weights


def zf(net: Net, image: Blob) -> dict[str, Blob]:
    """ZF net. Returns conv2 (stride 8, after ReLU) and fc7 (stride 16)."""

    def layer(number: int, x: Blob, channels: int, kernel_size: int, **fields) -> Blob:
        name = f"conv{number}" if number < 6 else f"fc{number}"
        return relu(net, f"relu{number}", conv(net, name, x, channels, kernel_size, **fields))

    def normalise(number: int, x: Blob) -> Blob:
        # WITHIN_CHANNEL sums over 3×3 neighbours of the same map; the CPU's is the only implementation, so the engine is named.
        x = net.add("LRN", f"norm{number}", x, local_size=3, alpha=0.00005, beta=0.75, norm_region="WITHIN_CHANNEL", engine="CAFFE")
        return pool(number, x, stride=2)

    def pool(number: int, x: Blob, stride: int) -> Blob:
        return net.add("Pooling", f"pool{number}", x, pool="MAX", kernel_size=3, pad=1, stride=stride)

    x = layer(1, image, 96, 7, pad=3, stride=2)
    conv2 = layer(2, normalise(1, x), 256, 5, pad=2, stride=2)
    x = normalise(2, conv2)
    for number, channels in ((3, 384), (4, 384), (5, 256)):
        x = layer(number, x, channels, 3, pad=1)
    x = layer(6, pool(5, x, stride=1), FC_CHANNELS, 3, pad=FC6_DILATION, dilation=FC6_DILATION)
    return {"conv2": conv2, "fc7": layer(7, x, FC_CHANNELS, 1)}


ZF = register(
    Backbone(
        name="zf",
        year=2013,
        build=zf,
        maps={8: "conv2", 16: "fc7"},
        weights="models/ZF_conv_reduced.caffemodel",
    )
)
