"""Files are read whole, and written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ssd_common.errors import CaffeError, ParseError
from ssd_common.files import read_bytes, write_atomic


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
