"""SSD's pyramid (Liu et al. 2016, Figure 2): conv4_3, fc7 and a chain of ever smaller maps."""

from __future__ import annotations

from netgen.blocks.convolution import conv_relu, shrink, shrinking
from netgen.blocks.normalisation import l2_norm
from netgen.graph import Blob, Net
from netgen.sources import Source, image_over_cells, pixel_step

# Channels of conv6_2, and of every later map; the 1×1 convolution before each has half as many.
CHANNELS = (512, 256)
# conv4_3 has larger values than the other maps. It is L2-normalised and scaled by a learned factor
# that starts at 20 (ParseNet, §3.1 of SSD).
L2_SCALE = 20


def ssd_neck(net: Net, maps: dict[str, Blob], image: Blob) -> list[Source]:
    """Add SSD's pyramid, for an image of any size, down to one cell: 6 maps at 300, 7 at 512.

    Prior steps are the maps' strides in pixels, 8, 16 and so on, as long as each map halves the one
    before it; later the image over the cells (100 and 300 at 300).

    maps: a backbone's maps by name, with conv4_3 and fc7.
    """
    x = maps["fc7"]
    step: float = pixel_step(image, x)
    sources = [Source(x, step)]
    channels = CHANNELS[0]
    number = 6
    while max(x.size) > 1:
        halved = all(shrinking(cells)[-1] == 2 for cells in x.size)
        x = conv_relu(net, f"conv{number}_1", x, channels // 2, 1)
        x = shrink(net, f"conv{number}_2", x, channels)
        if halved:
            step *= 2
        else:
            step = image_over_cells(image, x)
        sources.append(Source(x, step))
        channels = CHANNELS[1]
        number += 1
    conv4_3 = maps["conv4_3"]
    norm = l2_norm(net, f"{conv4_3.name}_norm", conv4_3, L2_SCALE)
    return [Source(norm, pixel_step(image, conv4_3)), *sources]
