"""Archives unpack only into their folder, and damaged ones are refused."""

from __future__ import annotations

import errno
import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from data_prep.download import fetch
from ssd_common.errors import CaffeError
from tests.data_prep.download.made import tar


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize("make", [tar, zipped])
@pytest.mark.parametrize(
    "name", ["../outside.txt", "/outside.txt", "a/../../outside.txt", "a\\..\\outside.txt"]
)
def test_archives_cannot_write_elsewhere(make: object, name: str, tmp_path: Path) -> None:
    path = tmp_path / ("a.zip" if make is zipped else "a.tar")
    path.write_bytes(make(**{"good.txt": b"", name: b"bad"}))  # type: ignore[operator]
    with pytest.raises(CaffeError, match="would be written outside"):
        fetch.unpack(path, tmp_path / "in/here")
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == [path.name]


def test_a_folder_on_another_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rename leads there: a copy beside the file's place gets its name."""
    replace = Path.replace

    def replace_here(file: Path, target: Path) -> Path:
        if file.parent != target.parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return replace(file, target)

    monkeypatch.setattr(Path, "replace", replace_here)
    (tmp_path / "a.tar").write_bytes(tar(file=b"new"))
    (tmp_path / "here").mkdir()
    (tmp_path / "here/file").write_bytes(b"old")
    fetch.unpack(tmp_path / "a.tar", tmp_path / "here")
    assert [(p.name, p.read_bytes()) for p in (tmp_path / "here").iterdir()] == [("file", b"new")]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_are_refused(kind: bytes, tmp_path: Path) -> None:
    about = tarfile.TarInfo("link")
    about.type, about.linkname = kind, "/etc"
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(about)
    with pytest.raises(CaffeError, match="'link' in it is a link or device"):
        fetch.unpack(tmp_path / "a.tar", tmp_path / "here")


@pytest.mark.parametrize("name", ["a.tar", "a.zip", "a.tgz"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_damaged_archives(name: str, share: float, tmp_path: Path) -> None:
    data = np.random.default_rng(1).bytes(40_000)
    whole = zipped(a=data) if name == "a.zip" else tar(a=data)
    if name == "a.tgz":
        whole = gzip.compress(whole)
    (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CaffeError, match=f"{name}: damaged archive"):
        fetch.unpack(tmp_path / name, tmp_path / "here")


def test_flat(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar(**{"somewhere/instances_minival2014.json": b"{}"}))
    fetch.unpack(tmp_path / "a.tar", tmp_path / "annotations", flat=True)
    assert [p.name for p in (tmp_path / "annotations").iterdir()] == ["instances_minival2014.json"]
