"""FSSD's feature fusion (Li & Zhou 2017, §3.1 and Figure 3 b): three maps fused into one, and a pyramid made from that."""

from __future__ import annotations

from netgen.blocks import conv_relu, resize, shrink
from netgen.graph import Blob, Net
from netgen.multibox import Source

FUSED_CHANNELS = 256  # each source after its 1×1 convolution (§4.2)
PYRAMID_CHANNELS = (512, 512, 256)  # of ds_1 and ds_2, and of every later map


def fssd_neck(
    net: Net,
    maps: dict[str, Blob],
    *,
    width: float = 1,
    lr_mult: float = 1,
    conv7_2_lr_mult: float | None = None,
    conv4_3_last: bool = False,
    normalise: bool = False,
) -> list[Source]:
    """The source maps of FSSD for an image of any size, down to one cell: fea_concat_bn_ds_1, _2, _4, …

    maps: of a backbone, with conv4_3 and fc7. conv4_3, fc7 and conv7_2 (conv6_2 keeps stride 1 here) are brought to 256 channels and
    to conv4_3's size, concatenated and normalised without Scale. Prior steps are left to PriorBox: image divided by cells.
    lr_mult: of the layers that a trained SSD does not have, 2 when starting from one (§3.2). conv7_2_lr_mult: where conv7_2 differs.
    conv4_3_last: the layer order of the released 512 script. normalise: BatchNorm and Scale after each convolution.
    """

    def channels(count: int) -> int:
        return max(1, round(count * width))

    def project(source: str) -> Blob:
        return conv_relu(net, f"{source}_reduce", maps[source], channels(FUSED_CHANNELS), 1, lr_mult=lr_mult, normalise=normalise)

    conv4_3 = None if conv4_3_last else project("conv4_3")
    x = conv_relu(net, "conv6_1", maps["fc7"], channels(256), 1, normalise=normalise)
    x = conv_relu(net, "conv6_2", x, channels(512), 3, pad=1, normalise=normalise)
    x = conv_relu(net, "conv7_1", x, channels(128), 1, normalise=normalise)
    conv7_2_lr_mult = lr_mult if conv7_2_lr_mult is None else conv7_2_lr_mult
    conv7_2 = conv_relu(net, "conv7_2", x, channels(FUSED_CHANNELS), 3, pad=1, stride=2, lr_mult=conv7_2_lr_mult, normalise=normalise)
    conv4_3 = conv4_3 or project("conv4_3")
    fc7 = project("fc7")
    fc7 = resize(net, "fc7_us", fc7, conv4_3.size)
    conv7_2 = resize(net, "conv7_2_us", conv7_2, conv4_3.size)
    fused = net.add("Concat", "fea_concat", conv4_3, fc7, conv7_2, axis=1)
    fused = net.add("BatchNorm", "fea_concat_bn", fused, in_place=True)

    name, factor = "fea_concat_bn_ds_{}", 1
    x = conv_relu(net, name.format(1), fused, channels(PYRAMID_CHANNELS[0]), 3, pad=1, lr_mult=lr_mult, normalise=normalise)
    sources = [Source(x)]
    while max(x.size) > 1:
        factor *= 2
        count = channels(PYRAMID_CHANNELS[min(len(sources), 2)])
        x = shrink(net, name.format(factor), x, count, lr_mult=lr_mult, normalise=normalise)
        sources.append(Source(x))
    return sources
