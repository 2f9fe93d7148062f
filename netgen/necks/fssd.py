"""FSSD's feature fusion (Li & Zhou 2017, §3.1 and Figure 3): maps of several sizes fused into one, and a pyramid made from that."""

from __future__ import annotations

from collections.abc import Sequence

from netgen.blocks.convolution import conv_relu, shrink
from netgen.blocks.resize import resize
from netgen.graph import Blob, Net
from netgen.sources import Source

FUSED_CHANNELS = 256  # each source after its 1×1 convolution (§4.2)
PYRAMID_CHANNELS = (512, 512, 256)  # of ds_1 and ds_2, and of every later map
FUSED = ("conv4_3", "fc7", "conv7_2")  # §4.1.1: conv3_3 does not help, conv7_2 does


def fssd_neck(
    net: Net,
    maps: dict[str, Blob],
    image: Blob | None = None,
    *,
    fused: Sequence[str] = FUSED,
    sum_up: bool = False,
    batch_norm: bool = True,
    pyramid: str = "b",
    width: float = 1,
    lr_mult: float = 1,
    conv7_2_lr_mult: float | None = None,
    conv4_3_last: bool = False,
    normalise: bool = False,
) -> list[Source]:
    """The source maps of FSSD for an image of any size, down to one cell: fea_concat_bn_ds_1, _2, _4, …

    maps: of a backbone, with conv3_3 where that is fused, conv4_3 and fc7; conv7_2 is made here (conv6_2 keeps stride 1). Each map of
    `fused` is brought to 256 channels and to conv4_3's size, larger ones by 2×2 pooling; then they are concatenated, or added where
    `sum_up`, and normalised without Scale where `batch_norm`. Prior steps are left to PriorBox: image divided by cells.
    pyramid: of Figure 3, "a" (the fused map is the first source itself), "b", or "c" (a 1×1 convolution of half as many channels first).
    lr_mult: of the layers that a trained SSD does not have, 2 when starting from one (§3.2). conv7_2_lr_mult: where conv7_2 differs.
    conv4_3_last: the layer order of the released 512 script. normalise: BatchNorm and Scale after each convolution.
    """

    def channels(count: int) -> int:
        return max(1, round(count * width))

    def project(source: str) -> Blob:
        return conv_relu(net, f"{source}_reduce", maps[source], channels(FUSED_CHANNELS), 1, lr_mult=lr_mult, normalise=normalise)

    conv4_3 = None if conv4_3_last else project("conv4_3")
    if "conv7_2" in fused:
        x = conv_relu(net, "conv6_1", maps["fc7"], channels(256), 1, normalise=normalise)
        x = conv_relu(net, "conv6_2", x, channels(512), 3, pad=1, normalise=normalise)
        x = conv_relu(net, "conv7_1", x, channels(128), 1, normalise=normalise)
        conv7_2_lr_mult = lr_mult if conv7_2_lr_mult is None else conv7_2_lr_mult
        conv7_2 = conv_relu(net, "conv7_2", x, channels(FUSED_CHANNELS), 3, pad=1, stride=2, lr_mult=conv7_2_lr_mult, normalise=normalise)
    conv4_3 = conv4_3 or project("conv4_3")
    parts = [conv4_3]
    if "conv3_3" in fused:
        conv3_3 = project("conv3_3")
        parts.insert(0, net.add("Pooling", "conv3_3_ds", conv3_3, pool="MAX", kernel_size=2, stride=2))
    parts.append(resize(net, "fc7_us", project("fc7"), conv4_3.size))
    if "conv7_2" in fused:
        parts.append(resize(net, "conv7_2_us", conv7_2, conv4_3.size))
    whole = net.add("Eltwise", "fea_sum", *parts, operation="SUM") if sum_up else net.add("Concat", "fea_concat", *parts, axis=1)
    if batch_norm:
        whole = net.add("BatchNorm", f"{whole.name}_bn", whole, in_place=True)

    name, factor, bottleneck = "fea_concat_bn_ds_{}", 1, pyramid == "c"

    def narrow(x: Blob, count: int) -> Blob:
        if not bottleneck:
            return x
        return conv_relu(net, f"{name.format(factor)}_1x1", x, count // 2, 1, lr_mult=lr_mult, normalise=normalise)

    x = whole
    if pyramid != "a":
        count = channels(PYRAMID_CHANNELS[0])
        x = conv_relu(net, name.format(1), narrow(x, count), count, 3, pad=1, lr_mult=lr_mult, normalise=normalise)
    sources = [Source(x)]
    while max(x.size) > 1:
        factor *= 2
        count = channels(PYRAMID_CHANNELS[min(len(sources), 2)])
        x = shrink(net, name.format(factor), narrow(x, count), count, lr_mult=lr_mult, normalise=normalise)
        sources.append(Source(x))
    return sources
