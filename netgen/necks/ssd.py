"""SSD's pyramid (Liu et al. 2016, Figure 2): conv4_3, fc7 and a chain of ever smaller maps."""

from __future__ import annotations

from netgen.blocks.convolution import conv_relu, shrink, shrinking
from netgen.blocks.normalisation import l2_norm
from netgen.graph import Blob, Net
from netgen.sources import Source, pixel_step

# Of conv6_2, and of every later map; the 1×1 convolution before each has half as many.
CHANNELS = (512, 256)
# conv4_3's values are larger than the others': L2-normalised and scaled by a learned 20 (ParseNet,
# §3.1 of SSD).
L2_SCALE = 20


def ssd_neck(net: Net, maps: dict[str, Blob], image: Blob) -> list[Source]:
    """Add SSD's pyramid, for an image of any size, down to one cell: 6 maps at 300, 7 at 512.

    Prior steps are the maps' strides in pixels, 8 and 16 and then twice the last one while maps are
    halved; where they lose their border instead, the image divided by the cells (100 and 300 at
    300), which is left to PriorBox where it is not the same for rows and columns.
    maps: of a backbone, with conv4_3 and fc7.
    """
    sources = [Source(maps["fc7"], pixel_step(image, maps["fc7"]))]
    x, number = maps["fc7"], 6
    while max(x.size) > 1:
        channels = CHANNELS[0] if number == 6 else CHANNELS[1]
        halved = all(shrinking(cells)[-1] == 2 for cells in x.size)
        x = conv_relu(net, f"conv{number}_1", x, channels // 2, 1)
        x = shrink(net, f"conv{number}_2", x, channels)
        step = sources[-1].step * 2 if halved else _image_over_cells(image, x)
        sources.append(Source(x, step))
        number += 1
    conv4_3 = maps["conv4_3"]
    norm = l2_norm(net, f"{conv4_3.name}_norm", conv4_3, L2_SCALE)
    return [Source(norm, pixel_step(image, conv4_3)), *sources]


def _image_over_cells(image: Blob, x: Blob) -> float:
    """Pixels from cell to cell; 0 where rows and columns differ."""
    rows, columns = (pixels / cells for pixels, cells in zip(image.size, x.size, strict=True))
    return rows if rows == columns else 0
