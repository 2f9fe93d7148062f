"""DSOD's prediction layers, plain and dense, and GRP-DSOD's pyramid and gates on top of them.

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
from netgen.sources import Source, pixel_step

# Of the maps.
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
# Of plain layers: the 1×1 convolution before Third, and before every later map.
BOTTLENECKS = (256, 128)
GRP = (342, 172, 172, 172, 256)
L2_SCALE = 20  # of every map: each is concatenated from several resolutions (§3.2)


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

    6 at 300 (38, 19, 10, 5, 3, 1 cells), 7 at 512. A map of 3 cells becomes one of 1 without
    padding; released: one of 2, padded, and the last (Caffe's pooling rounds up). Prior steps are
    the strides in pixels, and from 3 cells on the image divided by the cells; released: 100, then
    the image.
    first: the map of stride 8.
    x: the one of stride 16, before its transition.
    channels: of the maps that follow, the last for all later.
    dense: each map after the first is half learned (1×1, then 3×3 convolution with stride 2), half
        reused: the map above it, pooled and through a 1×1 convolution. Plain: all of it is learned.
    unit: a convolution with its BatchNorm and ReLU.
    names: of the maps.
    """
    if dense:
        half = channels[0] // 2
        learned = unit(layers, x, half, 1, keep=True)
        reused = unit(layers, layers.max_pool(first), half, 1)
        x = layers.concat(learned, reused, name=names[1])
    else:
        x = unit(layers, x, channels[0], 1, keep=True, name=names[1])
    sources = [Source(y, pixel_step(image, y), l2_scale=L2_SCALE) for y in (first, x)]
    next_map = _dense_map if dense else _plain_map
    while max(x.size) > (2 if released else 1):
        made = len(sources)
        count = channels[min(made - 1, len(channels) - 1)]
        bare = (x.size[0] == 3 and not released, x.size[1] == 3 and not released)
        x = next_map(layers, x, count, names[made], unit=unit, bare=bare)
        step = _step(image, x, sources[-1].step, released)
        sources.append(Source(x, step, l2_scale=L2_SCALE))
    return sources


def _padding(bare: tuple[bool, bool]) -> tuple[int, int]:
    """Of the halving convolution: none on an axis that loses its border."""
    return 1 - bare[0], 1 - bare[1]


def _dense_map(
    layers: NumberedLayers,
    x: Blob,
    count: int,
    name: str,
    *,
    unit: Unit,
    bare: tuple[bool, bool],
) -> Blob:
    """The next map, half of it learned and half reused."""
    reused = unit(layers, layers.max_pool(x, (2 + bare[0], 2 + bare[1])), count // 2, 1)
    learned = unit(layers, x, count // 2, 1)
    learned = unit(layers, learned, count // 2, 3, stride=2, pad=_padding(bare))
    return layers.concat(reused, learned, name=name)


def _plain_map(
    layers: NumberedLayers,
    x: Blob,
    count: int,
    name: str,
    *,
    unit: Unit,
    bare: tuple[bool, bool],
) -> Blob:
    """The next map, all of it learned."""
    bottleneck = BOTTLENECKS[0] if name == NAMES[2] else BOTTLENECKS[1]
    x = unit(layers, x, bottleneck, 1)
    return unit(layers, x, count, 3, stride=2, pad=_padding(bare), name=name)


def _step(image: Blob, x: Blob, above: float, released: bool) -> float:
    """Pixels from cell to cell of a map's prior boxes; 0 leaves them to PriorBox."""
    if max(x.size) > 3:
        return above * 2
    if released:
        return 100 if max(x.size) == 3 else max(image.size)
    rows, columns = (pixels / cells for pixels, cells in zip(image.size, x.size, strict=True))
    return rows if rows == columns else 0


def grp_neck(layers: NumberedLayers, image: Blob, first: Blob, x: Blob) -> list[Source]:
    """Add GRP-DSOD's source maps.

    Each takes in the map below it, enlarged (Recurrent1, …), and is gated (Recurrent1_gate, …). The
    filters of the Deconvolutions stay as they are: bilinear, each output the sum over all inputs.
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
    return [replace(source, blob=gate(layers, y)) for source, y in zip(sources, maps, strict=True)]


def _enlarged(layers: NumberedLayers, x: Blob, like: Blob, count: int) -> Blob:
    """A map grown to the size of the one above it."""
    x = layers.add(
        "Deconvolution",
        x,
        num_output=count,
        # 2, or 1 where `like` has an odd number of cells.
        kernel_size=max(like.size) - 2 * (max(x.size) - 1),
        stride=2,
        bias_term=False,
        weight_filler={"type": "bilinear"},
        param=FIXED,
    )
    return layers.relu(layers.batch_norm(x, in_place=True, eps=POST_EPS))


def gate(layers: NumberedLayers, x: Blob) -> Blob:
    """Add GRP-DSOD's gate.

    The map plus itself, weighted by channel (after ReLU) and as a whole, by sigmoids of its
    averaged channels. As released, no weight_filler is given: the weights start, and stay, at zero,
    and only the last biases learn.
    """
    net, name = layers.net, x.name
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
    fields: more of the convolution's.
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
    """Add the same with the weights of the released files: Gaussian, σ 0.01."""
    return predictor(net, name, x, num_output, lr_mult=lr_mult, weight_filler=GAUSSIAN)
