"""Many images: the same bytes whoever does the work and however often it was killed; nothing half-built under a final name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_ir.lmdb_reader import LmdbReader
from data_prep.build import dataset, lmdb_writer, workers
from data_prep.build.resumable_folder import JOURNAL
from data_prep.cli import main
from ssd_common.command import run_command
from tests.data_prep.support import XML, records, refused, voc_folder
from tests.support import ROOT

COUNT, COMMIT = 60, 10


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 60 different images; LMDBs are written in commits of 10."""
    monkeypatch.setattr(lmdb_writer, "COMMIT_RECORDS", COMMIT)
    root = voc_folder(tmp_path / "voc", b"", COUNT)
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        pixels = cv2.resize(rng.integers(0, 256, (3 + i % 20, 4, 3), np.uint8), (64, 48))
        (root / f"JPEGImages/{i}.jpg").write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
        (root / f"Annotations/{i}.xml").write_text(XML.format(name=("cat", "dog")[i % 2]))
    return root


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def run(root: Path, out: Path, *more: object) -> dict[str, bytes]:
    """Every file that a build makes."""
    main([str(a) for a in ("voc", root, "--out", out / "lmdb", *more)])
    return contents(out)


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


def killed(root: Path, out: Path, at: str, sent: int = signal.SIGKILL, *more: object) -> subprocess.CompletedProcess[str]:
    flags = (str(int(sent)), "voc", root, "--out", out / "lmdb", "--workers", "1", *more)
    argv = [sys.executable, "-c", DYING, *at.split(), *flags]
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False, cwd=ROOT)


RESIZED = ("--resize-width", 40, "--resize-height", 30)


@pytest.mark.parametrize("flags", [(), RESIZED])
def test_any_number_of_workers_writes_the_same_bytes(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[object, ...]
) -> None:
    alone = run(many, tmp_path / "one", "--workers", 1, *flags)
    monkeypatch.setattr(workers, "FEW", 0)
    # A forkserver's workers do not see this process's COMMIT_RECORDS, nor need they: commits are the parent's.
    assert run(many, tmp_path / "three", "--workers", 3, *flags) == alone
    monkeypatch.setattr(workers, "BATCH_BYTES", 3000)
    assert run(many, tmp_path / "two", "--workers", 2, *flags) == alone


def test_a_few_that_resize_are_threads(many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "FEW", 0)
    started: list[int] = []
    monkeypatch.setattr(workers, "_processes", lambda workers: started.append(workers) or ThreadPoolExecutor(workers))
    before = cv2.getNumThreads()
    few = run(many, tmp_path / "few", "--workers", workers.THREADS, *RESIZED)
    assert not started
    assert run(many, tmp_path / "many", "--workers", workers.THREADS + 1, *RESIZED) == few
    run(many, tmp_path / "copied", "--workers", 2)
    assert started == [workers.THREADS + 1, 2]
    assert cv2.getNumThreads() == before


def test_a_dask_cluster_writes_the_same_bytes(many: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="no Dask here")
    script = textwrap.dedent("""
        import sys
        from distributed import LocalCluster
        from data_prep.build import lmdb_writer
        from data_prep.cli import main
        if __name__ == "__main__":
            lmdb_writer.COMMIT_RECORDS = 10
            with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
                main([*sys.argv[1:], "--scheduler", cluster.scheduler_address])
    """)
    assert distributed
    file = tmp_path / "cluster.py"
    file.write_text(script)
    argv = [sys.executable, str(file), "voc", str(many), "--out", str(tmp_path / "dask/lmdb")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "dask") == run(many, tmp_path / "one")


def test_no_dask_cluster_there(many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    argv = ("voc", many, "--out", tmp_path / "out/lmdb", "--scheduler", "nonsense://here")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "distributed", None)
        assert refused(capsys, *argv) == "--scheduler needs Dask: pip install distributed"
    pytest.importorskip("distributed", reason="no Dask here")
    assert refused(capsys, *argv).startswith("--scheduler nonsense://here: no Dask scheduler with workers there")
    assert not (tmp_path / "out").exists()


# ---- Killed and gone on with


@pytest.mark.parametrize("at", ["writer put 35", "writer commit 3", "folder _commit 6", "folder __exit__ 1"])
def test_killed_and_run_again(many: Path, tmp_path: Path, at: str, capsys: pytest.CaptureFixture[str]) -> None:
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
    assert killed(many, tmp_path / "out", "writer put 55", signal.SIGKILL, *lists).returncode == -signal.SIGKILL
    left = sorted(p.name.rpartition("-")[0] for p in (tmp_path / "out/lmdb").iterdir())
    assert left == ["test_lmdb.tmp", "train_lmdb.tmp"]
    assert run(many, tmp_path / "out", *lists) == whole


def test_killed_between_the_last_renames(many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lists: list[object] = ["--test-share", 0.3, "--workers", 1]
    whole = run(many, tmp_path / "whole", *lists)
    assert killed(many, tmp_path / "out", "folder __exit__ 2", signal.SIGKILL, *lists).returncode == -signal.SIGKILL
    folder = tmp_path / "out/lmdb"
    assert [(folder / name).exists() for name in ("test_lmdb", "train_lmdb", "dataset.json")] == [True, False, False]
    started = (folder / "test_lmdb").stat().st_ino
    other = ("voc", many, "--out", folder, *lists, "--gray")
    assert refused(capsys, *other) == f"{folder}/test_lmdb: already there (--overwrite replaces it)"
    assert run(many, tmp_path / "out", *lists) == whole
    assert (folder / "test_lmdb").stat().st_ino == started
    assert refused(capsys, "voc", many, "--out", folder, *lists) == f"{folder}/dataset.json: already there (--overwrite replaces it)"


def test_killed_twice_then_shards(many: Path, tmp_path: Path) -> None:
    whole = run(many, tmp_path / "whole", "--shards", 4)
    killed(many, tmp_path / "out", "writer put 20", signal.SIGKILL, "--shards", "4")
    killed(many, tmp_path / "out", "writer put 20", signal.SIGKILL, "--shards", "4")
    assert run(many, tmp_path / "out", "--shards", 4) == whole


@pytest.mark.parametrize("change", ["options", "image", "annotation", "journal", "machine"])
def test_what_is_left_of_another_build_is_not_used(many: Path, tmp_path: Path, change: str) -> None:
    killed(many, tmp_path / "out", "writer put 55")
    (left,) = (tmp_path / "out").iterdir()
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
        (left / JOURNAL).write_text(json.dumps(json.loads(header) | {"boot": "another"}) + "\n" + rest)
    assert run(many, tmp_path / "out", *more) == run(many, tmp_path / "whole", *more)


def test_interrupted_builds_say_how_far_they_came(many: Path, tmp_path: Path) -> None:
    done = killed(many, tmp_path / "out", "writer put 35", signal.SIGINT)
    assert done.returncode == 130
    said = f"data_prep: {tmp_path}/out/lmdb: 30 images are done; the same command goes on from there"
    assert done.stderr.splitlines() == [said, "data_prep: interrupted"]
    assert run(many, tmp_path / "out") == run(many, tmp_path / "whole")


# ---- What the machine refuses


def test_a_full_disk(many: Path, tmp_path: Path) -> None:
    before = run(many, tmp_path / "out")
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000,) * 2); from data_prep.cli import entry; sys.exit(entry())"
    )
    argv = [sys.executable, "-c", script, "voc", many, "--out", tmp_path / "out/lmdb", "--overwrite", "--workers", "1"]
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"data_prep: error: {tmp_path}/out/lmdb: cannot write: ")
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("out", ["/proc/lmdb", "/dev/null/lmdb"])
def test_a_target_that_cannot_be_written(many: Path, capsys: pytest.CaptureFixture[str], out: str) -> None:
    said = refused(capsys, "voc", many, "--out", out)
    assert said.startswith(os.path.dirname(out))
    assert said.rpartition(": ")[2] in ("No such file or directory", "Not a directory", "Permission denied", "File exists")


def test_a_source_file_that_vanishes(
    many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run(many, tmp_path / "out")
    put = lmdb_writer.LmdbWriter.put

    def vanish(self: lmdb_writer.LmdbWriter, key: bytes, value: bytes) -> None:
        (many / "JPEGImages/9.jpg").unlink(missing_ok=True)  # the last by name
        put(self, key, value)

    monkeypatch.setattr(lmdb_writer.LmdbWriter, "put", vanish)
    argv = ("voc", many, "--out", tmp_path / "out/lmdb", "--overwrite", "--workers", 1)
    assert refused(capsys, *argv) == f"{many}/JPEGImages/9.jpg: no such image"
    assert contents(tmp_path / "out") == before


def test_a_worker_that_is_killed(many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "FEW", 0)
    monkeypatch.setattr(dataset, "convert", _end)
    assert run_command("data_prep", main, ["voc", str(many), "--out", str(tmp_path / "out/lmdb"), "--workers", "2"]) == 1
    assert capsys.readouterr().err == "data_prep: error: a worker process was killed (too little memory? fewer --workers need less)\n"
    assert not (tmp_path / "out").exists()


def _end(*_: object) -> None:
    os._exit(9)


def test_a_failed_rebuild_leaves_the_whole_data_set(many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (many / "list.txt").write_text("1\n2\n3\n")
    argv = ["voc", str(many), "--train-list", "list.txt", "--test-list", "list.txt", "--out", str(tmp_path / "out")]
    main(argv)
    before = contents(tmp_path / "out")
    assert "dataset.json" in before
    (many / "JPEGImages/2.jpg").unlink()
    assert run_command("data_prep", main, [*argv, "--overwrite"]) == 1
    assert contents(tmp_path / "out") == before
    assert "nothing was written" in capsys.readouterr().err


# ---- Shards


def test_shards_are_one_data_set(many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(many, tmp_path / "one")
    whole = records(tmp_path / "one/lmdb")
    made = run(many, tmp_path / "four", "--shards", 4)
    names = [f"lmdb/shard-{i:05d}-of-00004/data.mdb" for i in range(4)]
    assert list(made) == ["labelmap.prototxt", "list.txt", *names, "name_size.txt"]
    assert [len(records(tmp_path / "four" / name.removesuffix("/data.mdb"))) for name in names] == [15] * 4, "Caffe reads each"
    reader = LmdbReader(tmp_path / "four/lmdb")
    assert {key: reader.value(i) for i, key in enumerate(reader.keys)} == whole
    assert refused(capsys, "voc", many, "--out", tmp_path / "four/lmdb") == f"{tmp_path}/four/lmdb: already there (--overwrite replaces it)"
    run(many, tmp_path / "four", "--overwrite")
    assert records(tmp_path / "four/lmdb") == whole
