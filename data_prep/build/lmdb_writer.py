"""Appends records to an LMDB so that its bytes depend on the records alone."""

from __future__ import annotations

from pathlib import Path

import lmdb

from ssd_common.errors import CaffeError

COMMIT_RECORDS = 1000
# More would not fit a cache: its pages would be memory that the system clears first, at half the
# speed.
COMMIT_BYTES = 1 << 20
MAP_SIZE = 64 << 20  # to start with


class LmdbWriter:
    """Writes records in ascending order of keys to an LMDB, after the records already in it.

    It opens LMDB anew for each commit, so that nothing of the process's past gets into the file:
    LMDB reuses pages in memory without clearing them. Hence a build that was interrupted between
    two commits, and went on, ends with the same bytes.

    folder: the LMDB
    name: what errors call it
    map_size: bytes to start with; doubled whenever they are used up
    Raises CaffeError if the disk refuses.
    """

    def __init__(self, folder: Path, name: Path, map_size: int = MAP_SIZE) -> None:
        self._folder, self._name, self._map_size = folder, name, map_size
        folder.mkdir(parents=True, exist_ok=True)
        with self._open(map_size) as env:
            self.committed = env.stat()["entries"]
        self._pending: list[tuple[bytes, bytes]] = []
        self._pending_bytes = 0

    def _open(self, map_size: int) -> lmdb.Environment:
        try:
            # No lock file: nobody else sees the folder before it is renamed. One sync, at the end.
            return lmdb.open(str(self._folder), map_size=map_size, lock=False, sync=False, mode=0o644)
        except lmdb.Error as error:
            raise CaffeError(f"{self._name}: cannot write: {error}") from None

    @property
    def full(self) -> bool:
        """Whether it is time to commit."""
        return len(self._pending) >= COMMIT_RECORDS or self._pending_bytes >= COMMIT_BYTES

    def put(self, key: bytes, value: bytes) -> None:
        """Take a record in, for the next commit."""
        self._pending.append((key, value))
        self._pending_bytes += len(value)

    def commit(self, last: bool = False) -> None:
        """Write what was put since the last commit.

        last: wait until all of it is on the disk
        """
        while self._map_size < (self._folder / "data.mdb").stat().st_size:
            self._map_size *= 2
        while True:
            with self._open(self._map_size) as env:
                try:
                    with env.begin(write=True) as transaction:
                        for key, value in self._pending:
                            self._append(env, transaction, key, value)
                    if last:
                        env.sync(True)
                    break
                except lmdb.MapFullError:
                    self._map_size *= 2
                except lmdb.Error as error:
                    raise CaffeError(f"{self._name}: cannot write: {error}") from None
        self.committed += len(self._pending)
        self._pending, self._pending_bytes = [], 0

    def _append(self, env: lmdb.Environment, transaction: lmdb.Transaction, key: bytes, value: bytes) -> None:
        if len(key) > env.max_key_size():
            raise CaffeError(f"{key.decode()}: image path too long for an LMDB key of {env.max_key_size()} bytes")
        if not transaction.put(key, value, append=True, overwrite=False):
            raise CaffeError(f"{self._name}: key {key.decode()} is not after the one before it")
