"""Appends records to an LMDB so that its bytes depend on the records alone."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import lmdb

from ssd_common.errors import CaffeError

COMMIT_RECORDS = 1000
# The pages of a larger commit would not fit a cache, and the system would clear fresh memory for
# them, at half the speed.
COMMIT_BYTES = 1 << 20
PROBE_BYTES = 64 << 10  # more than LMDB writes for a commit beside its records
MAP_SIZE = 64 << 20  # bytes to start with; doubled whenever they are used up


class DiskRefused(CaffeError):
    """The disk takes no more; what was committed before is whole."""


class LmdbWriter:
    """Writes records in ascending order of keys to an LMDB, after the records already in it.

    LMDB reuses pages in memory without clearing them. The writer opens it anew for each commit, so
    that nothing of the process's past gets into the file. A build that is interrupted between two
    commits and continues later therefore ends with the same bytes.

    folder: the LMDB.
    name: what errors call it.
    Raises DiskRefused if the disk refuses.
    """

    def __init__(self, folder: Path, name: Path) -> None:
        self._folder = folder
        self._name = name
        self._map_size = MAP_SIZE
        self._pending: list[tuple[bytes, bytes]] = []
        self._pending_bytes = 0
        folder.mkdir(parents=True, exist_ok=True)
        with self._open() as env:
            self.committed = env.stat()["entries"]

    def _open(self) -> lmdb.Environment:
        try:
            return lmdb.open(
                str(self._folder),
                map_size=self._map_size,
                lock=False,  # nobody else sees the folder before it is renamed
                sync=False,  # who renames the folder syncs it
                mode=0o644,
            )
        except lmdb.Error as error:
            raise self._refused(error) from None

    @property
    def full(self) -> bool:
        """Whether it is time to commit."""
        return len(self._pending) >= COMMIT_RECORDS or self._pending_bytes >= COMMIT_BYTES

    def put(self, key: bytes, value: bytes) -> None:
        """Take in a record for the next commit."""
        self._pending.append((key, value))
        self._pending_bytes += len(value)

    def commit(self) -> None:
        """Write the records that were put since the last commit; they need not be on the disk."""
        size = (self._folder / "data.mdb").stat().st_size
        while self._map_size < size:
            self._map_size *= 2
        while not self._write_pending():
            self._map_size *= 2
        self.committed += len(self._pending)
        self._pending = []
        self._pending_bytes = 0

    def _write_pending(self) -> bool:
        """Write the pending records in one transaction; False where they do not fit the map."""
        with self._open() as env:
            try:
                with env.begin(write=True) as transaction:
                    for key, value in self._pending:
                        self._append(env, transaction, key, value)
            except lmdb.MapFullError:
                return False
            except lmdb.Error as error:
                raise self._refused(error) from None
        return True

    def _refused(self, error: lmdb.Error) -> DiskRefused:
        """Return the error to raise for one of LMDB's.

        LMDB calls a disk without room "Input/output error", so a file without a name tries it.
        """
        why = str(error)
        try:
            with tempfile.TemporaryFile(dir=self._folder) as probe:
                probe.write(bytes(self._pending_bytes + PROBE_BYTES))
                probe.flush()
                os.fsync(probe.fileno())
        except OSError as refused:
            why = refused.strerror or why
        return DiskRefused(f"{self._name}: cannot write: {why}")

    def _append(
        self,
        env: lmdb.Environment,
        transaction: lmdb.Transaction,
        key: bytes,
        value: bytes,
    ) -> None:
        """Write a record after all others. Raises CaffeError for a key that does not allow it."""
        if len(key) > env.max_key_size():
            raise CaffeError(
                f"{key.decode()}: image path too long for an LMDB key of {env.max_key_size()} bytes"
            )
        if not transaction.put(key, value, append=True, overwrite=False):
            raise CaffeError(f"{self._name}: key {key.decode()} is not after the one before it")
