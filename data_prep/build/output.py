"""How LMDBs are written."""

from __future__ import annotations

from typing import NamedTuple

from data_prep.images.encoding import COPIED, Encoding


class Output(NamedTuple):
    """How LMDBs are written, and by whom.

    encoding: how images are kept
    classification: lists name a label for each image instead of an annotation
    check_size: all records have the same shape
    shards: LMDBs in a folder instead of one; 0 for one
    workers, scheduler: who does it, as data_prep.build.workers.Workers takes them
    """

    encoding: Encoding = COPIED
    classification: bool = False
    check_size: bool = False
    shards: int = 0
    workers: int = 0
    scheduler: str | None = None


ONE_LMDB = Output()
