"""Normalisation: BatchNorm with Scale, as each net's authors write the two, and L2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netgen.graph import Blob, Net

FIXED = {"lr_mult": 0, "decay_mult": 0}
# For BatchNorm's mean, variance and their count, which older Caffe's solver would train.
FIXED_STATISTICS = {"param": [FIXED] * 3}
ONE = {"type": "constant", "value": 1}


@dataclass(frozen=True)
class BatchNormScale:
    """BatchNorm and a learned Scale; the defaults are those of chuanqi305/MobileNet-SSD.

    statistics: fields of BatchNorm.
    factors: fields of Scale, which has offsets (bias_term) in any case.
    names: of the two layers, {} standing for the name of the layer before.
    """

    statistics: Mapping[str, Any]
    factors: Mapping[str, Any]
    names: tuple[str, str] = ("{}_bn", "{}_scale")

    def __call__(self, net: Net, name: str, x: Blob) -> Blob:
        """Add both in place behind the layer `name`."""
        batch_norm, scale = (template.format(name) for template in self.names)
        return self.add(net, (batch_norm, scale), x)

    def add(self, net: Net, names: tuple[str, str], x: Blob, *, in_place: bool = True) -> Blob:
        """Add both under these names.

        in_place: BatchNorm overwrites x; Scale is in place anyway.
        """
        x = net.add("BatchNorm", names[0], x, in_place=in_place, **self.statistics)
        return net.add("Scale", names[1], x, in_place=True, bias_term=True, **self.factors)


BATCH_NORM = BatchNormScale(
    statistics={},
    factors={"param": [{"lr_mult": 1, "decay_mult": 0}] * 2, "filler": ONE},
)


def l2_norm(net: Net, name: str, x: Blob, scale: float) -> Blob:
    """Add L2 normalisation of each cell's values (ParseNet).

    They are multiplied by a learned factor per channel, which starts at `scale`.
    """
    return net.add(
        "Normalize",
        name,
        x,
        across_spatial=False,
        scale_filler={"type": "constant", "value": scale},
        channel_shared=False,
    )
