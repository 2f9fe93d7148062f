"""FSSD's feature fusion: maps of several sizes become one, and a pyramid is made from that.

Source: Li & Zhou 2017, §3.1 and Figure 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netgen.blocks.convolution import conv_relu, shrink
from netgen.blocks.resize import resize
from netgen.graph import Blob, Net
from netgen.sources import Source

FUSED_CHANNELS = 256  # of each source after its 1×1 convolution (§4.2)
PYRAMID_CHANNELS = (512, 512, 256)  # of ds_1, of ds_2, and of every later map
FUSED = ("conv4_3", "fc7", "conv7_2")  # §4.1.1: conv3_3 does not help, conv7_2 does
PYRAMID_NAME = "fea_concat_bn_ds_{}"  # {}: how many times smaller than the fused map


@dataclass(frozen=True)
class Fusion:
    """FSSD's neck, for an image of any size, down to one cell.

    fused: names of the maps that are fused: brought to 256 channels and to conv4_3's size, larger
        ones by 2×2 pooling, then concatenated.
    sum_up: add them up instead.
    batch_norm: normalise the fused map, without Scale.
    pyramid: variant of Figure 3: "a" (the fused map is the first source itself), "b", or "c" (a 1×1
        convolution to half the channels before each map).
    width: factor on every number of channels.
    lr_mult: learning rate of the layers that a trained SSD lacks, as a multiple of the solver's; 2
        to start from a trained SSD (§3.2).
    conv7_2_lr_mult: the same for conv7_2; None for `lr_mult`.
    conv4_3_last: project conv4_3 after conv7_2 is made, in the released 512 script's order.
    normalise: add BatchNorm and Scale after each convolution.
    """

    fused: Sequence[str] = FUSED
    sum_up: bool = False
    batch_norm: bool = True
    pyramid: str = "b"
    width: float = 1
    lr_mult: float = 1
    conv7_2_lr_mult: float | None = None
    conv4_3_last: bool = False
    normalise: bool = False

    def __call__(self, net: Net, maps: dict[str, Blob], image: Blob) -> list[Source]:
        """Add the source maps: fea_concat_bn_ds_1, _2, _4, …

        Prior steps are PriorBox's own, image / cells.

        maps: a backbone's maps by name, with conv4_3, fc7 and, if it is fused, conv3_3. The neck
            itself makes conv7_2.
        """
        fused = self._fuse(net, maps)
        return self._pyramid(net, fused)

    def _channels(self, count: int) -> int:
        return max(1, round(count * self.width))

    def _conv(
        self,
        net: Net,
        name: str,
        x: Blob,
        count: int,
        kernel_size: int,
        **fields: Any,
    ) -> Blob:
        """Add a convolution and ReLU with `count` channels at width 1."""
        count = self._channels(count)
        fields["normalise"] = self.normalise
        return conv_relu(net, name, x, count, kernel_size, **fields)

    def _project(self, net: Net, maps: dict[str, Blob], name: str) -> Blob:
        """Add the 1×1 convolution of a map before fusion."""
        layer = f"{name}_reduce"
        return self._conv(net, layer, maps[name], FUSED_CHANNELS, 1, lr_mult=self.lr_mult)

    def _conv7_2(self, net: Net, fc7: Blob) -> Blob:
        """Add SSD's two maps after fc7; conv6_2 keeps stride 1."""
        lr_mult = self.conv7_2_lr_mult
        if lr_mult is None:
            lr_mult = self.lr_mult
        x = self._conv(net, "conv6_1", fc7, 256, 1)
        x = self._conv(net, "conv6_2", x, 512, 3, pad=1)
        x = self._conv(net, "conv7_1", x, 128, 1)
        return self._conv(
            net,
            "conv7_2",
            x,
            FUSED_CHANNELS,
            3,
            pad=1,
            stride=2,
            lr_mult=lr_mult,
        )

    def _fuse(self, net: Net, maps: dict[str, Blob]) -> Blob:
        """Fuse the maps of `fused` into one map of conv4_3's size."""
        if not self.conv4_3_last:
            conv4_3 = self._project(net, maps, "conv4_3")
        deeper = "conv7_2" in self.fused
        if deeper:
            conv7_2 = self._conv7_2(net, maps["fc7"])
        if self.conv4_3_last:
            conv4_3 = self._project(net, maps, "conv4_3")
        parts = [conv4_3]
        if "conv3_3" in self.fused:
            x = self._project(net, maps, "conv3_3")
            x = net.add("Pooling", "conv3_3_ds", x, pool="MAX", kernel_size=2, stride=2)
            parts.insert(0, x)
        fc7 = self._project(net, maps, "fc7")
        parts.append(resize(net, "fc7_us", fc7, conv4_3.size))
        if deeper:
            parts.append(resize(net, "conv7_2_us", conv7_2, conv4_3.size))
        return self._join(net, parts)

    def _join(self, net: Net, parts: Sequence[Blob]) -> Blob:
        """Add the sum or concatenation of the maps, and its normalisation."""
        kind = "Concat"
        name = "fea_concat"
        fields: dict[str, Any] = {"axis": 1}
        if self.sum_up:
            kind = "Eltwise"
            name = "fea_sum"
            fields = {"operation": "SUM"}
        x = net.add(kind, name, *parts, **fields)
        if self.batch_norm:
            x = net.add("BatchNorm", f"{name}_bn", x, in_place=True)
        return x

    def _pyramid(self, net: Net, x: Blob) -> list[Source]:
        """Add the source maps, ever smaller, from the fused map x."""
        if self.pyramid != "a":
            name = PYRAMID_NAME.format(1)
            count = PYRAMID_CHANNELS[0]
            x = self._narrowed(net, name, x, count)
            x = self._conv(net, name, x, count, 3, pad=1, lr_mult=self.lr_mult)
        sources = [Source(x)]
        while max(x.size) > 1:
            name = PYRAMID_NAME.format(2 ** len(sources))
            count = PYRAMID_CHANNELS[min(len(sources), 2)]
            x = self._narrowed(net, name, x, count)
            x = shrink(
                net,
                name,
                x,
                self._channels(count),
                lr_mult=self.lr_mult,
                normalise=self.normalise,
            )
            sources.append(Source(x))
        return sources

    def _narrowed(self, net: Net, name: str, x: Blob, count: int) -> Blob:
        """Add pyramid "c"'s bottleneck before a convolution of `count` channels."""
        if self.pyramid != "c":
            return x
        half = self._channels(count) // 2
        return conv_relu(
            net,
            f"{name}_1x1",
            x,
            half,
            1,
            lr_mult=self.lr_mult,
            normalise=self.normalise,
        )
