"""SSD's pyramid of residual blocks on ResNet-101, and DSSD's modules over any pyramid.

Source: Fu et al. 2017, §3.2, §4.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from netgen.blocks.convolution import XAVIER, ZERO, window
from netgen.blocks.convolution import learning as rates
from netgen.blocks.residual import LEARNING, Learning, conv_norm, residual_block
from netgen.graph import Blob, Net
from netgen.sources import Source

STRIDES = {"res3b3": 8, "res5c": 16}  # pixels, of conv3_x and conv5_x (Table 2)
# Pixels from the border to the middle of the first cell: conv1 is padded; pool1 is not, and its
# first window covers conv1's cells 0, 1, 2.
START = 2.5
BLOCK_CHANNELS = 256  # inner convolutions of conv6_x and up, whose outputs have 1024
MODULE_CHANNELS = 512  # every convolution of a deconvolution module (Figure 3)
METHODS = {"product": "PROD", "sum": "SUM"}  # how Eltwise joins the two sides


def ssd_resnet_neck(
    net: Net,
    maps: dict[str, Blob],
    image: Blob,
    *,
    learning: Learning = LEARNING,
    pixel_offsets: bool = False,
) -> list[Source]:
    """Add the pyramid of SSD on ResNet-101, for an image of any size, down to one cell.

    40, 20, 10, 5, 3, 1 cells at 321, seven maps at 513. Kernels of 2×2 halve the maps, but 3×3 ones
    cut the border off maps of 5 and 3 cells.

    Prior boxes are centred on the receptive fields of their cells, `start + i·step` pixels from the
    border. Every kernel of k cells moves the start by (k − 1)/2 steps. On a map of one cell the
    centre is the middle of the image. Another backbone in place of ResNet-101, padded throughout,
    has its first centre half a step from the border; nothing over it is frozen, since no SSD was
    trained with it.

    maps: a backbone's maps by name, with res3b3 and res5c.
    learning: how the new blocks learn.
    pixel_offsets: write the start into PriorBox in pixels, as released, although PriorBox counts it
        in steps.
    """
    starts = dict.fromkeys(STRIDES, START)
    if maps["res5c"].name != "res5c":
        learning = LEARNING
        starts = {name: stride / 2 for name, stride in STRIDES.items()}
    sources = []
    for name, stride in STRIDES.items():
        sources.append(_placed(image, maps[name], stride, starts[name], pixel_offsets))
    x = maps["res5c"]
    step = STRIDES["res5c"]
    start = starts["res5c"]
    number = 6
    while max(x.size) > 1:
        kernel = stride = 2
        if max(x.size) in (3, 5):
            kernel, stride = 3, 1
        kernels, strides = _per_axis(x, kernel, stride)
        x = residual_block(
            net,
            str(number),
            x,
            BLOCK_CHANNELS,
            kernel_size=kernels,
            stride=strides,
            learning=learning,
        )
        start += step * (kernel - 1) / 2
        step *= stride
        sources.append(_placed(image, x, step, start, pixel_offsets))
        number += 1
    return sources


def _per_axis(x: Blob, kernel: int, stride: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return kernel and stride by axis. A kernel longer than an axis is cut to it, stride 1."""
    kernels = [kernel, kernel]
    strides = [stride, stride]
    for axis, cells in enumerate(x.size):
        if cells < kernel:
            kernels[axis] = cells
            strides[axis] = 1
    return (kernels[0], kernels[1]), (strides[0], strides[1])


def _placed(image: Blob, x: Blob, step: float, start: float, pixel_offsets: bool) -> Source:
    """Return the source whose prior boxes are centred `start + i·step` pixels from the border."""
    name = f"{x.name}_relu"
    if max(x.size) == 1:
        step = image.size[0]
        start = image.size[0] / 2
    if pixel_offsets:
        return Source(x, step, start, across=step, name=name)
    offset = start / step
    steps = [step, step]
    for axis, cells in enumerate(x.size):
        if cells == 1:  # the middle of the axis
            steps[axis] = image.size[axis] / 2 / offset
    return Source(x, steps[0], offset, across=steps[1], name=name)


def deconvolve(
    net: Net,
    sources: Sequence[Source],
    *,
    method: str = "product",
    learning: Learning = LEARNING,
) -> list[Source]:
    """Add DSSD's decoder (Figure 1, Figure 3).

    Every source but the smallest is joined with the result of the next smaller one. Prior boxes
    stay where they are.

    sources: source maps of any pyramid, largest first.
    method: "product" or "sum" of the two sides.
    learning: how the modules learn.
    """
    found = [sources[-1]]
    for source in reversed(sources[:-1]):
        x = found[0].blob
        x = deconvolution_module(net, x, source, method=method, learning=learning)
        found.insert(0, replace(source, blob=x, name=""))
    return found


def deconvolution_module(
    net: Net,
    x: Blob,
    source: Source,
    *,
    method: str = "product",
    learning: Learning = LEARNING,
) -> Blob:
    """Add a deconvolution module (Figure 3).

    A learned deconvolution enlarges x to the source's size, and a convolution follows. The source
    is convolved twice. The module is the product or sum of both, then ReLU.

    method, learning: see `deconvolve`.
    """
    name = source.head_name
    label = source.blob.name
    numbered = re.match(r"res(\d+)", name)
    if numbered:
        label = numbered[1]
    rows = growing(x.size[0], source.blob.size[0])
    columns = growing(x.size[1], source.blob.size[1])
    kernel, stride = zip(rows, columns, strict=True)
    x = net.add(
        "Deconvolution",
        f"deconv_{label}",
        x,
        param=rates(1, bias=True),
        num_output=MODULE_CHANNELS,
        weight_filler=XAVIER,
        bias_filler=ZERO,
        dilation=1,
        **window(kernel, 0, stride),
    )
    fields: dict[str, Any] = {
        "kernel_size": 3,
        "pad": 1,
        "learning": learning,
    }
    y = conv_norm(net, f"{name}_pre1", source.blob, MODULE_CHANNELS, **fields)
    y = conv_norm(net, f"{name}_pre2", y, MODULE_CHANNELS, relu=False, **fields)
    x = conv_norm(net, f"deconv_{label}_pre", x, MODULE_CHANNELS, relu=False, **fields)
    joined = f"combined_{label}_Eltwise{METHODS[method]}"
    x = net.add("Eltwise", joined, x, y, operation=METHODS[method])
    return net.add("ReLU", f"{joined}_relu", x)


def growing(cells: int, target: int) -> tuple[int, int]:
    """Return kernel_size and stride of the deconvolution from `cells` to `target` cells on an axis.

    2 and 2 for twice as many cells (Figure 3); a wider kernel for one more (9 → 19: 3 and 2);
    stride 1 for fewer than twice as many, and from one cell (3 → 5, 1 → 3, 1 → 2).
    """
    stride = 1
    if cells > 1 and target >= 2 * cells:
        stride = 2
    return target - stride * (cells - 1), stride
