"""M2Det's multi-level feature pyramid network (Zhao et al. 2019, Figures 2 to 4): base feature, a row of U-shaped modules, aggregation."""

from __future__ import annotations

from netgen.blocks.convolution import XAVIER, ZERO, batch_norm, conv, relu, upsample_nearest
from netgen.graph import Blob, Net
from netgen.heads.multibox import Source
from ssd_common.errors import CaffeError

SHALLOW_CHANNELS, DEEP_CHANNELS = 256, 512  # of the two backbone maps in the base feature (Figure 4 a)
REDUCTION = 16  # of the squeeze before each excitation (§3.1, "SFAM")
# The authors' code (layers/nn_utils.py of qijiezhao/M2Det) draws weights by fan-out and keeps 99 % of the running statistics.
FILLER = {"type": "msra", "variance_norm": "FAN_OUT"}
STATISTICS_KEPT = 0.99


def conv_bn_relu(net: Net, name: str, x: Blob, num_output: int, kernel_size: int, *, pad: int = 0, stride: int = 1) -> Blob:
    """The unit that everything here is made of: convolution without bias, BatchNorm, Scale, ReLU."""
    x = conv(net, name, x, num_output, kernel_size, pad=pad, stride=stride, bias=False, weight_filler=FILLER)
    return relu(net, f"{name}_relu", batch_norm(net, name, x, moving_average_fraction=STATISTICS_KEPT))


def ffm_v1(net: Net, shallow: Blob, deep: Blob, *, width: float = 1) -> Blob:
    """The base feature (Figure 4 a): the deep map of the backbone on the shallow one's cells, behind it."""
    shallow = conv_bn_relu(net, "reduce", shallow, round(SHALLOW_CHANNELS * width), 3, pad=1)
    deep = conv_bn_relu(net, "up_reduce", deep, round(DEEP_CHANNELS * width), 1)
    return net.add("Concat", "base", shallow, upsample_nearest(net, "up_reduce_us", deep, shallow), axis=1)


def tum(net: Net, name: str, x: Blob, channels: int, scales: int, *, smooth: bool = True) -> list[Blob]:
    """A Thinned U-shape Module (Figure 4 c): `scales` maps of `channels` channels, the largest, of x's size, first.

    Down: 3×3 convolutions of stride 2, the last of stride 1 without padding. Up: each map, repeated, plus a 3×3 convolution of the next
    larger one. smooth: a 1×1 convolution after each sum, which the s-TUM of Table 2 lacks; what goes on up is the sum itself.
    """
    down = [x]
    for scale in range(2, scales + 1):
        pad, stride = (0, 1) if scale == scales else (1, 2)
        down.append(conv_bn_relu(net, f"{name}_down{scale}", down[-1], channels, 3, pad=pad, stride=stride))
    total = conv_bn_relu(net, f"{name}_top", down[-1], channels, 1)
    outputs = [total]
    for scale in range(scales - 1, 0, -1):
        lateral = conv_bn_relu(net, f"{name}_lat{scale}", down[scale - 1], channels, 3, pad=1)
        up = upsample_nearest(net, f"{name}_up{scale}", total, lateral)
        total = net.add("Eltwise", f"{name}_sum{scale}", up, lateral, operation="SUM")
        outputs.append(conv_bn_relu(net, f"{name}_smooth{scale}", total, channels, 1) if smooth else total)
    return outputs[::-1]


def attention(net: Net, name: str, x: Blob, excited: str, *, shared: bool) -> Blob:
    """Squeeze and excitation (§3.1, eq. 2 and 3): each channel of x times a factor in 0…1 that follows from all their means.

    The result is named `excited`. shared: one pair of full connections for all calls, by parameter names.
    """

    def full(layer: str, y: Blob, num_output: int) -> Blob:
        param = [
            {"lr_mult": lr, "decay_mult": decay, **({"name": f"sfam_{layer}_{kind}"} if shared else {})}
            for lr, decay, kind in ((1, 1, "w"), (2, 0, "b"))
        ]
        return net.add("InnerProduct", f"{name}_{layer}", y, param=param, num_output=num_output, weight_filler=XAVIER, bias_filler=ZERO)

    factor = net.add("Pooling", f"{name}_mean", x, pool="AVE", global_pooling=True)
    factor = relu(net, f"{name}_relu", full("fc1", factor, max(1, x.channels // REDUCTION)))
    factor = net.add("Sigmoid", f"{name}_sigmoid", full("fc2", factor, x.channels), in_place=True)
    return net.add("Scale", excited, x, factor, axis=0)


def mlfpn(
    net: Net,
    shallow: Blob,
    deep: Blob,
    *,
    levels: int = 8,
    channels: int = 256,
    scales: int = 6,
    smooth: bool = True,
    base_feature: bool = True,
    sfam: bool = True,
    shared: bool = False,
    normalise_first: bool = False,
    width: float = 1,
) -> list[Source]:
    """The six maps that M2Det's heads look at, largest first: mlfpn_1, … of levels·channels channels, for an image of any size.

    shallow, deep: a backbone's maps at strides 8 and 16. levels: how many TUMs, each with `channels` channels. smooth: see `tum`.
    base_feature: whether every TUM sees the base feature beside the largest map of the one before (FFMv2), or only the first does.
    sfam: reweigh the channels of each map. width: factor on the base feature's channels, for tests.
    shared, normalise_first: as in the authors' code (m2det.py of qijiezhao/M2Det): one base convolution for all levels and one pair of full
    connections for all scales; BatchNorm and Scale on the largest map.
    Raises CaffeError for an image too small for so many scales.
    """
    cells = [min(shallow.size)]
    for _ in range(scales - 2):
        cells.append((cells[-1] + 1) // 2)
    if cells[-1] < 3:
        raise CaffeError(
            f"M2Det with {scales} scales: the map before the last one has {cells[-1]} cells a side and needs 3; enlarge the input"
        )
    base = ffm_v1(net, shallow, deep, width=width)
    # The shared convolution has the same input at every level, and so the same output: it is there once.
    common = conv_bn_relu(net, "leach", base, channels // 2, 1) if shared else None
    pyramids: list[list[Blob]] = []
    for level in range(1, levels + 1):
        largest = pyramids[-1][0] if pyramids else None
        if base_feature or largest is None:
            x = common or conv_bn_relu(net, f"leach{level}", base, channels // 2, 1)
            if largest is not None:
                x = net.add("Concat", f"unet{level}_in", x, largest, axis=1)
        else:
            x = largest
        pyramids.append(tum(net, f"unet{level}", x, channels, scales, smooth=smooth))
    sources = []
    for scale, maps in enumerate(zip(*pyramids, strict=True), 1):
        name = f"mlfpn_{scale}"
        x = net.add("Concat", f"{name}_levels" if sfam else name, *maps, axis=1) if sfam or levels > 1 else maps[0]
        if sfam:
            x = attention(net, f"sfam_{scale}", x, name, shared=shared)
        if normalise_first and scale == 1:
            x = batch_norm(net, "norm", x)
        sources.append(Source(x))
    return sources
