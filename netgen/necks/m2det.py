"""M2Det's multi-level feature pyramid network: base feature, U-shaped modules, aggregation.

Source: Zhao et al. 2019, Figures 2 to 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from netgen.blocks.convolution import XAVIER, ZERO, conv_norm_relu, relu
from netgen.blocks.normalisation import BATCH_NORM
from netgen.blocks.resize import upsample_nearest
from netgen.graph import Blob, Net
from netgen.sources import Source
from ssd_common.errors import CaffeError

# Of the two backbone maps in the base feature (Figure 4 a).
SHALLOW_CHANNELS = 256
DEEP_CHANNELS = 512
SCALES = 6  # maps of a TUM
REDUCTION = 16  # channels over those of the squeeze (§3.1, "SFAM")
# The authors' code (layers/nn_utils.py of qijiezhao/M2Det) draws weights by fan-out and keeps 99 %
# of the running statistics.
FILLER = {"type": "msra", "variance_norm": "FAN_OUT"}
NORMALISE = replace(BATCH_NORM, statistics={"moving_average_fraction": 0.99})
# Image's side in pixels → pixels between the centres of prior boxes on each map, as the authors
# round them (configs/ of qijiezhao/M2Det).
STEPS = {
    320: (8, 16, 32, 64, 107, 320),
    512: (8, 16, 32, 64, 128, 256),
    704: (8, 16, 32, 64, 117, 176),
    800: (8, 16, 32, 62, 115, 160),
}


def with_steps(sources: Sequence[Source], image: Blob) -> list[Source]:
    """Return sources with the authors' steps; the cells decide for an image of another size."""
    height, width = image.size
    if height != width or height not in STEPS:
        return [replace(source, step=0) for source in sources]
    found = []
    for source, step in zip(sources, STEPS[height], strict=True):
        found.append(replace(source, step=step))
    return found


def conv_bn_relu(
    net: Net,
    name: str,
    x: Blob,
    num_output: int,
    kernel_size: int,
    **fields: Any,
) -> Blob:
    """Add the unit that the whole neck is made of: convolution, BatchNorm, Scale, ReLU.

    fields: further fields of the convolution, which has no biases.
    """
    defaults: dict[str, Any] = {"pad": 0, "stride": 1, "weight_filler": FILLER}
    return conv_norm_relu(
        net,
        name,
        x,
        num_output,
        kernel_size,
        normalise=NORMALISE,
        **(defaults | fields),
    )


def ffm_v1(net: Net, shallow: Blob, deep: Blob) -> Blob:
    """Add the base feature (Figure 4 a): the shallow map beside the deep one, enlarged to it."""
    shallow = conv_bn_relu(net, "reduce", shallow, SHALLOW_CHANNELS, 3, pad=1)
    deep = conv_bn_relu(net, "up_reduce", deep, DEEP_CHANNELS, 1)
    deep = upsample_nearest(net, "up_reduce_us", deep, shallow)
    return net.add("Concat", "base", shallow, deep, axis=1)


def tum(
    net: Net,
    name: str,
    x: Blob,
    channels: int,
    scales: int,
    *,
    smooth: bool = True,
) -> list[Blob]:
    """Add a Thinned U-shape Module (Figure 4 c).

    Down: 3×3 convolutions of stride 2, the last of stride 1 without padding. Up: each map,
    repeated, plus a 3×3 convolution of the next larger one.

    smooth: add a 1×1 convolution after each sum, which the s-TUM of Table 2 lacks. The way up
        continues from the sum itself.

    Returns `scales` maps of `channels` channels, the largest, of x's size, first.
    """
    down = [x]
    for scale in range(2, scales):
        layer = f"{name}_down{scale}"
        down.append(conv_bn_relu(net, layer, down[-1], channels, 3, pad=1, stride=2))
    smallest = conv_bn_relu(net, f"{name}_down{scales}", down[-1], channels, 3)
    total = conv_bn_relu(net, f"{name}_top", smallest, channels, 1)
    outputs = [total]
    for scale in range(scales - 1, 0, -1):
        lateral = conv_bn_relu(net, f"{name}_lat{scale}", down[scale - 1], channels, 3, pad=1)
        up = upsample_nearest(net, f"{name}_up{scale}", total, lateral)
        total = net.add("Eltwise", f"{name}_sum{scale}", up, lateral, operation="SUM")
        output = total
        if smooth:
            output = conv_bn_relu(net, f"{name}_smooth{scale}", total, channels, 1)
        outputs.append(output)
    return outputs[::-1]


def attention(net: Net, name: str, x: Blob, excited: str, *, shared: bool) -> Blob:
    """Add squeeze and excitation (§3.1, eq. 2 and 3).

    Each channel of x is multiplied by a factor 0 … 1, worked out from the means of all channels.

    excited: name of the result.
    shared: all calls share one pair of full connections, by parameter names.
    """

    def full(layer: str, y: Blob, num_output: int) -> Blob:
        weights: dict[str, Any] = {"lr_mult": 1, "decay_mult": 1}
        biases: dict[str, Any] = {"lr_mult": 2, "decay_mult": 0}
        if shared:
            weights["name"] = f"sfam_{layer}_w"
            biases["name"] = f"sfam_{layer}_b"
        return net.add(
            "InnerProduct",
            f"{name}_{layer}",
            y,
            param=[weights, biases],
            num_output=num_output,
            weight_filler=XAVIER,
            bias_filler=ZERO,
        )

    factor = net.add("Pooling", f"{name}_mean", x, pool="AVE", global_pooling=True)
    factor = full("fc1", factor, max(1, x.channels // REDUCTION))
    factor = relu(net, f"{name}_relu", factor)
    factor = full("fc2", factor, x.channels)
    factor = net.add("Sigmoid", f"{name}_sigmoid", factor, in_place=True)
    return net.add("Scale", excited, x, factor, axis=0)


@dataclass(frozen=True)
class Mlfpn:
    """M2Det's neck: six source maps, for an image of any size.

    maps: names of the backbone's maps at strides 8 and 16.
    levels: number of TUMs.
    channels: channels of each TUM's maps.
    smooth: see `tum`.
    base_feature: every TUM reads the base feature beside the largest map of the TUM before it
        (FFMv2); otherwise only the first TUM reads it.
    sfam: reweigh the channels of each map.
    shared: one base convolution for all levels and one pair of full connections for all scales, as
        in the authors' code (m2det.py of qijiezhao/M2Det).
    normalise_first: BatchNorm and Scale on the largest map, as in the authors' code.
    """

    maps: tuple[str, str] = ("conv4_3", "fc7")
    levels: int = 8
    channels: int = 256
    smooth: bool = True
    base_feature: bool = True
    sfam: bool = True
    shared: bool = False
    normalise_first: bool = False

    def __call__(self, net: Net, maps: dict[str, Blob], image: Blob) -> list[Source]:
        """Add the source maps mlfpn_1, … of levels·channels channels, the largest first.

        Raises CaffeError for an image too small for six scales.
        """
        shallow = maps[self.maps[0]]
        deep = maps[self.maps[1]]
        check_cells(min(shallow.size))
        base = ffm_v1(net, shallow, deep)
        pyramids = self._pyramids(net, base)
        sources = []
        for scale, levels in enumerate(zip(*pyramids, strict=True), 1):
            blob = self._aggregated(net, scale, levels)
            sources.append(Source(blob))
        return with_steps(sources, image)

    def _pyramids(self, net: Net, base: Blob) -> list[list[Blob]]:
        """Add all TUMs and return the maps of each, the largest first."""
        half = self.channels // 2
        common: Blob | None = None
        if self.shared:
            # One convolution stands for all levels: it has the same input at each.
            common = conv_bn_relu(net, "leach", base, half, 1)
        pyramids: list[list[Blob]] = []
        for level in range(1, self.levels + 1):
            name = f"unet{level}"
            if level == 1 or self.base_feature:
                x = common or conv_bn_relu(net, f"leach{level}", base, half, 1)
                if level > 1:
                    x = net.add("Concat", f"{name}_in", x, pyramids[-1][0], axis=1)
            else:
                x = pyramids[-1][0]
            maps = tum(net, name, x, self.channels, SCALES, smooth=self.smooth)
            pyramids.append(maps)
        return pyramids

    def _aggregated(self, net: Net, scale: int, levels: Sequence[Blob]) -> Blob:
        """Concatenate the maps of one scale and reweigh their channels (§3.1, "SFAM")."""
        name = f"mlfpn_{scale}"
        x = levels[0]
        if self.sfam:
            x = net.add("Concat", f"{name}_levels", *levels, axis=1)
            x = attention(net, f"sfam_{scale}", x, name, shared=self.shared)
        elif self.levels > 1:
            x = net.add("Concat", name, *levels, axis=1)
        if self.normalise_first and scale == 1:
            x = BATCH_NORM(net, "norm", x)
        return x


def check_cells(cells: int) -> None:
    """Raise CaffeError where a map of `cells` cells a side is too small for all scales."""
    for _ in range(SCALES - 2):
        cells = (cells + 1) // 2
    if cells < 3:
        raise CaffeError(
            f"M2Det with {SCALES} scales: the map before the last one has {cells} cells a side "
            "and needs 3; enlarge the input"
        )
