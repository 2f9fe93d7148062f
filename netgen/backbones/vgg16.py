"""VGG16 as SSD uses it (Liu et al. 2016, §3: "fully convolutional reduced (atrous) VGGNet").

fc6 and fc7 are convolutions with 1024 of VGG's 4096 channels: fc6 keeps 3×3 of its 7×7 weights and
spreads them with dilation 6; pool5 is 3×3 with stride 1, so that fc7 still has stride 16. Layer
names are those of VGG_ILSVRC_16_layers_fc_reduced.caffemodel.
"""

from __future__ import annotations

from typing import Any

from netgen.backbones.registry import Backbone, register
from netgen.blocks.convolution import MSRA, conv_norm_relu, relu_of_number
from netgen.blocks.normalisation import BATCH_NORM
from netgen.graph import Blob, Net

# Channels and number of 3×3 convolutions between two poolings.
STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
FC_CHANNELS = 1024
FC6_DILATION = 6


def vgg16(net: Net, image: Blob, *, width: float = 1, normalise: bool = False) -> dict[str, Blob]:
    """Add VGG16 reduced, à trous.

    image: N×3×H×W.
    width: factor on every number of channels.
    normalise: add BatchNorm and Scale after each convolution, for training from scratch.

    Returns the maps by layer name, after ReLU: conv1_2, conv2_2, conv3_3, conv4_3, conv5_3, fc7.
    """

    def layer(name: str, x: Blob, channels: int, kernel_size: int, **fields: Any) -> Blob:
        count = max(1, round(channels * width))
        fields["activate"] = relu_of_number
        if normalise:
            fields |= {"normalise": BATCH_NORM, "weight_filler": MSRA}
        return conv_norm_relu(net, name, x, count, kernel_size, **fields)

    maps: dict[str, Blob] = {}
    x = image
    for stage, (channels, count) in enumerate(STAGES, 1):
        fields: dict[str, Any] = {"pad": 1}
        pool: dict[str, Any] = {"kernel_size": 2, "stride": 2}
        if stage == len(STAGES):
            fields["dilation"] = 1  # the released files write it, although 1 is the default
            pool = {"kernel_size": 3, "stride": 1, "pad": 1}
        for number in range(1, count + 1):
            x = layer(f"conv{stage}_{number}", x, channels, 3, **fields)
        maps[f"conv{stage}_{count}"] = x
        x = net.add("Pooling", f"pool{stage}", x, pool="MAX", **pool)
    x = layer("fc6", x, FC_CHANNELS, 3, pad=FC6_DILATION, dilation=FC6_DILATION)
    maps["fc7"] = layer("fc7", x, FC_CHANNELS, 1)
    return maps


VGG16 = register(
    Backbone(
        name="vgg16",
        year=2014,
        build=vgg16,
        maps={4: "conv3_3", 8: "conv4_3", 16: "fc7"},
        weights="models/VGG_ILSVRC_16_layers_fc_reduced.caffemodel",
    )
)
