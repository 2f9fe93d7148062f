"""Normalisation: BatchNorm with Scale, as each net's authors write the two, and L2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netgen.graph import Blob, Net

FIXED = {"lr_mult": 0, "decay_mult": 0}
# BatchNorm's mean, variance and count: the solver of older Caffes would train them.
FIXED_STATISTICS = {"param": [FIXED] * 3}
ONE = {"type": "constant", "value": 1}


@dataclass(frozen=True)
class BatchNormScale:
    """BatchNorm and a learned Scale; default names are those of chuanqi305/MobileNet-SSD.

    statistics: fields of BatchNorm.
    factors: fields of Scale, besides bias_term: it always has offsets.
    names: names of the two layers, where {} stands for the name of the layer before.
    """

    statistics: Mapping[str, Any]
    factors: Mapping[str, Any]
    names: tuple[str, str] = ("{}_bn", "{}_scale")

    def __call__(self, net: Net, name: str, x: Blob) -> Blob:
        """Add both layers in place behind the layer `name`."""
        batch_norm = self.names[0].format(name)
        scale = self.names[1].format(name)
        return self.add(net, (batch_norm, scale), x)

    def add(self, net: Net, names: tuple[str, str], x: Blob, *, in_place: bool = True) -> Blob:
        """Add both layers under the given names.

        in_place: BatchNorm overwrites x; Scale always works in place.
        """
        x = net.add("BatchNorm", names[0], x, in_place=in_place, **self.statistics)
        return net.add(
            "Scale",
            names[1],
            x,
            in_place=True,
            bias_term=True,
            **self.factors,
        )


BATCH_NORM = BatchNormScale(
    statistics={},
    factors={"param": [{"lr_mult": 1, "decay_mult": 0}] * 2, "filler": ONE},
)


def l2_norm(net: Net, name: str, x: Blob, scale: float) -> Blob:
    """Add L2 normalisation of each cell's values, times a learned factor per channel (ParseNet).

    scale: what the factors start at.
    """
    return net.add(
        "Normalize",
        name,
        x,
        across_spatial=False,
        scale_filler={"type": "constant", "value": scale},
        channel_shared=False,
    )
