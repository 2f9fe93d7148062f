"""One LMDB of a data set, and what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from os.path import basename, splitext  # four times as fast as Path's own
from pathlib import Path

from caffe_ir import name_size
from data_prep.build.convert import Outcome
from data_prep.sources.source import Item

# Kinds of faults that mean an image without the channels that its record states.
MIXED = ("grey", "alpha", "deep")


@dataclass
class Part:
    """One LMDB with the list and the name_size file beside it, before and after it is built.

    lmdb: its path.
    items: its images.
    stem: begins the names of the files beside it; None takes it from the LMDB's name: "train"
      from train_lmdb, "" from lmdb.
    sizes: lines of the name_size file.
    boxes: number of objects by class.
    difficult: number of difficult objects.
    shape: of the first record: channels, height, width.
    mixed: not all images have the channels that their records state.
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
        """Its name in messages."""
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
        """Take in the outcome of its next item."""
        for class_name, count in outcome.classes.items():  # update would take far longer
            self.boxes[class_name] += count
        self.difficult += outcome.difficult
        for fault in outcome.faults:
            self.mixed |= fault.kind in MIXED
        name = item.name or splitext(basename(item.image))[0]
        self.sizes.append(name_size.format_line(name, outcome.height, outcome.width))
        self.shape = self.shape or outcome.shape

    def __str__(self) -> str:
        images = f"{self.lmdb}: {len(self.sizes)} images"
        if not self.boxes:
            return images
        boxes = f"{self.boxes.total()} boxes ({self.difficult} difficult)"
        return f"{images}, {boxes}: {class_counts(self.boxes)}"


def class_counts(counts: Mapping[str, int]) -> str:
    """Write the number of objects of each class, by name."""
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
