"""Folders of LMDBs that appear whole or not at all; a killed build continues with them.

A folder is built under a temporary name and renamed at the end.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from data_prep.build.lmdb_writer import DiskRefused, LmdbWriter
from ssd_common import durable, machine
from ssd_common.errors import CaffeError
from ssd_common.files import is_utf8

JOURNAL = "journal"
SHARD = "shard-{:05d}-of-{:05d}"
_SHARD = re.compile(r"shard-\d{5}-of-\d{5}")


class ResumableFolder:
    """Builds the LMDB `path`, or a folder `path` of several LMDBs.

    `with ResumableFolder(path, 2, digest) as folder: folder.put(key, value, note)`

    path appears when the block ends well, and stays as it was when the block fails. Records that an
    earlier process with the same digest had written when it was killed or interrupted, or when the
    disk took no more, are kept:
    `notes` has their notes, which are JSON values, and put is called for the rest. An earlier
    process's whole path is kept in the same way until `finish` is called for it, so that several
    paths that belong together all appear or none.

    path: the LMDB, or the folder of its shards; its own folder exists, and no other process builds
      path (see claimed).
    count: number of records that will be put.
    digest: of everything that the records depend on.
    overwrite: replace path.
    shards: number of LMDBs in the folder; 0 for a single LMDB.
    Raises CaffeError if path exists and overwrite is not set, if its name is not UTF-8, or if the
    disk refuses.
    """

    def __init__(
        self,
        path: Path,
        count: int,
        digest: str,
        overwrite: bool = False,
        shards: int = 0,
    ) -> None:
        self.path = path
        self.overwrite = overwrite
        self.notes: list[Any] = []
        self._header = {"digest": digest, "boot": _boot()}
        if not is_utf8(path):
            raise CaffeError(f"{path}: the name is not UTF-8, and no prototxt can say it")
        if shards > count:
            raise CaffeError(f"{path}: {shards} shards are more than its {count} images")
        names = [SHARD.format(i, shards) for i in range(shards)] or [""]
        # The folder of the records before each number.
        self._ends = {(i + 1) * count // len(names): name for i, name in enumerate(names)}
        self._pending: list[Any] = []

    def __enter__(self) -> ResumableFolder:
        self._folder = temporary(self.path)
        if self._read_journal(self.path) is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            os.rename(self.path, self._folder)
        check_target(self.path, self.overwrite)
        for folder in leftovers(self.path):
            if self._read_journal(folder) is not None and not self._folder.exists():
                os.rename(folder, self._folder)
        clear_leftovers(self.path, self._folder)
        self.notes = self._read_journal(self._folder) or []
        if not self.notes:
            self._start()
        self._count = len(self.notes)
        self._journal = (self._folder / JOURNAL).open("a", encoding="utf-8")
        self._open()
        return self

    def _start(self) -> None:
        """Make an empty folder with a journal."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        header = json.dumps(self._header)
        (self._folder / JOURNAL).write_text(f"{header}\n", encoding="utf-8")

    def restart(self) -> None:
        """Drop the records of the earlier process, where they are not what this one would write."""
        self._journal.close()
        self.notes = []
        self._count = 0
        self._start()
        self._journal = (self._folder / JOURNAL).open("a", encoding="utf-8")
        self._open()

    def _read_journal(self, folder: Path) -> list[Any] | None:
        """Read the notes on the records in a folder's LMDBs; None if it is another build's.

        A commit's notes are written before the commit itself, so the last line may be about records
        that the LMDB lacks; it is cut off.
        """
        try:
            with (folder / JOURNAL).open("rb+") as journal:
                if not self._is_ours(json.loads(journal.readline()), folder):
                    return None
                written = self._records_in(folder)
                notes: list[Any] = []
                while len(notes) < written:
                    notes += json.loads(journal.readline())
                journal.truncate(journal.tell())
        except (OSError, ValueError, CaffeError):
            return None
        if len(notes) != written:
            return None
        return notes

    def _is_ours(self, header: Any, folder: Path) -> bool:
        """Tell by its journal's first line whether a folder's records are this build's.

        A folder at its final name is on the disk, which a crash of the machine does not change.
        """
        if folder == self.path and isinstance(header, dict):
            return header.get("digest") == self._header["digest"]
        return bool(header == self._header)

    def _records_in(self, folder: Path) -> int:
        """Count the records in a folder's LMDBs."""
        count = 0
        for name in self._ends.values():
            if (folder / name).is_dir():
                count += LmdbWriter(folder / name, self.path).committed
        return count

    def _open(self) -> None:
        """Open the LMDB that the next record goes to."""
        self._end = next((end for end in self._ends if end > self._count), self._count)
        name = self._ends.get(self._end, "")
        self._writer = LmdbWriter(self._folder / name, self.path)

    def put(self, key: bytes, value: bytes, note: Any) -> None:
        """Take in the next record.

        note: what a later process needs to know of it to continue the build.
        """
        self._writer.put(key, value)
        self._pending.append(note)
        self._count += 1
        if self._count == self._end:
            self._commit()
            if self._count < max(self._ends):
                self._open()
        elif self._writer.full:
            self._commit()

    def _commit(self) -> None:
        """Write the pending notes, and then their records."""
        # json.dump to the file would be much slower.
        line = json.dumps(self._pending, separators=(",", ":"))
        try:
            self._journal.write(f"{line}\n")
            self._journal.flush()
        except OSError as error:
            raise DiskRefused(f"{self.path}: cannot write: {error.strerror}") from None
        self._writer.commit()
        self._pending = []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close_journal(failed=kind is not None)
        if kind is None:
            if self._pending:
                self._writer.commit()
            self._sync()
            replace_folder(self._folder, self.path)
        elif self._count == len(self._pending) or not _may_continue(kind):
            shutil.rmtree(self._folder, ignore_errors=True)
        else:
            done = self._count - len(self._pending)
            message = f"{done} images are done; the same command goes on from there"
            print(f"data_prep: {self.path}: {message}", file=sys.stderr)

    def _sync(self) -> None:
        """Wait until all is on the disk, the journal as well, by which it may be taken back."""
        try:
            durable.sync_tree(self._folder)
        except OSError as error:
            raise DiskRefused(f"{self.path}: cannot write: {error.strerror}") from None

    def _close_journal(self, failed: bool) -> None:
        """Close the journal; where the build failed, a disk that takes no more is known already."""
        try:
            self._journal.close()
        except OSError:
            if not failed:
                raise


def _may_continue(kind: type[BaseException]) -> bool:
    """Tell whether a later process can go on from a build that ended so: Ctrl-C, a full disk."""
    return issubclass(kind, DiskRefused) or not issubclass(kind, Exception)


def finish(path: Path) -> None:
    """Mark an LMDB, and all that belong with it, as finished: remove its journal."""
    journal = path / JOURNAL
    if journal.exists():
        journal.unlink()
        durable.sync_folder(path)


def is_finished(path: Path) -> bool:
    """Tell whether a path holds no LMDB that a build still has to finish."""
    return not (path / JOURNAL).is_file()


def _boot() -> str:
    """Return the identity of this boot of the machine, "" where the system does not tell.

    A build does not continue after a crash of the machine, whose disk may lack recent writes.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def check_target(path: Path, overwrite: bool) -> None:
    """Raise CaffeError unless path is free, or holds an LMDB that may be replaced."""
    if not path.exists():
        return
    if not path.is_dir() or not all(map(_belongs_to_lmdb, os.listdir(path))):
        raise CaffeError(f"{path}: already there, and not an LMDB; choose another --out")
    if os.listdir(path) and not overwrite:
        raise CaffeError(f"{path}: already there (--overwrite replaces it)")


def _belongs_to_lmdb(name: str) -> bool:
    """Tell whether a file or folder of this name may lie in an LMDB, or in a folder of shards."""
    return name in ("data.mdb", "lock.mdb", JOURNAL) or bool(_SHARD.fullmatch(name))


def temporary(path: Path) -> Path:
    """Return the name under which this process builds the folder `path`."""
    return path.with_name(f"{path.name}.tmp-{os.getpid()}")


def leftovers(path: Path, kind: str = "tmp") -> list[Path]:
    """List folders beside path that this process, or one that has ended, left.

    kind: "tmp" for half built folders, "old" for those moved out of the way.
    """
    found = []
    for folder in sorted(path.parent.glob(f"{path.name}.{kind}-*")):
        number = folder.name.rpartition("-")[2]
        if not number.isdigit():
            continue
        pid = int(number)
        if pid == os.getpid() or not machine.is_running(pid):
            found.append(folder)
    return found


def clear_leftovers(path: Path, keep: Path | None = None) -> None:
    """Remove folders that interrupted processes left beside path; put back those moved away.

    keep: a folder that stays.
    """
    for folder in leftovers(path, "old"):
        if path.exists():
            shutil.rmtree(folder)
        else:
            os.rename(folder, path)
    for folder in leftovers(path):
        if folder != keep:
            shutil.rmtree(folder)


def replace_folder(folder: Path, path: Path) -> None:
    """Rename folder, whose files are on the disk, to path, in place of an older folder there."""
    durable.replace_folder(folder, path, path.with_name(f"{path.name}.old-{os.getpid()}"))
