"""SSD's pyramid of residual blocks on ResNet-101, and DSSD's deconvolution modules over any pyramid (Fu et al. 2017, §3.2, §4)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from netgen.backbones.resnet101 import LEARNING, Learning, conv_norm, residual_block, window
from netgen.blocks.convolution import XAVIER, ZERO
from netgen.blocks.convolution import learning as rates
from netgen.graph import Blob, Net
from netgen.sources import Source

STRIDES = {"res3b3": 8, "res5c": 16}  # of conv3_x and conv5_x (Table 2), in pixels
START = 2.5  # pixels from the border to the middle of the first cell: conv1 is padded, pool1 is not, and looks at conv1's cells 0, 1, 2
BLOCK_CHANNELS = 256  # of the inner convolutions of conv6_x and up, which give 1024
MODULE_CHANNELS = 512  # of every convolution of a deconvolution module (Figure 3)
METHODS = {"product": "PROD", "sum": "SUM"}  # of joining the two sides, by Eltwise's name


def ssd_resnet_neck(
    net: Net, maps: dict[str, Blob], image: Blob, *, width: float = 1, learning: Learning = LEARNING, pixel_offsets: bool = False
) -> list[Source]:
    """The source maps of SSD on ResNet-101 for an image of any size, down to one cell: 40, 20, 10, 5, 3, 1 cells at 321, seven at 513.

    maps: of a backbone, with res3b3 and res5c. Maps are halved by 2×2 kernels; those of 5 and 3 cells lose their border instead.
    Prior boxes are centred on the fields that their cells see, `start + i·step` pixels from the border, where every kernel of k cells moves
    the start by (k − 1)/2 steps; on a map of one cell, in the middle of the image. pixel_offsets: write that start into PriorBox as it is,
    as released, although PriorBox counts it in steps. In place of its own, a backbone whose convolutions and poolings are all padded
    has its centres half a step in; nothing is frozen over it, since no SSD was trained with it.
    """
    own = maps["res5c"].name == "res5c"
    if not own:
        learning = LEARNING

    def place(x: Blob, step: float, start: float) -> Source:
        if max(x.size) == 1:
            step, start = image.size[0], image.size[0] / 2
        offset = start if pixel_offsets else start / step
        steps = [side / 2 / offset if cells == 1 and not pixel_offsets else step for side, cells in zip(image.size, x.size, strict=True)]
        return Source(x, steps[0], offset, across=steps[1], name=f"{x.name}_relu")

    starts = {name: START if own else stride / 2 for name, stride in STRIDES.items()}
    sources = [place(maps[name], stride, starts[name]) for name, stride in STRIDES.items()]
    x, step, start, number = maps["res5c"], STRIDES["res5c"], starts["res5c"], 6
    while max(x.size) > 1:
        kernel, stride = (3, 1) if max(x.size) in (3, 5) else (2, 2)
        (kernel_h, stride_h), (kernel_w, stride_w) = ((kernel, stride) if cells >= kernel else (cells, 1) for cells in x.size)
        same = (kernel_h, stride_h) == (kernel_w, stride_w)
        x = residual_block(
            net,
            str(number),
            x,
            max(1, round(BLOCK_CHANNELS * width)),
            kernel_size=kernel if same else (kernel_h, kernel_w),
            stride=stride if same else (stride_h, stride_w),
            learning=learning,
        )
        start += step * (kernel - 1) / 2
        step *= stride
        sources.append(place(x, step, start))
        number += 1
    return sources


def deconvolve(
    net: Net, sources: Sequence[Source], *, method: str = "product", width: float = 1, learning: Learning = LEARNING
) -> list[Source]:
    """DSSD's decoder: every source but the smallest joined with what comes down from the smaller ones (Figure 1, Figure 3).

    sources: of any pyramid, largest first; prior boxes stay where they are. method: "product" or "sum" of the two sides.
    """
    found = [sources[-1]]
    for source in reversed(sources[:-1]):
        x = deconvolution_module(net, found[0].blob, source, method=method, width=width, learning=learning)
        found.insert(0, replace(source, blob=x, name=""))
    return found


def deconvolution_module(
    net: Net, x: Blob, source: Source, *, method: str = "product", width: float = 1, learning: Learning = LEARNING
) -> Blob:
    """Figure 3: x grown to the source's size by a learned deconvolution and convolved, times the source convolved twice, and ReLU."""
    channels = max(1, round(MODULE_CHANNELS * width))
    name = source.head_name
    numbered = re.match(r"res(\d+)", name)
    label = numbered[1] if numbered else source.blob.name
    (kernel_h, stride_h), (kernel_w, stride_w) = (growing(n, m) for n, m in zip(x.size, source.blob.size, strict=True))
    same = (kernel_h, stride_h) == (kernel_w, stride_w)
    x = net.add(
        "Deconvolution",
        f"deconv_{label}",
        x,
        param=rates(1, bias=True),
        num_output=channels,
        weight_filler=XAVIER,
        bias_filler=ZERO,
        dilation=1,
        **window(kernel_h if same else (kernel_h, kernel_w), 0, stride_h if same else (stride_h, stride_w)),
    )
    y = conv_norm(net, f"{name}_pre1", source.blob, channels, 3, pad=1, learning=learning)
    y = conv_norm(net, f"{name}_pre2", y, channels, 3, pad=1, relu=False, learning=learning)
    x = conv_norm(net, f"deconv_{label}_pre", x, channels, 3, pad=1, relu=False, learning=learning)
    joined = f"combined_{label}_Eltwise{METHODS[method]}"
    x = net.add("Eltwise", joined, x, y, operation=METHODS[method])
    return net.add("ReLU", f"{joined}_relu", x)


def growing(cells: int, target: int) -> tuple[int, int]:
    """(kernel_size, stride) of the deconvolution that takes an axis from `cells` to `target`: 2 and 2 for twice as many (Figure 3), a
    wider kernel for one more (9 → 19: 3 and 2), stride 1 where that does not reach back or is not needed (3 → 5, 1 → 3, 1 → 2)."""
    stride = 2 if cells > 1 and target >= 2 * cells else 1
    return target - stride * (cells - 1), stride
