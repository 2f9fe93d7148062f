"""Two builds of one LMDB at a time, and what a killed one leaves beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from data_prep.build.resumable_folder import JOURNAL
from tests.data_prep.build.many import run
from tests.data_prep.build.test_killed import DYING, killed
from tests.data_prep.support import refused
from tests.support import ROOT

# A build whose process is killed when it has written a file of this name, but not renamed it.
UNFINISHED = """import os, signal, sys
from pathlib import Path
from data_prep.build import lmdb_writer
from data_prep.cli import entry
lmdb_writer.COMMIT_RECORDS = 10
name, *sys.argv[1:] = sys.argv[1:]
whole = Path.replace
def replace(self, target):
    if Path(target).name == name:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, target)
Path.replace = replace
sys.exit(entry())
"""
WITH_PROCESSES = "from data_prep.build import workers; workers.STARTING = -1e9\n"


def command(script: str, *argv: object) -> list[str]:
    return [sys.executable, "-c", script, *map(str, argv)]


@contextmanager
def stopped(*flags: object) -> Iterator[subprocess.Popen[bytes]]:
    """A build that has stopped in its midst, as Ctrl-Z stops it; it ends with the block."""
    at = ("writer", "put", 35, int(signal.SIGSTOP))
    build = subprocess.Popen(command(DYING, *at, *flags), cwd=ROOT)
    try:
        assert os.WIFSTOPPED(os.waitpid(build.pid, os.WUNTRACED)[1])
        yield build
    finally:
        build.kill()
        build.wait()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_build_is_refused_and_the_first_goes_on(
    many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], overwrite: bool
) -> None:
    run(many, tmp_path / "whole")
    out = tmp_path / "out/lmdb"
    flags: list[object] = ["--out", out, "--workers", 1]
    if overwrite:
        run(many, tmp_path / "out")
        flags.append("--overwrite")
    at = ("writer", "put", 35, int(signal.SIGSTOP))
    with subprocess.Popen(command(DYING, *at, "voc", many, *flags), cwd=ROOT) as first:
        assert os.WIFSTOPPED(os.waitpid(first.pid, os.WUNTRACED)[1])
        said = (
            f"{out}: process {first.pid} is writing there; wait until it ends, or write elsewhere"
        )
        capsys.readouterr()
        assert refused(capsys, "voc", many, *flags) == said
        assert refused(capsys, "voc", many, *flags, "--gray") == said
        first.send_signal(signal.SIGCONT)
        assert first.wait() == 0
    names = sorted(path.name for path in out.parent.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert (out / "data.mdb").read_bytes() == (tmp_path / "whole/lmdb/data.mdb").read_bytes()
    assert not (out / JOURNAL).exists()


def test_builds_of_two_lmdbs_in_one_folder_do_not_meet(many: Path, tmp_path: Path) -> None:
    with stopped("voc", many, "--out", tmp_path / "out/other_lmdb", "--workers", 1) as first:
        found = run(many, tmp_path / "out")
        assert found.items() >= run(many, tmp_path / "whole").items()
        first.send_signal(signal.SIGCONT)
        assert first.wait() == 0


@pytest.mark.parametrize("name", ["list.txt", "labelmap.prototxt", "name_size.txt"])
def test_a_half_written_file_beside_the_lmdb_goes(many: Path, tmp_path: Path, name: str) -> None:
    whole = run(many, tmp_path / "whole")
    flags = ("voc", many, "--out", tmp_path / "out/lmdb", "--workers", 1)
    done = subprocess.run(command(UNFINISHED, name, *flags), cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert list((tmp_path / "out").glob(f".{name}.*.tmp"))
    assert run(many, tmp_path / "out") == whole
    assert not list((tmp_path / "out").glob(".*"))


def test_folders_of_killed_workers_go(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "pymp-another").mkdir()
    flags = ("voc", many, "--out", tmp_path / "lmdb", "--workers", 2)
    at = ("folder", "_commit", 1, int(signal.SIGKILL))
    done = subprocess.run(command(WITH_PROCESSES + DYING, *at, *flags), cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob("pymp-*"))) == 2
    script = f"import sys\nfrom data_prep.cli import entry\n{WITH_PROCESSES}sys.exit(entry())"
    subprocess.run(command(script, *flags), cwd=ROOT, check=True)
    assert list(tmp_path.glob("pymp-*")) == [tmp_path / "pymp-another"]


def test_a_build_that_fails_leaves_no_folder(
    many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (many / "JPEGImages/4.jpg").write_bytes(b"")
    refused(capsys, "voc", many, "--out", tmp_path / "out/lmdb")
    assert not (tmp_path / "out").exists()
    killed(many, tmp_path / "out", "writer put 2", signal.SIGKILL)
    refused(capsys, "voc", many, "--out", tmp_path / "out/lmdb")
    assert not list((tmp_path / "out").glob(".*.lock"))
