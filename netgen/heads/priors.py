"""Sizes and aspect ratios of the prior boxes of each source map (Liu et al. 2016, §2.2, §3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.detection import boxes_per_cell
from ssd_common.errors import CaffeError

VARIANCE = (0.1, 0.1, 0.2, 0.2)  # of centre x, y, width, height: what the offsets are divided by


@dataclass(frozen=True)
class Priors:
    """The prior boxes at one cell of a map.

    min_size, max_size: pixels; max_size 0 for no box between the two.
    aspect_ratios: each stands for itself and its inverse.
    """

    min_size: float
    max_size: float
    aspect_ratios: tuple[float, ...]

    @property
    def count(self) -> int:
        """Boxes per cell.

        The square of min_size, that of √(min_size·max_size), and two per aspect ratio.
        """
        return boxes_per_cell(pb.PriorBoxParameter(**self.fields))

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of a PriorBox layer that sets these boxes."""
        fields: dict[str, Any] = {
            "min_size": [self.min_size],
            "aspect_ratio": self.aspect_ratios,
            "flip": True,
        }
        if self.max_size:
            fields["max_size"] = [self.max_size]
        return fields

    def scaled(self, factor: float) -> Priors:
        """Return the same boxes for an image that is so many times as large."""
        return replace(self, min_size=self.min_size * factor, max_size=self.max_size * factor)


@dataclass(frozen=True)
class Scales:
    """What the sizes follow from, in percent of the image's side.

    first: min and max size of the first map.
    low, high: the min size of the second map and of the one that would follow the last but one; the
        maps between them are spread evenly.
    """

    first: tuple[int, int]
    low: int
    high: int = 90


# §3.1 (VOC: 10 % on conv4_3, then 20 % to 90 %), §3.4 (COCO's objects are smaller: 7 %, then 15 %);
# SSD512 has one map more and starts lower: 7 %, then 15 %, and 4 %, then 10 % on COCO.
SSD300 = Scales(first=(10, 20), low=20)
SSD300_SMALL = Scales(first=(7, 15), low=15)
SSD512 = Scales(first=(7, 15), low=15)
SSD512_SMALL = Scales(first=(4, 10), low=10)


def standard_scales(side: int, *, small_objects: bool) -> Scales:
    """Return SSD's scales for an image of `side` pixels, the shorter one of two."""
    if side < 512:
        return SSD300_SMALL if small_objects else SSD300
    return SSD512_SMALL if small_objects else SSD512


def default_ratios(maps: int) -> list[tuple[float, ...]]:
    """Return SSD's aspect ratios by map.

    2 and 3 on every map but the first and the last two, which have 2 only: four boxes per cell
    there, six elsewhere.
    """
    return [(2,) if index in (0, maps - 2, maps - 1) else (2, 3) for index in range(maps)]


def derive(
    scales: Scales, size: int, maps: int, ratios: Sequence[Sequence[float]] | None = None
) -> list[Priors]:
    """Return the prior boxes of `maps` source maps over an image of `size` pixels.

    The step between maps is whole percents, rounded down (examples/ssd/ssd_pascal.py of
    weiliu89/caffe): SSD300 on VOC has (90 − 20) // 4 = 17, so min sizes 10, 20, 37, 54, 71, 88 % =
    30, 60, 111, 162, 213, 264 pixels; a map's max size is the next one's min size.
    ratios: a row per map, or one for all; SSD's where left out.
    Raises CaffeError where they do not fit the maps, and for fewer than three maps.
    """
    if maps < 3:
        raise CaffeError(
            f"sizes of prior boxes are spread over three maps or more, but there are {maps}: "
            "choose a larger input"
        )
    if ratios and len(ratios) not in (1, maps):
        raise CaffeError(
            f"there are aspect ratios for {len(ratios)} maps, but {maps} maps: "
            "choose another input size"
        )
    step = (scales.high - scales.low) // (maps - 2)
    percents = [scales.low + step * index for index in range(maps - 1)]
    lows = [scales.first[0], *percents]
    highs = [scales.first[1], *(percent + step for percent in percents)]
    if not ratios:
        ratios = default_ratios(maps)
    elif len(ratios) == 1:
        ratios = [ratios[0]] * maps
    return [
        Priors(size * low / 100, size * high / 100, tuple(row))
        for low, high, row in zip(lows, highs, ratios, strict=True)
    ]
