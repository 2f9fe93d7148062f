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

STRIDES = {"res3b3": 8, "res5c": 16}  # of conv3_x and conv5_x (Table 2), in pixels
# Pixels from the border to the middle of the first cell: conv1 is padded, pool1 is not, and looks
# at conv1's cells 0, 1, 2.
START = 2.5
BLOCK_CHANNELS = 256  # of the inner convolutions of conv6_x and up, which give 1024
MODULE_CHANNELS = 512  # of every convolution of a deconvolution module (Figure 3)
METHODS = {"product": "PROD", "sum": "SUM"}  # of joining the two sides, by Eltwise's name


def ssd_resnet_neck(
    net: Net,
    maps: dict[str, Blob],
    image: Blob,
    *,
    learning: Learning = LEARNING,
    pixel_offsets: bool = False,
) -> list[Source]:
    """Add the pyramid of SSD on ResNet-101, for an image of any size, down to one cell.

    40, 20, 10, 5, 3, 1 cells at 321, seven maps at 513. Maps are halved by 2×2 kernels; those of 5
    and 3 cells lose their border instead. Prior boxes are centred on the fields that their cells
    see, `start + i·step` pixels from the border, where every kernel of k cells moves the start by
    (k − 1)/2 steps; on a map of one cell, in the middle of the image. In place of its own, a
    backbone whose convolutions and poolings are all padded has its centres half a step in; nothing
    is frozen over it, since no SSD was trained with it.
    maps: of a backbone, with res3b3 and res5c.
    pixel_offsets: write the start into PriorBox as it is, as released, although PriorBox counts it
        in steps.
    """
    own = maps["res5c"].name == "res5c"
    if not own:
        learning = LEARNING
    starts = {name: START if own else stride / 2 for name, stride in STRIDES.items()}
    sources = [
        _placed(image, maps[name], stride, starts[name], pixel_offsets)
        for name, stride in STRIDES.items()
    ]
    x, step, start, number = maps["res5c"], STRIDES["res5c"], starts["res5c"], 6
    while max(x.size) > 1:
        kernel, stride = (3, 1) if max(x.size) in (3, 5) else (2, 2)
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
    """Kernel and stride by axis: one with fewer cells than the kernel is covered whole."""
    kernels = tuple(min(kernel, cells) for cells in x.size)
    strides = tuple(stride if cells >= kernel else 1 for cells in x.size)
    return (kernels[0], kernels[1]), (strides[0], strides[1])


def _placed(image: Blob, x: Blob, step: float, start: float, pixel_offsets: bool) -> Source:
    """The source whose prior boxes are centred `start + i·step` pixels from the border."""
    if max(x.size) == 1:
        step, start = image.size[0], image.size[0] / 2
    offset = start if pixel_offsets else start / step
    steps = [step, step]
    if not pixel_offsets:
        # In the middle of an axis of one cell.
        for axis, cells in enumerate(x.size):
            if cells == 1:
                steps[axis] = image.size[axis] / 2 / offset
    return Source(x, steps[0], offset, across=steps[1], name=f"{x.name}_relu")


def deconvolve(
    net: Net,
    sources: Sequence[Source],
    *,
    method: str = "product",
    learning: Learning = LEARNING,
) -> list[Source]:
    """Add DSSD's decoder (Figure 1, Figure 3).

    Every source but the smallest is joined with what comes down from the smaller ones; prior boxes
    stay where they are.
    sources: of any pyramid, largest first.
    method: "product" or "sum" of the two sides.
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
    """Add Figure 3's module.

    x, grown to the source's size by a learned deconvolution and convolved, times the source
    convolved twice, and ReLU.
    """
    name = source.head_name
    numbered = re.match(r"res(\d+)", name)
    label = numbered[1] if numbered else source.blob.name
    rows, columns = (growing(n, m) for n, m in zip(x.size, source.blob.size, strict=True))
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
    fields: dict[str, Any] = {"kernel_size": 3, "pad": 1, "learning": learning}
    y = conv_norm(net, f"{name}_pre1", source.blob, MODULE_CHANNELS, **fields)
    y = conv_norm(net, f"{name}_pre2", y, MODULE_CHANNELS, relu=False, **fields)
    x = conv_norm(net, f"deconv_{label}_pre", x, MODULE_CHANNELS, relu=False, **fields)
    joined = f"combined_{label}_Eltwise{METHODS[method]}"
    x = net.add("Eltwise", joined, x, y, operation=METHODS[method])
    return net.add("ReLU", f"{joined}_relu", x)


def growing(cells: int, target: int) -> tuple[int, int]:
    """Return kernel_size and stride of the deconvolution from `cells` to `target` on an axis.

    2 and 2 for twice as many (Figure 3), a wider kernel for one more (9 → 19: 3 and 2), stride 1
    where that does not reach back or is not needed (3 → 5, 1 → 3, 1 → 2).
    """
    stride = 2 if cells > 1 and target >= 2 * cells else 1
    return target - stride * (cells - 1), stride
