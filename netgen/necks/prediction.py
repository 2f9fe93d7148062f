"""DSSD's prediction modules, which stand between a map and its heads.

Source: Fu et al. 2017, §3.1 and Figure 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netgen.blocks.residual import LEARNING, Learning, conv_norm, residual_block
from netgen.graph import Blob, Net
from netgen.heads.predictions import predictor
from netgen.sources import Source

BLOCKS = {"a": 0, "b": 1, "c": 1, "d": 2}  # number of residual blocks, by variant
CHANNELS = 256  # of the inner convolutions; a module's output has four times as many
# Kernel sizes of the heads on the two largest maps, and on every later one, as released (§3 prints
# 3×3).
KERNELS = (5, 5, 3)
HIDDEN_CHANNELS = 512  # of DSSD513's convolution before each head


def prediction_module(
    net: Net,
    source: Source,
    kind: str = "c",
    *,
    channels: int = CHANNELS,
    learning: Learning = LEARNING,
) -> Source:
    """Add a prediction module and return its output, the source that replaces `source`.

    kind: variant of Figure 2. "a": the map itself, as in SSD. "b": a residual block with the map
        itself as its shortcut, so that it keeps the map's channels. "c": a residual block whose
        shortcut is a 1×1 convolution to 4·`channels`. "d": two of those. The middle convolution of
        a block is 3×3, as released (Figure 2 prints 1×1).
    channels: of the inner convolutions.
    learning: how the module learns.
    """
    name = source.head_name
    output = 0
    if kind == "b":
        output = source.blob.channels
    for _ in range(BLOCKS[kind]):
        name = f"{name}_inter{channels}"
        x = residual_block(
            net,
            name,
            source.blob,
            channels,
            output=output,
            project=kind != "b",
            learning=learning,
        )
        source = replace(source, blob=x, name="")
    return source


def prediction_modules(
    net: Net,
    sources: Sequence[Source],
    kind: str = "c",
    *,
    channels: Sequence[int] = (CHANNELS,),
    learning: Learning = LEARNING,
) -> list[Source]:
    """Add a prediction module for each source, and set its heads' kernel sizes.

    kind, learning: see `prediction_module`.
    channels: of each source's inner convolutions; the last number holds for all later sources.
    """
    found = []
    for index, source in enumerate(sources):
        count = channels[min(index, len(channels) - 1)]
        module = prediction_module(net, source, kind, channels=count, learning=learning)
        kernel = KERNELS[min(index, len(KERNELS) - 1)]
        found.append(replace(module, kernel_size=kernel))
    return found


def deep_predictor(
    net: Net,
    name: str,
    x: Blob,
    num_output: int,
    *,
    lr_mult: float = 1,
    kernel_size: int = 3,
) -> Blob:
    """Add a head after a 3×3 convolution of its own, as in the released DSSD513."""
    x = conv_norm(net, f"{name}_inter", x, HIDDEN_CHANNELS, 3, pad=1)
    return predictor(net, name, x, num_output, lr_mult=lr_mult, kernel_size=kernel_size)
