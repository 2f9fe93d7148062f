"""The pyramid of SSD's first version, with batch normalisation; its last map is a mean.

Source: arXiv 1512.02325v1.
"""

from __future__ import annotations

from netgen.blocks.residual import conv_norm
from netgen.graph import Blob, Net
from netgen.sources import Source

CHANNELS = 512  # of each new map; the 1×1 convolution before it has half as many
MAPS = 3


def pooled_neck(net: Net, maps: dict[str, Blob], image: Blob) -> list[Source]:
    """Add the six source maps: res3b3, res5c, three halved ones, and the mean of the last.

    Prior steps are PriorBox's own, image / cells.

    maps: a backbone's maps by name, with res3b3 and res5c.

    Source: examples/ssd/ssd_pascal_resnet.py of weiliu89/caffe.
    """
    first = maps["res3b3"]
    x = maps["res5c"]
    stem = f"{x.name}_relu"
    sources = [
        Source(first, name=f"{first.name}_relu"),
        Source(x, name=stem),
    ]
    for number in range(1, MAPS + 1):
        x = conv_norm(net, f"{stem}/conv{number}_1", x, CHANNELS // 2)
        x = conv_norm(net, f"{stem}/conv{number}_2", x, CHANNELS, 3, pad=1, stride=2)
        sources.append(Source(x))
    mean = net.add("Pooling", "pool6", x, pool="AVE", global_pooling=True)
    return [*sources, Source(mean)]
