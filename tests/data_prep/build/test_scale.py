"""Builds of many images write the same bytes, whoever does the work."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import pytest

from caffe_ir.lmdb_reader import LmdbReader
from data_prep.build import workers
from tests.data_prep.build.many import contents, run
from tests.data_prep.support import records, refused
from tests.support import ROOT

RESIZED = ("--resize-width", 40, "--resize-height", 30)


@pytest.mark.parametrize("flags", [(), RESIZED])
def test_any_number_of_workers_writes_the_same_bytes(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[object, ...]
) -> None:
    alone = run(many, tmp_path / "one", "--workers", 1, *flags)
    monkeypatch.setattr(workers, "STARTING", -1e9)
    # A forkserver's workers do not see this process's COMMIT_RECORDS, nor need they:
    # only the parent commits.
    assert run(many, tmp_path / "three", "--workers", 3, *flags) == alone
    monkeypatch.setattr(workers, "BATCH_BYTES", 3000)
    assert run(many, tmp_path / "two", "--workers", 2, *flags) == alone


def test_a_few_that_resize_are_threads(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "STARTING", -1e9)
    started: list[int] = []
    monkeypatch.setattr(
        workers,
        "_processes",
        lambda workers: started.append(workers) or ThreadPoolExecutor(workers),
    )
    before = cv2.getNumThreads()
    few = run(many, tmp_path / "few", "--workers", workers.THREADS, *RESIZED)
    assert not started
    assert run(many, tmp_path / "many", "--workers", workers.THREADS + 1, *RESIZED) == few
    run(many, tmp_path / "copied", "--workers", 2)
    assert started == [workers.THREADS + 1, 2]
    assert cv2.getNumThreads() == before


def test_processes_start_where_they_save_more_than_they_cost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "_processes", ThreadPoolExecutor)

    def started(count: int, each: float, left: int, resizes: bool = False) -> bool:
        with workers.Workers(count, resizes=resizes) as these:
            these._start_pool(each, left)
            return these._pool is not None

    assert not started(2, each=1e-4, left=1_000_000), "sending takes longer than copying"
    assert started(8, each=5e-4, left=1_000_000)
    assert started(2, each=2e-3, left=2000)
    assert not started(2, each=2e-3, left=1000), "the start takes longer"
    assert not started(1, each=1, left=1000)
    assert started(2, each=2e-3, left=10, resizes=True)


def test_a_dask_cluster_writes_the_same_bytes(many: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="no Dask here")
    script = textwrap.dedent("""
        import sys
        from distributed import LocalCluster
        from data_prep.build import lmdb_writer
        from data_prep.cli import main
        if __name__ == "__main__":
            lmdb_writer.COMMIT_RECORDS = 10
            with LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
            ) as cluster:
                main([*sys.argv[1:], "--scheduler", cluster.scheduler_address])
    """)
    assert distributed
    file = tmp_path / "cluster.py"
    file.write_text(script)
    argv = [sys.executable, str(file), "voc", str(many), "--out", str(tmp_path / "dask/lmdb")]
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "dask") == run(many, tmp_path / "one")


def test_no_dask_cluster_there(
    many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ("voc", many, "--out", tmp_path / "out/lmdb", "--scheduler", "nonsense://here")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "distributed", None)
        assert refused(capsys, *argv) == "--scheduler needs Dask: pip install distributed"
    pytest.importorskip("distributed", reason="no Dask here")
    assert refused(capsys, *argv).startswith(
        "--scheduler nonsense://here: no Dask scheduler with workers there"
    )
    assert not (tmp_path / "out").exists()


def test_shards_are_one_data_set(
    many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(many, tmp_path / "one")
    whole = records(tmp_path / "one/lmdb")
    made = run(many, tmp_path / "four", "--shards", 4)
    names = [f"lmdb/shard-{i:05d}-of-00004/data.mdb" for i in range(4)]
    assert list(made) == ["labelmap.prototxt", "list.txt", *names, "name_size.txt"]
    assert [len(records(tmp_path / "four" / name.removesuffix("/data.mdb"))) for name in names] == [
        15
    ] * 4, "Caffe reads each"
    reader = LmdbReader(tmp_path / "four/lmdb")
    assert {key: reader.value(i) for i, key in enumerate(reader.keys)} == whole
    assert (
        refused(capsys, "voc", many, "--out", tmp_path / "four/lmdb")
        == f"{tmp_path}/four/lmdb: already there (--overwrite replaces it)"
    )
    run(many, tmp_path / "four", "--overwrite")
    assert records(tmp_path / "four/lmdb") == whole
