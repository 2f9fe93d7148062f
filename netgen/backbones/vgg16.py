"""VGG16 as SSD uses it (Liu et al. 2016, §3: "fully convolutional reduced (atrous) VGGNet").

fc6 and fc7 are convolutions with 1024 of VGG's 4096 channels: fc6 keeps 3×3 of its 7×7 weights and spreads them with dilation 6;
pool5 is 3×3 with stride 1, so that fc7 still has stride 16. Layer names are those of VGG_ILSVRC_16_layers_fc_reduced.caffemodel.
"""

from __future__ import annotations

from netgen.backbones.registry import Backbone, register
from netgen.blocks.convolution import MSRA, batch_norm, conv, relu
from netgen.graph import Blob, Net

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels and number of 3×3 convolutions between two poolings
FC_CHANNELS = 1024
FC6_DILATION = 6


def vgg16(net: Net, image: Blob, *, width: float = 1, normalise: bool = False) -> dict[str, Blob]:
    """VGG16 reduced, à trous. Returns the maps by layer name: conv1_2, conv2_2, conv3_3, conv4_3, conv5_3, fc7 (all after ReLU).

    width: factor on every number of channels. normalise: BatchNorm and Scale after each convolution, for training from scratch.
    """

    def layer(name: str, relu_name: str, x: Blob, channels: int, kernel_size: int, **fields) -> Blob:
        if normalise:
            fields["weight_filler"] = MSRA
        x = conv(net, name, x, max(1, round(channels * width)), kernel_size, bias=not normalise, **fields)
        if normalise:
            x = batch_norm(net, name, x)
        return relu(net, relu_name, x)

    maps: dict[str, Blob] = {}
    x = image
    for stage, (channels, count) in enumerate(STAGES, 1):
        for number in range(1, count + 1):
            place = f"{stage}_{number}"
            # The released files write conv5's dilation out, although it is 1.
            dilation = {"dilation": 1} if stage == len(STAGES) else {}
            x = layer(f"conv{place}", f"relu{place}", x, channels, 3, pad=1, **dilation)
        maps[f"conv{place}"] = x
        if stage < len(STAGES):
            x = net.add("Pooling", f"pool{stage}", x, pool="MAX", kernel_size=2, stride=2)
        else:
            x = net.add("Pooling", f"pool{stage}", x, pool="MAX", kernel_size=3, stride=1, pad=1)
    x = layer("fc6", "relu6", x, FC_CHANNELS, 3, pad=FC6_DILATION, dilation=FC6_DILATION)
    maps["fc7"] = layer("fc7", "relu7", x, FC_CHANNELS, 1)
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
