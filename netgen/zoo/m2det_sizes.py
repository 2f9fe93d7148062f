"""M2Det's sizes: the rows of Table 3 (Zhao et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SizeRow:
    """A row of Table 3.

    levels: number of TUMs.
    channels: channels of each TUM's maps.
    mAP: on minival.
    millions: millions of parameters, as printed.
    """

    levels: int
    channels: int
    mAP: float
    millions: float

    @property
    def suffix(self) -> str:
        """End of the zoo id."""
        return f"_l{self.levels}_c{self.channels}"

    @property
    def id(self) -> str:
        """The zoo id."""
        return f"m2det320_vgg_coco{self.suffix}"


# All rows but 8 levels of 256 channels, the plain id.
TABLE_3 = (
    SizeRow(2, 256, 30.5, 40.1),
    SizeRow(2, 512, 32.1, 106.5),
    SizeRow(4, 128, 29.8, 34.2),
    SizeRow(4, 256, 31.8, 60.2),
    SizeRow(4, 512, 33.4, 192.2),
    SizeRow(8, 128, 31.8, 47.5),
    SizeRow(8, 512, 34.0, 368.8),
    SizeRow(16, 128, 32.5, 73.9),
    SizeRow(16, 256, 33.6, 176.8),
)
