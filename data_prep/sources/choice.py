"""Which images of a data set are meant: all, a list's, or those for training and for testing."""

from __future__ import annotations

from typing import NamedTuple

from data_prep.sources.drawing import GROUPS, draw
from data_prep.sources.source import Item, Source
from ssd_common.errors import UsageError


class Choice(NamedTuple):
    """A choice of images for one LMDB, or for two.

    Without arguments it is all images, for one LMDB.

    image_list: a list's file, or the name of one of the data set's own lists; for one LMDB.
    train_list, test_list: the same for two LMDBs.
    test_share: share of the images for testing, drawn at random (above 0 and below 1).
    seed: decides which images are drawn.
    group_by: what stays together where they are drawn, beside images with the same content: those
      of a "folder", or of a "prefix", the path without the number at its end; None for nothing.
    """

    image_list: str | None = None
    train_list: str | None = None
    test_list: str | None = None
    test_share: float | None = None
    seed: int = 0
    group_by: str | None = None

    def check(self) -> None:
        """Raise UsageError where its parts contradict each other."""
        if self.test_share and self.train_list:
            remedy = "leave it out with --train-list and --test-list"
            raise UsageError(f"--test-share draws the test images; {remedy}")
        if self.group_by and not self.test_share:
            raise UsageError("--group-by is for images that --test-share draws")
        if self.group_by and self.group_by not in GROUPS:
            raise UsageError(f"--group-by: '{self.group_by}' is not one of {', '.join(GROUPS)}")
        if bool(self.train_list) != bool(self.test_list):
            raise UsageError("--train-list and --test-list go together (--list for a single LMDB)")
        if self.image_list and self.train_list:
            remedy = "leave it out with --train-list and --test-list"
            raise UsageError(f"--list is for a single LMDB; {remedy}")

    def items(self, source: Source, *, confine: bool = False) -> tuple[list[Item], ...]:
        """Return the images: one list, or one for training and one for testing.

        confine: open no image outside the source's folder.
        Raises CaffeError.
        """
        self.check()
        if self.train_list and self.test_list:
            train = source.read_list(self.train_list)
            test = source.read_list(self.test_list)
            return train, test
        items = source.read_list(self.image_list) if self.image_list else source.items()
        if self.test_share:
            share, seed = self.test_share, self.seed
            return draw(source.root, items, share, seed, self.group_by, confine=confine)
        return (items,)
