"""Pyramids on MobileNet v1: MobileNet-SSD's and Light FSSD's.

Sources: chuanqi305/MobileNet-SSD; Li & Zhou 2017, §4.4.
"""

from __future__ import annotations

from collections.abc import Mapping

from netgen.backbones.mobilenet_v1 import Style, conv_bn, learning, mobilenet_v1, separable
from netgen.blocks.resize import resize
from netgen.graph import Blob, Net
from netgen.sources import Source

# Channels of conv14_2 … conv17_2; the 1×1 convolution before each has half as many.
EXTRA_CHANNELS = (512, 256, 256, 128)
LIGHT_FUSED = ("conv5", "conv11", "conv13")  # strides 8, 16 and 32
LIGHT_FUSED_CHANNELS = 256
LIGHT_CHANNELS = (512, 1024, 512, 256, 256, 128)  # those of MobileNet-SSD's six maps


def mobilenet_ssd(net: Net, image: Blob, styles: Mapping[str, Style]) -> list[Source]:
    """Add MobileNet-SSD's source maps: conv11, conv13 and four more, each half the one before.

    19, 10, 5, 3, 2, 1 cells at 300×300. Prior steps are PriorBox's own, image / cells.

    styles: how convolutions are written, by phase.
    """
    style = styles[net.phase]
    maps = mobilenet_v1(net, image, style=style)
    x = maps["conv13"]
    sources = [Source(maps[name], name=name) for name in ("conv11", "conv13")]
    for number, channels in enumerate(EXTRA_CHANNELS, 14):
        x = conv_bn(net, f"conv{number}_1", x, channels // 2, 1, style=style)
        x = conv_bn(net, f"conv{number}_2", x, channels, 3, style=style, stride=2)
        sources.append(Source(x, name=f"conv{number}_2"))
    return sources


def predictor(
    net: Net,
    name: str,
    x: Blob,
    num_output: int,
    *,
    lr_mult: float = 1,
    styles: Mapping[str, Style],
    renamed: bool = False,
    class_bias: float = 0,
) -> Blob:
    """Add a head on one map: a 1×1 convolution for boxes or for classes.

    lr_mult: learning rate of class convolutions, as a multiple of the solver's; box convolutions
        learn at the style's rate.
    styles: how convolutions are written, by phase.
    renamed: name class layers `<name>_new`, so that they load no weights for other classes.
    class_bias: initial biases of class convolutions.
    """
    style = styles[net.phase]
    layer = name
    rate = style.lr_mult
    bias = 0.0
    if "_mbox_conf" in name:
        rate = lr_mult
        bias = class_bias
        if renamed:
            layer = f"{name}_new"
    (top,) = net.add(
        "Convolution",
        layer,
        x,
        tops=[name],
        param=learning(rate, bias=True),
        num_output=num_output,
        kernel_size=1,
        weight_filler=style.weight_filler,
        bias_filler={"type": "constant", "value": bias},
    )
    return top


def light_fssd(net: Net, image: Blob) -> list[Source]:
    """Add Light FSSD's source maps, of 38, 19, 10, 5, 3, 1 cells at 300×300.

    The maps of strides 8, 16 and 32 are brought to 256 channels and to the size of the first,
    concatenated and normalised. A pyramid of depthwise separable convolutions follows. The paper
    gives no channels: with those of MobileNet-SSD's maps, and without a 1×1 convolution for a map
    that already has 256 channels, the net has the paper's 6.5M parameters.
    """
    maps = mobilenet_v1(net, image)
    size = maps[LIGHT_FUSED[0]].size
    parts = [_light_part(net, name, maps[name], size) for name in LIGHT_FUSED]
    x = net.add("Concat", "fea_concat", *parts, axis=1)
    x = net.add("BatchNorm", "fea_concat_bn", x, in_place=True)
    sources: list[Source] = []
    stride = 1
    pad = 1
    for index, channels in enumerate(LIGHT_CHANNELS):
        name = f"fea_concat_bn_ds_{2**index}"
        x = separable(net, name, x, channels, stride=stride, pad=pad)
        sources.append(Source(x))
        stride = 2
        pad = 1
        if max(x.size) == 3:
            # FSSD300 ends 5, 3, 1 and cuts the border off 3 cells; MobileNet-SSD ends 3, 2, 1.
            stride = 1
            pad = 0
    return sources


def _light_part(net: Net, name: str, x: Blob, size: tuple[int, int]) -> Blob:
    """Bring a map to 256 channels and to the fused map's size."""
    if x.channels != LIGHT_FUSED_CHANNELS:
        x = conv_bn(net, f"{name}_reduce", x, LIGHT_FUSED_CHANNELS, 1)
    if x.size != size:
        x = resize(net, f"{name}_us", x, size)
    return x
