"""One LMDB of a data set, and what is known of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from os.path import basename, splitext  # Path's own are four times as slow, for every image
from pathlib import Path

from caffe_ir import name_size
from data_prep.build.convert import Outcome
from data_prep.sources.source import Item

MIXED = (
    "grey",
    "alpha",
    "deep",
)  # kinds of faults: an image without the channels that its record states


@dataclass
class Part:
    """One LMDB to be, with its list and name_size file beside it, and what it turned out to hold.

    lmdb: its path
    items: its images
    stem: what the files beside it are called after; None for `train` of `train_lmdb`, "" of `lmdb`
    sizes: lines of the name_size file
    boxes: number of objects by class
    difficult: number of difficult ones among them
    shape: of the first record: channels, height, width
    mixed: not all records have the channels that they state
    """

    lmdb: Path
    items: list[Item]
    stem: str | None = None
    sizes: list[str] = field(default_factory=list)
    boxes: Counter[str] = field(default_factory=Counter)
    difficult: int = 0
    shape: tuple[int, int, int] | None = None
    mixed: bool = False

    def __post_init__(self) -> None:
        if self.stem is None:
            self.stem = self.lmdb.name.removesuffix("lmdb").rstrip("_")

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.stem or self.lmdb.name

    @property
    def list_file(self) -> Path:
        """The list of its images, beside the LMDB."""
        return self.lmdb.with_name(f"{self.stem or 'list'}.txt")

    @property
    def name_size_file(self) -> Path:
        """The names and sizes of its images, beside the LMDB."""
        return self.lmdb.with_name(f"{self.stem}{name_size.SUFFIX}".lstrip("_"))

    def add(self, item: Item, outcome: Outcome) -> None:
        """Take in what became of its next item."""
        self.boxes.update(outcome.classes)
        self.difficult += outcome.difficult
        self.mixed |= any(fault.kind in MIXED for fault in outcome.faults)
        name = item.name or splitext(basename(item.image))[0]
        self.sizes.append(name_size.format_line(name, outcome.height, outcome.width))
        self.shape = self.shape or outcome.shape

    def __str__(self) -> str:
        images = f"{self.lmdb}: {len(self.sizes)} images"
        if not self.boxes:
            return images
        classes = ", ".join(f"{name} {count}" for name, count in sorted(self.boxes.items()))
        return f"{images}, {self.boxes.total()} boxes ({self.difficult} difficult): {classes}"
