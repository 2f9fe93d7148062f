"""Which images of a data set are meant: all, a list's, or those for training and for testing."""

from __future__ import annotations

from typing import NamedTuple

from data_prep.sources import image_lists
from data_prep.sources.source import Item, Source
from ssd_common.errors import UsageError


class Choice(NamedTuple):
    """A choice of images for one LMDB, or for two.

    Without arguments it is all images, for one LMDB.

    image_list: a list's file, or the name of one of the data set's own lists; for one LMDB.
    train_list, test_list: the same for two LMDBs.
    test_share: share of the images for testing, drawn at random (above 0 and below 1).
    seed: decides which images are drawn.
    """

    image_list: str | None = None
    train_list: str | None = None
    test_list: str | None = None
    test_share: float | None = None
    seed: int = 0

    def check(self) -> None:
        """Raise UsageError where its parts contradict each other."""
        if self.test_share and self.train_list:
            remedy = "leave it out with --train-list and --test-list"
            raise UsageError(f"--test-share draws the test images; {remedy}")
        if bool(self.train_list) != bool(self.test_list):
            raise UsageError("--train-list and --test-list go together (--list for a single LMDB)")
        if self.image_list and self.train_list:
            remedy = "leave it out with --train-list and --test-list"
            raise UsageError(f"--list is for a single LMDB; {remedy}")

    def items(self, source: Source) -> tuple[list[Item], ...]:
        """Return the images: one list, or one for training and one for testing.

        Raises CaffeError.
        """
        self.check()
        if self.train_list and self.test_list:
            train = source.read_list(self.train_list)
            test = source.read_list(self.test_list)
            return train, test
        items = source.read_list(self.image_list) if self.image_list else source.items()
        if self.test_share:
            return image_lists.split(items, self.test_share, self.seed)
        return (items,)
