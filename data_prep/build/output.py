"""Options that say how LMDBs are written."""

from __future__ import annotations

from typing import NamedTuple

from data_prep.images.encoding import COPIED, Encoding


class Output(NamedTuple):
    """How LMDBs are written, and by which workers.

    encoding: how records keep images.
    classification: lists name a label for each image instead of an annotation.
    check_size: all records must have the same shape.
    shards: number of LMDBs in a folder; 0 for a single LMDB.
    workers, scheduler: as data_prep.build.workers.Workers takes them.
    """

    encoding: Encoding = COPIED
    classification: bool = False
    check_size: bool = False
    shards: int = 0
    workers: int = 0
    scheduler: str | None = None


ONE_LMDB = Output()
