"""Builds that were killed go on where they stopped, and end with the same bytes.

Nothing half-built ever has a final name.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from data_prep.build.resumable_folder import JOURNAL
from tests.data_prep.build.many import COUNT, run
from tests.data_prep.support import XML, refused
from tests.support import ROOT

# A build whose process ends at once when WHAT has happened N times.
DYING = textwrap.dedent("""
    import os, signal, sys
    from data_prep.build import lmdb_writer, resumable_folder
    from data_prep.cli import entry
    cls, name, times, sent, *sys.argv[1:] = sys.argv[1:]
    lmdb_writer.COMMIT_RECORDS = 10
    owner = {"writer": lmdb_writer.LmdbWriter, "folder": resumable_folder.ResumableFolder}[cls]
    whole = getattr(owner, name)
    def dying(self, *args, **kwargs):
        global times
        times = int(times) - 1
        if not times:
            os.kill(os.getpid(), int(sent))
        return whole(self, *args, **kwargs)
    setattr(owner, name, dying)
    sys.exit(entry())
""")


def killed(
    root: Path, out: Path, at: str, sent: int = signal.SIGKILL, *more: object
) -> subprocess.CompletedProcess[str]:
    flags = (str(int(sent)), "voc", root, "--out", out / "lmdb", "--workers", "1", *more)
    argv = [sys.executable, "-c", DYING, *at.split(), *flags]
    return subprocess.run(
        [str(a) for a in argv], capture_output=True, text=True, check=False, cwd=ROOT
    )


@pytest.mark.parametrize(
    "at", ["writer put 35", "writer commit 3", "folder _commit 6", "folder __exit__ 1"]
)
def test_killed_and_run_again(
    many: Path, tmp_path: Path, at: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (many / "Annotations/3.xml").write_text(XML.format(name="cat").replace(">25<", ">99<"))
    whole = run(many, tmp_path / "whole")
    said = capsys.readouterr().err
    assert "outside the image" in said
    assert killed(many, tmp_path / "out", at).returncode == -signal.SIGKILL
    (left,) = (tmp_path / "out").glob("lmdb*")
    assert left.name.startswith("lmdb.tmp-"), "nothing under the final name"
    started = left.stat().st_ino
    again = run(many, tmp_path / "out")
    assert again == whole
    assert capsys.readouterr().err == said, "warnings of what the killed one had done are told, too"
    assert (tmp_path / "out/lmdb").stat().st_ino == started, "it went on in the same folder"


def test_killed_in_the_second_of_two_lmdbs(many: Path, tmp_path: Path) -> None:
    (many / "train.txt").write_text("".join(f"{i}\n" for i in range(40)))
    (many / "test.txt").write_text("".join(f"{i}\n" for i in range(40, COUNT)))
    lists: list[object] = ["--train-list", "train.txt", "--test-list", "test.txt", "--workers", 1]
    whole = run(many, tmp_path / "whole", *lists)
    assert (
        killed(many, tmp_path / "out", "writer put 55", signal.SIGKILL, *lists).returncode
        == -signal.SIGKILL
    )
    left = sorted(p.name.rpartition("-")[0] for p in (tmp_path / "out/lmdb").glob("t*"))
    assert left == ["test_lmdb.tmp", "train_lmdb.tmp"]
    assert run(many, tmp_path / "out", *lists) == whole


def test_killed_between_the_last_renames(
    many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists: list[object] = ["--test-share", 0.3, "--workers", 1]
    whole = run(many, tmp_path / "whole", *lists)
    assert (
        killed(many, tmp_path / "out", "folder __exit__ 2", signal.SIGKILL, *lists).returncode
        == -signal.SIGKILL
    )
    folder = tmp_path / "out/lmdb"
    assert [(folder / name).exists() for name in ("test_lmdb", "train_lmdb", "dataset.json")] == [
        True,
        False,
        False,
    ]
    started = (folder / "test_lmdb").stat().st_ino
    other = ("voc", many, "--out", folder, *lists, "--gray")
    assert refused(capsys, *other) == f"{folder}/test_lmdb: already there (--overwrite replaces it)"
    assert run(many, tmp_path / "out", *lists) == whole
    assert (folder / "test_lmdb").stat().st_ino == started
    assert (
        refused(capsys, "voc", many, "--out", folder, *lists)
        == f"{folder}/dataset.json: already there (--overwrite replaces it)"
    )


def test_killed_twice_then_shards(many: Path, tmp_path: Path) -> None:
    whole = run(many, tmp_path / "whole", "--shards", 4)
    killed(many, tmp_path / "out", "writer put 20", signal.SIGKILL, "--shards", "4")
    killed(many, tmp_path / "out", "writer put 20", signal.SIGKILL, "--shards", "4")
    assert run(many, tmp_path / "out", "--shards", 4) == whole


@pytest.mark.parametrize("change", ["options", "image", "annotation", "journal", "machine"])
def test_what_is_left_of_another_build_is_not_used(many: Path, tmp_path: Path, change: str) -> None:
    killed(many, tmp_path / "out", "writer put 55")
    (left,) = (tmp_path / "out").glob("lmdb*")
    more: list[object] = []
    if change == "options":
        more = ["--gray"]
    elif change == "image":
        (many / "JPEGImages/4.jpg").write_bytes((many / "JPEGImages/5.jpg").read_bytes())
    elif change == "annotation":
        (many / "Annotations/4.xml").write_text(XML.format(name="dog").replace(">25<", ">24<"))
    elif change == "journal":
        (left / JOURNAL).write_text((left / JOURNAL).read_text()[:300])
    else:  # it was started again since then: not all that was written is on the disk
        header, rest = (left / JOURNAL).read_text().split("\n", 1)
        (left / JOURNAL).write_text(
            json.dumps(json.loads(header) | {"boot": "another"}) + "\n" + rest
        )
    assert run(many, tmp_path / "out", *more) == run(many, tmp_path / "whole", *more)


def test_interrupted_builds_say_how_far_they_came(many: Path, tmp_path: Path) -> None:
    done = killed(many, tmp_path / "out", "writer put 35", signal.SIGINT)
    assert done.returncode == 130
    said = (
        f"data_prep: {tmp_path}/out/lmdb: 30 images are done; the same command goes on from there"
    )
    assert done.stderr.splitlines() == [said, "data_prep: interrupted"]
    assert run(many, tmp_path / "out") == run(many, tmp_path / "whole")
