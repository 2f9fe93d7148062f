"""Files are read whole, and written whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ssd_common import machine
from ssd_common.errors import CaffeError, ParseError
from ssd_common.files import (
    clear_leftovers,
    read_bytes,
    read_regular,
    read_text,
    reading,
    temporary_name,
    write_atomic,
)

KILLED = """import os, signal, sys
from ssd_common.files import write_atomic
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
write_atomic(sys.argv[1], "half")
"""


@pytest.mark.parametrize(
    ("thrown", "said"),
    [
        (FileNotFoundError(2, "No such file or directory"), "No such file or directory"),
        (UnicodeDecodeError("utf-8", b"a", 0, 1, "invalid byte"), "not a text file (invalid byte)"),
        (RecursionError("maximum depth"), "not a map: nested too deeply"),
        (ValueError("bad value\nand more"), "not a map: bad value"),
        (OverflowError("too large"), "not a map: too large"),
        (ValueError(), "not a map: ValueError"),
    ],
)
def test_what_parsers_throw_becomes_one_line(thrown: Exception, said: str) -> None:
    with pytest.raises(ParseError) as caught, reading("a.map", "not a map"):
        raise thrown
    assert str(caught.value) == f"a.map: {said}"


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(CaffeError, match="its own"), reading("a.map"):
        raise CaffeError("its own")
    with pytest.raises(AttributeError), reading("a.map"):
        raise AttributeError


def test_no_file_has_a_zero_byte_in_its_name() -> None:
    for read in (read_bytes, read_text):
        with pytest.raises(ParseError, match="a·b: no file has this name"):
            read("a\0b")
    with pytest.raises(FileNotFoundError):
        read_regular("a\0b")


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"caf\xe9 ")
    assert read_text(file, "replace") == "caf\ufffd "
    with pytest.raises(ParseError, match="not a text file"):
        read_text(file)


def test_write_atomic_replaces_or_leaves_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, "one\n")
    write_atomic(path, b"two\n")
    assert path.read_bytes() == b"two\n"

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(CaffeError, match=r"a\.txt: cannot write: No space left on device"):
        write_atomic(path, "three\n")
    assert path.read_bytes() == b"two\n"
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomic_names_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match=r"none/a\.txt: cannot write: No such file"):
        write_atomic(tmp_path / "none" / "a.txt", "x")


def test_write_atomic_keeps_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    write_atomic(tmp_path / "atomic", "x")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "blank").write_text(" \n")
    with pytest.raises(ParseError, match="blank: is empty"):
        read_bytes(tmp_path / "blank")
    with pytest.raises(ParseError, match="none: No such file"):
        read_bytes(tmp_path / "none")


def test_what_a_killed_process_left_goes(tmp_path: Path) -> None:
    """And nothing else: not what runs, not another file's, not another machine's."""
    path = tmp_path / "train.txt"
    killed = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".train.txt.")
    own = str(os.getpid())
    kept = [
        tmp_path / f".train.txt.{machine.signature()}-0.tmp".replace(own, str(os.getppid())),
        tmp_path / ".train.txt.1-00000000-0.tmp",
        tmp_path / ".train.txt.0a1b2c3d.tmp",
        tmp_path / left.name.replace("train", "test"),
    ]
    for other in kept:
        other.touch()
    clear_leftovers(tmp_path, {"train.txt"}.__contains__)
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    clear_leftovers(tmp_path, {"train.txt"}.__contains__, alone=True)
    assert list(tmp_path.iterdir()) == kept[3:]


def test_what_this_process_writes_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread may be writing it; a file of this process's number alone may be a killed one's."""
    elder = temporary_name(tmp_path / "a.txt")
    elder.touch()

    def clear(_: int) -> None:
        clear_leftovers(tmp_path, {"a.txt"}.__contains__, alone=True)

    monkeypatch.setattr(os, "fsync", clear)
    write_atomic(tmp_path / "a.txt", "whole")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.txt"]


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("\u732b" * 85)  # 255 bytes
    write_atomic(path, "x")
    assert path.read_text() == "x"


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no /proc")
def test_a_fault_while_a_file_is_read_names_it() -> None:
    with pytest.raises(OSError, match="Input/output error") as caught:
        read_regular("/proc/self/mem")
    assert caught.value.filename == "/proc/self/mem"


def test_a_device_without_end_is_refused_and_a_pipe_is_read(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match="/dev/zero: is a device, not a file"):
        read_bytes("/dev/zero")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", f"echo name: > '{pipe}'"]):
        assert read_bytes(pipe) == b"name:\n"
