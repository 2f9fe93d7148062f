"""Folders that are whole or not there, and that a build goes on with after it was killed.

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

from data_prep.build.lmdb_writer import LmdbWriter
from ssd_common.errors import CaffeError

JOURNAL = "journal"
SHARD = "shard-{:05d}-of-{:05d}"
_SHARD = re.compile(r"shard-\d{5}-of-\d{5}")


class ResumableFolder:
    """The LMDB `path` to be, or `shards` of them in a folder `path`.

    `with ResumableFolder(path, 2, digest) as folder: folder.put(key, value, note)`

    path appears when the block ends well, and is untouched when it does not. What an earlier
    process with the same digest had written when it was killed or interrupted is kept: `notes` has
    what was noted of it, and put is called for the rest. That goes for a whole path, too, until
    `finish`: several that belong together are there or not.
    count: records that will be put; digest: of everything that they depend on; notes: JSON values.
    Raises CaffeError if path exists and overwrite is not set, or if the disk refuses.
    """

    def __init__(self, path: Path, count: int, digest: str, overwrite: bool = False, shards: int = 0) -> None:
        self.path, self.overwrite, self.notes = path, overwrite, list[Any]()
        self._header = {"digest": digest, "boot": _boot()}
        if shards > count:
            raise CaffeError(f"{path}: {shards} shards are more than its {count} images")
        names = [SHARD.format(i, shards) for i in range(shards)] or [""]
        self._ends = {(i + 1) * count // len(names): name for i, name in enumerate(names)}  # folder of the records up to there
        self._pending: list[Any] = []

    def __enter__(self) -> ResumableFolder:
        self._folder = temporary(self.path)
        if self._read_journal(self.path) is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            os.rename(self.path, self._folder)
        check_target(self.path, self.overwrite)
        self._made_parent = not self.path.parent.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
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
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        (self._folder / JOURNAL).write_text(json.dumps(self._header) + "\n", encoding="utf-8")

    def restart(self) -> None:
        """Forget what was there: it is not what would be written now."""
        self._journal.close()
        self.notes, self._count = [], 0
        self._start()
        self._journal = (self._folder / JOURNAL).open("a", encoding="utf-8")
        self._open()

    def _read_journal(self, folder: Path) -> list[Any] | None:
        """The notes on the records in the folder's LMDBs; None if it is another build's.

        A commit's notes are written before the commit itself, so the last line may be of records
        that are not there.
        """
        try:
            with (folder / JOURNAL).open("rb+") as journal:
                if json.loads(journal.readline()) != self._header:
                    return None
                written = sum(LmdbWriter(folder / name, self.path).committed for name in self._ends.values() if (folder / name).is_dir())
                notes: list[Any] = []
                while len(notes) < written:
                    notes += json.loads(journal.readline())
                journal.truncate(journal.tell())
                return notes if len(notes) == written else None
        except (OSError, ValueError, CaffeError):
            return None

    def _open(self) -> None:
        """The LMDB that the next record goes to."""
        self._end = next((end for end in self._ends if end > self._count), self._count)
        self._writer = LmdbWriter(self._folder / self._ends.get(self._end, ""), self.path)

    def put(self, key: bytes, value: bytes, note: Any) -> None:
        """Take the next record in, and what shall be known of it when the build is gone on with."""
        self._writer.put(key, value)
        self._pending.append(note)
        self._count += 1
        if self._count == self._end:
            self._commit(last=True)
            if self._count < max(self._ends):
                self._open()
        elif self._writer.full:
            self._commit()

    def _commit(self, last: bool = False) -> None:
        try:
            self._journal.write(json.dumps(self._pending, separators=(",", ":")) + "\n")  # json.dump is much slower
            self._journal.flush()
        except OSError as error:
            raise CaffeError(f"{self.path}: cannot write: {error.strerror}") from None
        self._writer.commit(last)
        self._pending = []

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._journal.close()
        if kind is None:
            if self._pending:
                self._writer.commit(last=True)
            replace_folder(self._folder, self.path)
        elif issubclass(kind, Exception) or self._count == len(self._pending):
            shutil.rmtree(self._folder, ignore_errors=True)
            if self._made_parent and not os.listdir(self.path.parent):
                self.path.parent.rmdir()
        else:  # Ctrl-C
            done = self._count - len(self._pending)
            said = f"{done} images are done; the same command goes on from there"
            print(f"data_prep: {self.path}: {said}", file=sys.stderr)


def finish(path: Path) -> None:
    """Say that nothing is to come any more that an LMDB belongs together with."""
    (path / JOURNAL).unlink(missing_ok=True)


def is_finished(path: Path) -> bool:
    """Whether an LMDB is none that a build still has to finish."""
    return not (path / JOURNAL).is_file()


def _boot() -> str:
    """The identity of this boot of the machine, "" where the system does not tell.

    After a crash of the machine, not everything that was written is on its disk.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def check_target(path: Path, overwrite: bool) -> None:
    """Raise CaffeError unless path is free, or holds an LMDB that may be replaced."""
    if path.is_dir() and all(n in ("data.mdb", "lock.mdb", JOURNAL) or _SHARD.fullmatch(n) for n in os.listdir(path)):
        if overwrite or not os.listdir(path):
            return
        raise CaffeError(f"{path}: already there (--overwrite replaces it)")
    if path.exists():
        raise CaffeError(f"{path}: already there, and not an LMDB; choose another --out")


def temporary(path: Path) -> Path:
    """The name under which this process builds the folder `path`."""
    return path.with_name(f"{path.name}.tmp-{os.getpid()}")


def leftovers(path: Path, kind: str = "tmp") -> list[Path]:
    """Folders beside path that ended processes left.

    kind: "tmp" for half built ones, "old" for those moved out of the way
    """
    found = []
    for folder in sorted(path.parent.glob(f"{path.name}.{kind}-*")):
        pid = folder.name.rpartition("-")[2]
        if pid.isdigit() and (int(pid) == os.getpid() or not is_running(int(pid))):
            found.append(folder)
    return found


def clear_leftovers(path: Path, keep: Path | None = None) -> None:
    """Remove what interrupted processes left beside path, and put back what they moved away.

    keep: a folder that stays
    """
    for folder in leftovers(path, "old"):
        if path.exists():
            shutil.rmtree(folder)
        else:
            os.rename(folder, path)
    for folder in leftovers(path):
        if folder != keep:
            shutil.rmtree(folder)


def is_running(pid: int) -> bool:
    """Whether there is a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def replace_folder(folder: Path, path: Path) -> None:
    """Rename folder to path, over an older folder there."""
    old = path.with_name(f"{path.name}.old-{os.getpid()}")
    if path.exists():
        os.rename(path, old)
    os.rename(folder, path)
    shutil.rmtree(old, ignore_errors=True)
