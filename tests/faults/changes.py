"""What an order may change in the process that runs its command.

Small data save time, another boot follows a crash, and a broken program shows that tests notice.
"""

from __future__ import annotations

import os
from pathlib import Path

from data_prep.build import lmdb_writer, resumable_folder
from data_prep.download import archives
from data_prep.download.archives import Archive
from netgen import writer

ARCHIVE = Archive("set.tar", ("http://127.0.0.1:9/set.tar",), checksum=None)


def small_commits() -> None:
    """Have LMDBs written in commits of two records."""
    lmdb_writer.COMMIT_RECORDS = 2


def small_archive() -> None:
    """Make `data_prep fetch tiny` fetch one small archive."""
    archives.SETS = {"tiny": (ARCHIVE,)}


def another_boot() -> None:
    """Have the machine started again since."""
    resumable_folder._boot = lambda: "another"


def two_files() -> None:
    """Have netgen write two short files, which saves the time that nets take."""
    texts = {"train.prototxt": 'name: "net"\n', "train.sh": "#!/bin/sh\n"}
    writer.texts = lambda _: texts


def no_sync() -> None:
    """Break the program: nothing is synced."""
    os.fsync = lambda _: None


def no_temporary_names() -> None:
    """Break the program: files are written where they are."""

    def write(path: str | os.PathLike[str], data: bytes | str) -> None:
        Path(path).write_bytes(data.encode() if isinstance(data, str) else data)

    writer.write_atomic = write
