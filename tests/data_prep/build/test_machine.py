"""Builds on a machine that refuses: no room, no right to write, files and workers that vanish."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from data_prep.build import dataset, lmdb_writer, workers
from data_prep.cli import main
from ssd_common.command import run_command
from ssd_common.errors import CaffeError
from tests.data_prep.build.many import contents, run
from tests.data_prep.support import refused
from tests.support import ROOT


def test_a_full_disk(many: Path, tmp_path: Path) -> None:
    before = run(many, tmp_path / "out")
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000,) * 2); "
        "from data_prep.cli import entry; sys.exit(entry())"
    )
    argv = [
        sys.executable,
        "-c",
        script,
        "voc",
        many,
        "--out",
        tmp_path / "out/lmdb",
        "--overwrite",
        "--workers",
        "1",
    ]
    done = subprocess.run(
        [str(a) for a in argv], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"data_prep: error: {tmp_path}/out/lmdb: cannot write: ")
    assert contents(tmp_path / "out") == before


def test_a_disk_that_fills_keeps_what_is_done(many: Path, tmp_path: Path) -> None:
    """As after a kill, the same command goes on in the same folder, to the same bytes."""
    whole = run(many, tmp_path / "whole")
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (120_000,) * 2); "
        "from data_prep.build import lmdb_writer; lmdb_writer.COMMIT_RECORDS = 10; "
        "from data_prep.cli import entry; sys.exit(entry())"
    )
    out = tmp_path / "out/lmdb"
    argv = [sys.executable, "-c", script, "voc", str(many), "--out", str(out), "--workers", "1"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    kept, error = done.stderr.splitlines()
    assert re.fullmatch(
        rf"data_prep: {out}: [1-5]0 images are done; the same command goes on from there", kept
    )
    assert error.startswith(f"data_prep: error: {out}: cannot write: ")
    (left,) = out.parent.iterdir()
    started = left.stat().st_ino
    assert run(many, tmp_path / "out") == whole
    assert out.stat().st_ino == started


def test_a_full_disk_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LMDB's own word for it is "Input/output error"."""

    def no_room(**_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(*_: object) -> None:
        raise lmdb.DiskError("mdb_txn_commit: Input/output error")

    writer = lmdb_writer.LmdbWriter(tmp_path / "lmdb", Path("named"))
    writer.put(b"key", b"value")
    monkeypatch.setattr(lmdb_writer.LmdbWriter, "_append", refuse)
    with pytest.raises(CaffeError, match=r"^named: cannot write: .*Input/output error$"):
        writer.commit()
    monkeypatch.setattr("tempfile.TemporaryFile", no_room)
    with pytest.raises(CaffeError, match=r"^named: cannot write: No space left on device$"):
        writer.commit()


@pytest.mark.parametrize("out", ["/proc/lmdb", "/dev/null/lmdb"])
def test_a_target_that_cannot_be_written(
    many: Path, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    said = refused(capsys, "voc", many, "--out", out)
    assert said.startswith(os.path.dirname(out))
    assert said.rpartition(": ")[2] in (
        "No such file or directory",
        "Not a directory",
        "Permission denied",
        "File exists",
    )


def test_a_source_file_that_vanishes(
    many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run(many, tmp_path / "out")
    put = lmdb_writer.LmdbWriter.put

    def vanish(self: lmdb_writer.LmdbWriter, key: bytes, value: bytes) -> None:
        (many / "JPEGImages/9.jpg").unlink(missing_ok=True)  # the last by name
        put(self, key, value)

    monkeypatch.setattr(lmdb_writer.LmdbWriter, "put", vanish)
    flags = ("--labelmap", tmp_path / "out/labelmap.prototxt", "--overwrite", "--workers", 1)
    argv = ("voc", many, "--out", tmp_path / "out/lmdb", *flags)
    assert refused(capsys, *argv) == f"{many}/JPEGImages/9.jpg: no such image"
    assert contents(tmp_path / "out") == before


def test_a_worker_that_is_killed(
    many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "STARTING", -1e9)
    monkeypatch.setattr(dataset, "convert", _end)
    assert (
        run_command(
            "data_prep",
            main,
            ["voc", str(many), "--out", str(tmp_path / "out/lmdb"), "--workers", "2"],
        )
        == 1
    )
    assert capsys.readouterr().err == (
        "data_prep: error: a worker process was killed (too little memory? fewer --workers "
        "need less)\n"
    )
    assert not (tmp_path / "out").exists()


def _end(*_: object) -> None:
    os._exit(9)


def test_a_failed_rebuild_leaves_the_whole_data_set(
    many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (many / "list.txt").write_text("1\n2\n3\n")
    argv = [
        "voc",
        str(many),
        "--train-list",
        "list.txt",
        "--test-list",
        "list.txt",
        "--out",
        str(tmp_path / "out"),
    ]
    main(argv)
    before = contents(tmp_path / "out")
    assert "dataset.json" in before
    (many / "JPEGImages/2.jpg").unlink()
    assert run_command("data_prep", main, [*argv, "--overwrite"]) == 1
    assert contents(tmp_path / "out") == before
    assert "nothing was written" in capsys.readouterr().err
