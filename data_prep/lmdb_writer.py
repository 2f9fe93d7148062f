"""An LMDB that is whole or not there: built under a temporary name and renamed at the end."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import TracebackType

import lmdb

from caffe_ir.errors import CaffeError

COMMIT_RECORDS = 1000  # as the fork's convert_annoset
COMMIT_BYTES = 64 << 20  # and not more than this in memory


class LmdbWriter:
    """Writes records in ascending order of their keys; `with LmdbWriter(path) as writer: writer.put(key, value)`.

    path appears when the block ends well, and is untouched when it does not. map_size: bytes to start with; doubled
    whenever they are used up. Raises CaffeError if path exists and overwrite is not set, or if the disk refuses.
    """

    def __init__(self, path: Path, overwrite: bool = False, map_size: int = 64 << 20) -> None:
        self.path, self.overwrite, self.map_size = path, overwrite, map_size
        self.count = 0
        self._pending: list[tuple[bytes, bytes]] = []
        self._pending_bytes = 0

    def __enter__(self) -> LmdbWriter:
        check_target(self.path, self.overwrite)
        clear_leftovers(self.path)
        self._made_parent = not self.path.parent.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._folder = temporary(self.path)
        self._folder.mkdir()
        # No lock file: nobody else sees the folder before it is renamed. One sync, at the end.
        self._env = lmdb.open(str(self._folder), map_size=self.map_size, lock=False, sync=False, mode=0o644)
        return self

    def put(self, key: bytes, value: bytes) -> None:
        if len(key) > self._env.max_key_size():
            raise CaffeError(f"{key.decode()}: image path too long for an LMDB key of {self._env.max_key_size()} bytes")
        self._pending.append((key, value))
        self._pending_bytes += len(value)
        self.count += 1
        if len(self._pending) >= COMMIT_RECORDS or self._pending_bytes >= COMMIT_BYTES:
            self._commit()

    def _commit(self, last: bool = False) -> None:
        while True:
            try:
                with self._env.begin(write=True) as transaction:
                    for key, value in self._pending:
                        if not transaction.put(key, value, append=True, overwrite=False):
                            raise CaffeError(f"{self.path}: key {key.decode()} is not after the one before it")
                if last:
                    self._env.sync(True)
                break
            except lmdb.MapFullError:
                self._env.set_mapsize(self._env.info()["map_size"] * 2)
            except lmdb.Error as error:
                raise CaffeError(f"{self.path}: cannot write: {error}") from None
        self._pending, self._pending_bytes = [], 0

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._commit(last=True)
                self._env.close()
                replace_folder(self._folder, self.path)
        finally:
            self._env.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            if kind is not None and self._made_parent and not os.listdir(self.path.parent):
                self.path.parent.rmdir()


def check_target(path: Path, overwrite: bool) -> None:
    """Raise CaffeError unless an LMDB may be written at path: nothing is there, or one that may be replaced."""
    if path.is_dir() and set(os.listdir(path)) <= {"data.mdb", "lock.mdb"}:
        if overwrite or not os.listdir(path):
            return
        raise CaffeError(f"{path}: already there (--overwrite replaces it)")
    if path.exists():
        raise CaffeError(f"{path}: already there, and not an LMDB; choose another --out")


def temporary(path: Path) -> Path:
    """The name under which this process builds the folder `path`."""
    return path.with_name(f"{path.name}.tmp-{os.getpid()}")


def clear_leftovers(path: Path) -> None:
    """Remove what interrupted processes left beside path, and put back what one had moved out of the way."""
    for kind in ("old", "tmp"):
        for folder in path.parent.glob(f"{path.name}.{kind}-*"):
            pid = folder.name.rpartition("-")[2]
            if not pid.isdigit() or (int(pid) != os.getpid() and is_running(int(pid))):
                continue  # not ours, or of a process at work
            if kind == "old" and not path.exists():
                os.rename(folder, path)
            else:
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
