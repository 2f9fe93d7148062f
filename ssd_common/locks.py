"""Locks that keep two processes from writing the same files.

A lock is an open file beside what it protects. The system frees it when its process ends, however
that ends. Source: flock(2).
"""

from __future__ import annotations

import errno
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ssd_common import machine
from ssd_common.errors import CaffeError
from ssd_common.files import beginning

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Warn = Callable[[str], object]

# What network file systems without locks say, and systems without flock.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_NEVER_A_LINK = getattr(os, "O_NOFOLLOW", 0)


class Busy(CaffeError):
    """Another process holds the lock."""


class Lock:
    """A lock that this process holds until nothing refers to the Lock, or until it ends.

    handle: the open file; None where the file system has no locks.
    path: the lock's file, which is removed with the lock.
    """

    def __init__(self, handle: int | None, path: Path) -> None:
        self.handle = handle
        self.path = path
        weakref.finalize(self, _release, handle, path, os.getpid())

    @property
    def works(self) -> bool:
        """Whether other processes see the lock."""
        return self.handle is not None


_held: weakref.WeakValueDictionary[Path, Lock] = weakref.WeakValueDictionary()
_taking = threading.Lock()


def hold(folder: Path, name: str, what: str, warn: Warn) -> Lock:
    """Take the lock of the files of this name, or share it where this process has it already.

    folder: where the files are; it must exist.
    what: these files, in messages.
    warn: gets a line where the file system has no locks.
    Raises Busy where another process holds the lock, CaffeError where its file cannot be written.
    """
    path = Path(os.path.realpath(folder)) / f".{beginning(name)}.lock"
    with _taking:
        lock = _held.get(path)
        if lock is None:
            lock = Lock(_take(path, what, warn), path)
            _held[path] = lock
        return lock


@contextmanager
def holding(folder: Path, name: str, what: str, warn: Warn) -> Iterator[Lock]:
    """Hold a lock inside the block, as `hold` does."""
    lock = hold(folder, name, what, warn)
    try:
        yield lock
    finally:
        del lock


def _take(path: Path, what: str, warn: Warn) -> int | None:
    """Open and lock the file; None where the file system has no locks."""
    handle = None
    while handle is None:
        try:
            handle = _locked(path)
        except BlockingIOError:
            remedy = "wait until it ends, or write elsewhere"
            raise Busy(f"{what}: {_holder(path)} is writing there; {remedy}") from None
        except OSError as error:
            why = error.strerror or str(error)
            if error.errno not in _NO_LOCKS:
                raise CaffeError(f"{what}: cannot write: {path}: {why}") from None
            path.unlink(missing_ok=True)
            warn(f"{what}: the file system has no locks ({why}); let no other process write there")
            return None
    return handle


def _locked(path: Path) -> int | None:
    """Open the file and lock it; None where its last holder has just removed it.

    Raises OSError.
    """
    handle = _opened(path)
    try:
        if fcntl is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                _sign(handle)
                return handle
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None


def _opened(path: Path) -> int:
    """Open the lock's file; only to read it where it is what another user's killed process left."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | _NEVER_A_LINK, 0o666)
    except PermissionError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY | _NEVER_A_LINK)


def _sign(handle: int) -> None:
    """Write who holds the lock. A full disk does not matter: the lock holds without it."""
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()} {machine.host()}\n".encode())


def _holder(path: Path) -> str:
    """Name the process that holds the lock, by its id and, where it is another, its machine."""
    try:
        pid, _, host = path.read_text(encoding="utf-8").strip().partition(" ")
        number = int(pid)
    except (OSError, ValueError):
        return "another process"
    if host != machine.host():
        return f"process {number} on {host}"
    if not machine.is_running(number):  # it left the file; the holder could not write to it
        return "another process"
    return f"process {number}"


def _release(handle: int | None, path: Path, pid: int) -> None:
    """Free a lock, if this is the process that took it.

    The file goes first, so that who opens it still waits for its lock, and then finds it gone.
    """
    if handle is None or os.getpid() != pid:
        return
    with suppress(OSError):
        path.unlink()
    os.close(handle)


def _forget() -> None:
    """In a forked process: its parent holds the locks, and frees them when it ends."""
    for lock in list(_held.values()):
        if lock.handle is not None:
            os.close(lock.handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
