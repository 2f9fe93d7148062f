"""DSOD's plain and dense prediction layers, and GRP-DSOD's pyramid and gates on top of them.

Source: Shen et al. 2017, §3.1, Figure 1; GRP-DSOD: arXiv 1712.00886.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from netgen.backbones.dsod import POST_EPS, Unit, bn_relu_conv, conv_bn_relu
from netgen.blocks.convolution import conv_norm_relu
from netgen.blocks.normalisation import FIXED
from netgen.blocks.numbered_layers import NumberedLayers
from netgen.blocks.residual import GAUSSIAN, LEARNING
from netgen.graph import Blob, Net
from netgen.sources import Source, image_over_cells, pixel_step

# Names of the maps.
NAMES = (
    "First",
    "Second",
    "Third",
    "Fourth",
    "Fifth",
    "Sixth",
    "Seventh",
    "Eighth",
    "Ninth",
    "Tenth",
)
DENSE = (512, 512, 256)  # channels of Second, of Third, and of every later map
# Channels of plain layers' 1×1 convolutions: before Third, and before every later map.
BOTTLENECKS = (256, 128)
GRP = (342, 172, 172, 172, 256)  # channels of GRP-DSOD's maps from Second on
L2_SCALE = 20  # every map is normalised: each concatenates several resolutions (§3.2)


def dsod_neck(
    layers: NumberedLayers,
    image: Blob,
    first: Blob,
    x: Blob,
    *,
    channels: Sequence[int] = DENSE,
    dense: bool = True,
    released: bool = False,
    unit: Unit = bn_relu_conv,
    names: Sequence[str] = NAMES,
) -> list[Source]:
    """Add the source maps of DSOD for an image of any size, down to one cell.

    6 maps at 300 (38, 19, 10, 5, 3, 1 cells), 7 at 512. A convolution without padding takes 3 cells
    to 1. Prior steps are the strides in pixels; from 3 cells on, the image over the cells.

    first: the map of stride 8.
    x: the map of stride 16, before its transition.
    channels: channels of the maps after the first; the last number holds for all later maps.
    dense: half of each map after the first is learned (1×1, then 3×3 convolution of stride 2), half
        reused (the map above it, pooled, through a 1×1 convolution). Plain maps are all learned.
    released: the last map has 2 cells, as Caffe's pooling rounds up; prior steps from 3 cells on
        are 100 pixels, then the image.
    unit: adds a convolution with its BatchNorm and ReLU.
    names: names of the maps.
    """
    smallest = 1
    if released:
        smallest = 2
    if dense:
        next_map = _dense_map
        half = channels[0] // 2
        learned = unit(layers, x, half, 1, keep=True)
        reused = unit(layers, layers.max_pool(first), half, 1)
        x = layers.concat(learned, reused, name=names[1])
    else:
        next_map = _plain_map
        x = unit(layers, x, channels[0], 1, keep=True, name=names[1])
    sources = []
    for y in (first, x):
        sources.append(Source(y, pixel_step(image, y), l2_scale=L2_SCALE))
    while max(x.size) > smallest:
        number = len(sources)
        count = channels[min(number - 1, len(channels) - 1)]
        unpadded = (False, False)
        if not released:
            unpadded = (x.size[0] == 3, x.size[1] == 3)
        x = next_map(layers, x, count, names[number], unit=unit, unpadded=unpadded)
        step = _step(image, x, sources[-1].step, released)
        sources.append(Source(x, step, l2_scale=L2_SCALE))
    return sources


def _padding(unpadded: tuple[bool, bool]) -> tuple[int, int]:
    """Return the padding of the halving convolution, per axis."""
    return 1 - unpadded[0], 1 - unpadded[1]


def _dense_map(
    layers: NumberedLayers,
    x: Blob,
    count: int,
    name: str,
    *,
    unit: Unit,
    unpadded: tuple[bool, bool],
) -> Blob:
    """Add the next map, half of it learned and half reused."""
    half = count // 2
    pooled = layers.max_pool(x, (2 + unpadded[0], 2 + unpadded[1]))
    reused = unit(layers, pooled, half, 1)
    learned = unit(layers, x, half, 1)
    learned = unit(layers, learned, half, 3, stride=2, pad=_padding(unpadded))
    return layers.concat(reused, learned, name=name)


def _plain_map(
    layers: NumberedLayers,
    x: Blob,
    count: int,
    name: str,
    *,
    unit: Unit,
    unpadded: tuple[bool, bool],
) -> Blob:
    """Add the next map, all of it learned."""
    bottleneck = BOTTLENECKS[1]
    if name == NAMES[2]:
        bottleneck = BOTTLENECKS[0]
    x = unit(layers, x, bottleneck, 1)
    return unit(layers, x, count, 3, stride=2, pad=_padding(unpadded), name=name)


def _step(image: Blob, x: Blob, above: float, released: bool) -> float:
    """Return `Source.step` of a map below one of step `above`."""
    cells = max(x.size)
    if cells > 3:
        return above * 2
    if not released:
        return image_over_cells(image, x)
    if cells == 3:
        return 100
    return max(image.size)


def grp_neck(layers: NumberedLayers, image: Blob, first: Blob, x: Blob) -> list[Source]:
    """Add GRP-DSOD's source maps.

    Each is concatenated with the enlarged map below it (Recurrent1, …) and gated (Recurrent1_gate,
    …). The filters of the Deconvolutions are frozen: bilinear, each output the sum over all inputs.

    first, x: see `dsod_neck`.
    """
    sources = dsod_neck(
        layers,
        image,
        first,
        x,
        channels=GRP,
        released=True,
        unit=conv_bn_relu,
        names=(*NAMES[:5], "Recurrent6"),
    )
    maps = [source.blob for source in sources]
    pairs = zip(maps, maps[1:], (256, *GRP), strict=False)
    for number, (above, below, count) in enumerate(pairs, 1):
        enlarged = _enlarged(layers, below, above, count // 2)
        maps[number - 1] = layers.concat(enlarged, above, name=f"Recurrent{number}")
    gated = []
    for source, y in zip(sources, maps, strict=True):
        gated.append(replace(source, blob=gate(layers, y)))
    return gated


def _enlarged(layers: NumberedLayers, x: Blob, like: Blob, count: int) -> Blob:
    """Add a map enlarged to the size of the one above it, `like`."""
    x = layers.add(
        "Deconvolution",
        x,
        num_output=count,
        # 2, or 1 for an odd number of cells.
        kernel_size=max(like.size) - 2 * (max(x.size) - 1),
        stride=2,
        bias_term=False,
        weight_filler={"type": "bilinear"},
        param=FIXED,
    )
    x = layers.batch_norm(x, in_place=True, eps=POST_EPS)
    return layers.relu(x)


def gate(layers: NumberedLayers, x: Blob) -> Blob:
    """Add GRP-DSOD's gate: the map plus itself, weighted by channel (after ReLU) and as a whole.

    The weights are sigmoids of the map's averaged channels. As released, the full connections have
    no weight_filler: their weights start, and stay, at zero, and only the last biases learn.
    """
    net = layers.net
    name = x.name
    summary = net.add("Pooling", f"{name}_pool", x, pool="AVE", global_pooling=True)
    summary = net.add("InnerProduct", f"{name}_fc", summary, num_output=x.channels // 16)
    summary = net.add("ReLU", f"{name}_relu", summary, in_place=True)
    scale: dict[str, Any] = {"axis": 0, "bias_term": False, "bias_filler": {"value": 0}}
    weight = layers.add("InnerProduct", summary, num_output=x.channels)
    weight = layers.add("Sigmoid", weight, in_place=True)
    y = layers.add("Scale", x, weight, **scale)
    y = net.add("ReLU", f"{name}_att", y, in_place=True)
    weight = layers.add("InnerProduct", summary, num_output=1)
    weight = layers.add("Sigmoid", weight, in_place=True)
    weight = layers.add("Reshape", weight, shape={"dim": [-1]})
    y = layers.add("Scale", y, weight, **scale)
    return net.add("Eltwise", f"{name}_gate", x, y)


def predictor(
    net: Net, name: str, x: Blob, num_output: int, *, lr_mult: float = 1, **fields: Any
) -> Blob:
    """Add DSOD's head on one map: a 3×3 convolution, Xavier weights (§4.2).

    It has BatchNorm and Scale instead of biases.

    lr_mult: learning rate of the weights, as a multiple of the solver's.
    fields: further fields of the convolution.
    """
    return conv_norm_relu(
        net,
        name,
        x,
        num_output,
        3,
        normalise=LEARNING.normalisation(),
        activate=None,
        lr_mult=lr_mult,
        pad=1,
        stride=1,
        **fields,
    )


def released_predictor(
    net: Net, name: str, x: Blob, num_output: int, *, lr_mult: float = 1
) -> Blob:
    """Add `predictor` with the released files' initial weights: Gaussian, σ 0.01."""
    return predictor(net, name, x, num_output, lr_mult=lr_mult, weight_filler=GAUSSIAN)
