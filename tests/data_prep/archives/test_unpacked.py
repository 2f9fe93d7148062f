"""Data sets in archives: read as their folders are, and never written elsewhere."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from data_prep import open_source
from data_prep.archives import unpacked as archives
from data_prep.cli import main
from ssd_common.errors import CaffeError
from tests.data_prep.download.made import tar
from tests.data_prep.support import build, records
from tests.support import ROOT

CVAT = """<annotations><image id="0" name="0.jpg" width="64" height="48">
<box label="cat" xtl="4" ytl="5" xbr="20" ybr="25"/></image></annotations>"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def zipped(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def contents_of(folder: Path, before: str = "") -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {before + path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar", "bztar", "xztar"])
@pytest.mark.parametrize("inner", [".", "voc"])
def test_an_archive_is_read_as_its_folder(
    folder: Path, out: Path, tmp_path: Path, kind: str, inner: str
) -> None:
    root = folder
    if inner != ".":
        root = folder.parent
    path = Path(shutil.make_archive(str(tmp_path / "packed"), kind, root, inner))
    assert build(path, out) == build(folder, tmp_path / "whole/lmdb")
    assert out.with_name("train.txt").read_text().startswith("JPEGImages/0.jpg Annotations/0.xml")


def test_lists_in_an_archive(folder: Path, out: Path, tmp_path: Path) -> None:
    (folder / "ImageSets/Main").mkdir(parents=True)
    (folder / "ImageSets/Main/few.txt").write_text("1\n")
    path = zipped(tmp_path / "a.ZIP", contents_of(folder, "VOC2007/"))
    assert len(build(path, out, "--list", "few", "--confine")) == 1


def test_the_kind_of_an_archive_is_guessed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = zipped(tmp_path / "a.zip", contents_of(folder))
    main(["check", str(path)])
    said = capsys.readouterr()
    assert said.out.startswith(f"{path} looks like voc, ")
    assert said.err.count(" is read from ") == 1
    with pytest.raises(CaffeError, match=f"looks like.*: data_prep voc {path}"):
        main(["check", "yolo", str(path)])
    place = tmp_path / "downloads"
    place.mkdir()
    path.rename(place / "a.zip")
    with pytest.raises(CaffeError, match=f"a.zip in it can be read: data_prep check {place}/a.zip"):
        main(["check", str(place)])
    (tmp_path / "a.rar").write_bytes(b"x")
    with pytest.raises(CaffeError, match=r"a\.rar: unpack it"):
        main(["check", str(tmp_path / "a.rar")])
    with pytest.raises(CaffeError, match=r"a\.rar: unpack it"):
        main(["check", "voc", str(tmp_path / "a.rar")])


def test_what_lies_beside_the_folder_of_an_archive(folder: Path, tmp_path: Path) -> None:
    texts = {name: b"" for name in ("README.roboflow.txt", "LICENSE", ".hidden")}
    path = zipped(tmp_path / "a.zip", contents_of(folder, "VOC2007/") | texts)
    assert open_source("voc", path).root.name == "VOC2007"
    path = zipped(tmp_path / "b.zip", contents_of(folder, "train/") | texts)
    assert open_source("voc", path).sets() == ["train"]


def test_what_was_unpacked_goes_with_its_process(
    folder: Path, temporary: Path, tmp_path: Path
) -> None:
    path = zipped(tmp_path / "a.zip", contents_of(folder))
    code = "import sys; from data_prep.cli import entry; sys.exit(entry())"
    argv = [sys.executable, "-c", code, "check", "voc", str(path)]
    env = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert "voc: 3 images; 3 objects: cat 3" in done.stdout
    assert f"data_prep: {path} is read from {temporary}/data_prep-archive-" in done.stderr
    assert list(temporary.glob("data_prep-archive-*")) == []


def test_an_archive_of_annotations_beside_the_images(
    jpeg: bytes, out: Path, tmp_path: Path
) -> None:
    """As CVAT exports them without images."""
    place = tmp_path / "mine"
    place.mkdir()
    (place / "0.jpg").write_bytes(jpeg)
    path = zipped(place / "annotations.zip", {"annotations.xml": CVAT.encode()})
    main(["cvat", str(path), "--out", str(out)])
    [key] = records(out)
    assert key.decode().endswith(f"{place}/0.jpg")


def test_an_archive_is_unpacked_once_while_it_stays_the_same(
    folder: Path, temporary: Path, tmp_path: Path
) -> None:
    path = zipped(tmp_path / "a.zip", contents_of(folder))
    for _ in range(2):
        assert len(open_source("voc", path).items()) == 3
    assert len(list(temporary.iterdir())) == 1
    (folder / "Annotations/0.xml").unlink()
    zipped(path, contents_of(folder))
    assert len(open_source("voc", path).items()) == 2


def test_what_killed_processes_left_goes(folder: Path, temporary: Path, tmp_path: Path) -> None:
    digits = archives.machine.signature().partition("-")[2]
    (temporary / f"data_prep-archive-{2**22 + 1}-{digits}-abc").mkdir()
    other = temporary / "data_prep-archive-1-00000000-abc"  # of another machine
    other.mkdir()
    open_source("voc", zipped(tmp_path / "a.zip", contents_of(folder)))
    assert len(list(temporary.iterdir())) == 2
    assert other.is_dir()


@pytest.mark.parametrize("name", ["../x.txt", "/x.txt", "a/../../x.txt", "a\\..\\..\\x.txt"])
@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_nothing_is_written_elsewhere(tmp_path: Path, name: str, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "zip":
        zipped(path, {name: b"bad"})
    else:
        path.write_bytes(tar(**{name: b"bad"}))
    with pytest.raises(CaffeError, match="would be written outside"):
        open_source("voc", path)
    assert list(tmp_path.rglob("x.txt")) == []


def test_links_are_refused(tmp_path: Path) -> None:
    about = tarfile.TarInfo("JPEGImages")
    about.type, about.linkname = tarfile.SYMTYPE, "/etc"
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(about)
    with pytest.raises(CaffeError, match="'JPEGImages' in it is a link or device"):
        open_source("voc", tmp_path / "a.tar")


def test_archives_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "ALWAYS", 1 << 20)
    bomb = zipped(tmp_path / "bomb.zip", {"a.txt": bytes(20 << 20)})
    with pytest.raises(CaffeError, match=r"bomb\.zip: more than 2 MiB in it, too much"):
        open_source("voc", bomb)
    empty = zipped(tmp_path / "many.zip", {f"{i}.txt": b"" for i in range(10_000)})
    monkeypatch.setattr(archives, "MOST_TIMES", 1)
    with pytest.raises(CaffeError, match=r"many\.zip: more than .* in it, too much"):
        open_source("voc", empty)


def test_a_full_disk_is_told(
    folder: Path, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "a.zip", contents_of(folder))
    free = SimpleNamespace(free=archives.SPARE + 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(CaffeError) as error:
        open_source("voc", path)
    wanted = f"{path}: no room for it in {temporary} (TMPDIR=FOLDER takes another)"
    assert str(error.value) == wanted


def test_damaged_archives_and_other_kinds(folder: Path, tmp_path: Path) -> None:
    whole = zipped(tmp_path / "a.zip", contents_of(folder)).read_bytes()
    for name, data in (("b.zip", whole[:-100]), ("c.tar.gz", b"none"), ("d.tar", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CaffeError, match=rf"{name}: cannot be unpacked: "):
            open_source("voc", tmp_path / name)
    for name in ("a.rar", "a.7z", "a.json.gz"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(CaffeError, match=rf"{name}: unpack it, and give its folder"):
            open_source("coco", tmp_path / name)


def test_names_as_other_systems_write_them(jpeg: bytes, tmp_path: Path) -> None:
    """Backslashes of Windows, UTF-8 that does not say so, and macOS's own files."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        # ZipFile marks names beyond ASCII as UTF-8; these bytes it takes for letters of DOS.
        for name, content in (("images/caf\u00e9.jpg", jpeg), ("a.txt", b"")):
            archive.writestr(name, content)
        archive.writestr("annotations\\annotations.xml", CVAT.replace("0.jpg", "café.jpg"))
        archive.writestr("__MACOSX/._a.jpg", b"")
    plain = bytearray(data.getvalue())
    _drop_flags(plain)
    (tmp_path / "a.zip").write_bytes(plain)
    [item] = open_source("cvat", tmp_path / "a.zip").items()
    assert item[:2] == ("images/café.jpg", "annotations/annotations.xml")


def _drop_flags(archive: bytearray) -> None:
    """Unset the bit of every member's flags that says that its name is UTF-8."""
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = archive.find(mark)
        while place >= 0:
            archive[place + at + 1] &= ~0x08
            place = archive.find(mark, place + 4)
