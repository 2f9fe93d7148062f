"""Names that last: which folders are synced, and what a file system may refuse."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ssd_common import durable


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that are synced."""
    found: list[Path] = []
    monkeypatch.setattr(durable, "sync_file", found.append)
    return found


def test_the_folder_above_every_new_one_is_synced(tmp_path: Path, synced: list[Path]) -> None:
    (tmp_path / "a").mkdir()
    durable.make_folder(tmp_path / "a/b/c")
    assert (tmp_path / "a/b/c").is_dir()
    assert synced == [tmp_path / "a", tmp_path / "a/b"]
    durable.make_folder(tmp_path / "a/b/c")
    assert len(synced) == 2


def test_a_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(OSError, match="File exists"):
        durable.make_folder(tmp_path / "a")


@pytest.mark.parametrize(("code", "raised"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_file_systems_that_sync_no_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, raised: bool
) -> None:
    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    if raised:
        with pytest.raises(OSError, match="Input/output error"):
            durable.sync_folder(tmp_path)
    else:
        durable.sync_folder(tmp_path)


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    if not exchanges:  # as on systems other than Linux
        monkeypatch.setattr(durable, "_exchange", lambda *_: False)
    durable.replace_folder(tmp_path / "new", tmp_path / "old", tmp_path / "aside")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old/file").read_text() == "new"


def test_everything_below_a_folder_is_synced(tmp_path: Path, synced: list[Path]) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_text("")
    durable.sync_tree(tmp_path)
    assert set(synced) == {tmp_path, tmp_path / "in", tmp_path / "in/file"}
