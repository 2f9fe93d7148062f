"""DSOD's structures, features made from them, and the rows of Table 3 (Shen et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

from netgen.backbones.dsod import Structure, dsod
from netgen.blocks.numbered_layers import NumberedLayers
from netgen.graph import Blob, Net
from netgen.necks.dsod import dsod_neck
from netgen.recipe import Features
from netgen.sources import Source

# Channels of Second to Sixth in plain prediction layers (Figure 1), after a backbone without stem
# and with one.
PLAIN = (512, 256)
PLAIN_STEM = (512, 128)


def dense(structure: Structure, *, released: bool = False) -> Features:
    """Return features: a backbone and dense prediction layers.

    released: see `dsod_neck`.
    """

    def features(net: Net, image: Blob) -> list[Source]:
        layers = NumberedLayers(net)
        first, x = dsod(layers, image, structure)
        return dsod_neck(layers, image, first, x, released=released)

    return features


def plain(structure: Structure) -> Features:
    """Return features: a backbone, a transition without pooling (Table 1), plain layers."""

    def features(net: Net, image: Blob) -> list[Source]:
        layers = NumberedLayers(net)
        first, x = dsod(layers, image, structure)
        later = PLAIN_STEM if structure.stem else PLAIN
        channels = (structure.compressed(x.channels), *later)
        return dsod_neck(layers, image, first, x, channels=channels, dense=False)

    return features


@dataclass(frozen=True)
class AblationRow:
    """A row of Table 3 with plain prediction layers.

    Table 2's columns are rows 1 to 6, row 9 and dense prediction layers.

    number: of the row.
    mAP: on VOC2007 test.
    printed: number of parameters, as printed.
    note: end of the description, with a space before it.
    """

    number: int
    structure: Structure
    mAP: float
    printed: str
    note: str = ""

    @property
    def left_out(self) -> str:
        """Words for the parts that the structure lacks."""
        words = ""
        if not self.structure.stem:
            words += ", without stem"
        if len(self.structure.blocks) == 3:
            words += " and transition w/o pooling"
        return words

    @property
    def suffix(self) -> str:
        """End of the zoo id: the structure's letters, and the parts that it lacks."""
        letters = str(self.structure).replace("DS/", "_ds").replace("-", "_").replace(".", "")
        if not self.structure.stem:
            letters += "_nostem"
        if len(self.structure.blocks) == 3:
            letters += "_3blocks"
        return letters

    @property
    def id(self) -> str:
        """The zoo id."""
        return f"dsod300_voc0712{self.suffix}"


TABLE_3 = (
    AblationRow(1, Structure(32, 12, 16, 0.5, stem=False, blocks=(6, 8, 8)), 59.9, "4.1M"),
    AblationRow(2, Structure(32, 12, 16, 0.5, stem=False), 61.6, "4.2M"),
    AblationRow(
        3,
        Structure(32, 12, 16, stem=False),
        64.5,
        "5.5M",
        " It has 5.44M, 0.06M less than printed.",
    ),
    AblationRow(4, Structure(32, 64, 16, stem=False), 68.6, "6.1M"),
    AblationRow(5, Structure(64, 64, 16, stem=False), 69.7, "6.3M"),
    AblationRow(6, Structure(64, 192, 48, stem=False), 74.5, "18.0M"),
    AblationRow(7, Structure(64, 12, 16), 70.7, "5.2M", " 70.3 from ImageNet weights."),
    AblationRow(
        8,
        Structure(64, 36, 48),
        76.0,
        "12.5M",
        " It has 12.3M, 0.2M less than printed: B of 36 for row 9's 192 takes 5.9M off its 18.2M.",
    ),
)
