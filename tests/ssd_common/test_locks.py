"""Locks keep other processes off, name who holds them, and outlive nobody."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ssd_common import locks, machine
from ssd_common.errors import CaffeError
from ssd_common.locks import Busy, hold, holding
from tests.held import held
from tests.support import ROOT

# Takes the lock 300 times. Meanwhile the file `inside` is its own, or else there are two holders.
CONTENDER = """import sys
from pathlib import Path
from ssd_common.locks import Busy, holding
folder, taken = Path(sys.argv[1]), 0
while taken < 300:
    try:
        with holding(folder, "n", "here", print):
            (folder / "inside").touch(exist_ok=False)
            (folder / "inside").unlink()
            taken += 1
    except Busy:
        pass
"""
FORKING = """import os, sys
from pathlib import Path
from ssd_common.locks import Busy, hold
lock = hold(Path(sys.argv[1]), "n", "here", print)
child = os.fork()
if child == 0:
    try:
        hold(Path(sys.argv[1]), "n", "here", print)
    except Busy as error:
        print(str(error).replace(str(os.getppid()), "PARENT"), flush=True)
    sys.exit()
os.waitpid(child, 0)
print(lock.path.exists())
"""


def start(script: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_another_process_is_kept_off_until_it_ends(tmp_path: Path) -> None:
    with held(tmp_path, "n") as holder:
        said = f"here: process {holder.pid} is writing there; wait until it ends"
        with pytest.raises(Busy, match=f"^{said}"):
            hold(tmp_path, "n", "here", pytest.fail)
        with holding(tmp_path, "other", "there", pytest.fail):
            pass
    assert list(tmp_path.iterdir()) == [tmp_path / ".n.lock"]
    lock = hold(tmp_path, "n", "here", pytest.fail)
    assert lock.works
    assert lock.path.read_text().split() == [str(os.getpid()), machine.host()]
    del lock
    assert list(tmp_path.iterdir()) == []


def test_never_two_at_a_time(tmp_path: Path) -> None:
    """Although each holder removes the file that the others wait for."""
    runs = [start(CONTENDER, tmp_path) for _ in range(3)]
    assert [run.communicate()[0] for run in runs] == ["", "", ""]
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def test_one_process_shares_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = hold(tmp_path, "n", "here", pytest.fail)
    monkeypatch.chdir(tmp_path)
    second = hold(Path(), "n", "here", pytest.fail)
    del first
    assert second.path.exists()
    del second
    assert not Path(".n.lock").exists()


def test_a_forked_process_holds_nothing(tmp_path: Path) -> None:
    said = start(FORKING, tmp_path).communicate()[0].splitlines()
    assert said == [
        "here: process PARENT is writing there; wait until it ends, or write elsewhere",
        "True",
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_without_locks_it_warns_once_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def none(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", none)
    said: list[str] = []
    first = hold(tmp_path, "n", "here", said.append)
    second = hold(tmp_path, "n", "here", said.append)
    assert not first.works
    assert first is second
    assert said == [
        f"here: the file system has no locks ({os.strerror(number)});"
        " let no other process write there"
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("all mine")
    (tmp_path / ".n.lock").symlink_to("precious")
    with pytest.raises(CaffeError, match=r"^here: cannot write: .*\.n\.lock: "):
        hold(tmp_path, "n", "here", pytest.fail)
    assert (tmp_path / "precious").read_text() == "all mine"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match=r"^here: cannot write: .*none/\.n\.lock: No such file"):
        hold(tmp_path / "none", "n", "here", pytest.fail)


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("", "another process"),
        ("what?", "another process"),
        (f"{2**22 + 1} {machine.host()}", "another process"),  # above Linux's largest process id
        ("12 node7", "process 12 on node7"),
    ],
)
def test_who_holds_it_may_be_unknown_or_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, named: str
) -> None:
    def busy(*_: object) -> None:
        raise BlockingIOError(errno.EWOULDBLOCK, "busy")

    monkeypatch.setattr(locks.fcntl, "flock", busy)
    (tmp_path / ".n.lock").write_text(written)
    with pytest.raises(Busy, match=f"^here: {named} is writing there"):
        hold(tmp_path, "n", "here", pytest.fail)
