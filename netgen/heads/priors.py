"""Sizes and aspect ratios of the prior boxes of each source map (Liu et al. 2016, §2.2, §3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.detection import boxes_per_cell
from ssd_common.errors import CaffeError

INT_LIMIT = 1 << 31  # PriorBox multiplies min_size and max_size as C++ ints
VARIANCE = (0.1, 0.1, 0.2, 0.2)  # offsets of centre x, y, width, height are divided by these


@dataclass(frozen=True)
class Priors:
    """The prior boxes at one cell of a map.

    min_size: side of the smallest square in pixels.
    max_size: upper bound in pixels, for a square in between; 0 for no such square.
    aspect_ratios: width over height; each stands for itself and its inverse.
    """

    min_size: float
    max_size: float
    aspect_ratios: tuple[float, ...]

    @property
    def count(self) -> int:
        """Boxes per cell: squares of min_size and √(min_size·max_size), two boxes per ratio."""
        return boxes_per_cell(pb.PriorBoxParameter(**self.fields))

    @property
    def fields(self) -> dict[str, Any]:
        """Fields of the PriorBox layer that makes these boxes."""
        fields: dict[str, Any] = {
            "min_size": [self.min_size],
            "aspect_ratio": self.aspect_ratios,
            "flip": True,
        }
        if self.max_size:
            fields["max_size"] = [self.max_size]
        return fields

    @property
    def parts(self) -> int:
        """Parts of a pixel in which both sizes are whole numbers, 100 at most.

        Fewer where the product of the two would be too large for PriorBox.
        """
        hundredths = [round(100 * size) for size in (self.min_size, self.max_size)]
        parts = 100 // math.gcd(100, *hundredths)
        area = self.min_size * (self.max_size or self.min_size)
        while (parts * math.sqrt(area) + 1) ** 2 >= INT_LIMIT:
            parts -= 1
        return parts

    def in_parts(self, parts: int) -> Priors:
        """Return the same boxes with sizes counted in parts of a pixel, in whole numbers."""
        return replace(
            self,
            min_size=round(self.min_size * parts),
            max_size=round(self.max_size * parts),
        )

    def scaled(self, factor: float) -> Priors:
        """Return the same boxes for an image whose sides are `factor` times as long."""
        return replace(
            self,
            min_size=self.min_size * factor,
            max_size=self.max_size * factor,
        )


@dataclass(frozen=True)
class Scales:
    """The rule that gives prior boxes their sizes, in percent of the image's side.

    first: min and max size on the first map.
    low: min size on the second map.
    high: min size on the last map, before the even step from map to map is rounded down.
    """

    first: tuple[int, int]
    low: int
    high: int = 90


# §3.1: on VOC 10 % on conv4_3, then 20 % to 90 %. §3.4: COCO's objects are smaller, 7 %, then 15 %.
# SSD512 has one map more and starts lower: 7 %, then 15 %; on COCO 4 %, then 10 %.
SSD300 = Scales(first=(10, 20), low=20)
SSD300_SMALL = Scales(first=(7, 15), low=15)
SSD512 = Scales(first=(7, 15), low=15)
SSD512_SMALL = Scales(first=(4, 10), low=10)


def standard_scales(side: int, *, small_objects: bool) -> Scales:
    """Return SSD's scales.

    side: the image's shorter side in pixels.
    small_objects: the data set's objects are small, as COCO's are.
    """
    large = side >= 512
    if large and small_objects:
        return SSD512_SMALL
    if large:
        return SSD512
    if small_objects:
        return SSD300_SMALL
    return SSD300


def default_ratios(maps: int) -> list[tuple[float, ...]]:
    """Return SSD's aspect ratios by map, for three maps or more.

    The first map and the last two have 2 only, so four boxes per cell; the others have 2 and 3, so
    six.
    """
    few: tuple[float, ...] = (2,)
    many: tuple[float, ...] = (2, 3)
    return [few, *[many] * (maps - 3), few, few]


def derive(
    scales: Scales, size: int, maps: int, ratios: Sequence[Sequence[float]] | None = None
) -> list[Priors]:
    """Return the prior boxes of each source map.

    The step between maps is a whole number of percents, rounded down: SSD300 on VOC has
    (90 − 20) // 4 = 17, so min sizes 10, 20, 37, 54, 71, 88 % = 30, 60, 111, 162, 213, 264 pixels.
    A map's max size is the next map's min size.

    size: the image's shorter side in pixels.
    maps: number of source maps.
    ratios: aspect ratios, one row per map or one for all; None for SSD's.

    Raises CaffeError for ratios that do not fit the maps, and for fewer than three maps.
    Source: examples/ssd/ssd_pascal.py of weiliu89/caffe.
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
    found = []
    for low, high, row in zip(lows, highs, ratios, strict=True):
        found.append(Priors(size * low / 100, size * high / 100, tuple(row)))
    return found
