"""Scenarios of data_prep: an LMDB, a data set in place of another, and a download."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np

from tests.data_prep.download.made import tar
from tests.data_prep.support import voc_folder
from tests.faults import trees
from tests.faults.disk import Tree
from tests.faults.runs import Runner
from tests.faults.scenario import Scenario

_JOURNAL = r"/journal$"  # in a finished LMDB until all that belong with it are there
_DATASET = ("data_prep", "voc", "voc", "--out", "out", "--test-share", "0.5", "--workers", "1")
_ARCHIVE = tar(**{"VOC/a.txt": b"a" * 300, "VOC/in/b.txt": b"b" * 100})


def one_lmdb(_: Runner) -> Scenario:
    """An LMDB of two commits, and the files beside it."""
    argv = ("data_prep", "voc", "voc", "--out", "out/lmdb", "--workers", "1")
    return Scenario(argv, _photographs(3), ("small_commits",), extra=_JOURNAL)


def exported(runner: Runner) -> Scenario:
    """The images and annotations of an LMDB."""
    argv = ("data_prep", "voc", "voc", "--out", "out/lmdb", "--workers", "1")
    before = runner.after(argv, _photographs(2))
    return Scenario(("data_prep", "export", "out/lmdb", "--out", "mine/voc"), before)


def replaced_dataset(runner: Runner) -> Scenario:
    """Two LMDBs and dataset.json, in place of others."""
    before = runner.after(_DATASET, _photographs(2))
    argv = (*_DATASET, "--gray", "--overwrite")

    def faults(tree: Tree) -> list[str]:
        """Say where dataset.json does not belong with an LMDB."""
        lmdb = tree.get("out/train_lmdb/data.mdb")
        old = lmdb == before["out/train_lmdb/data.mdb"]
        test = tree.get("out/test_lmdb/data.mdb") == before["out/test_lmdb/data.mdb"]
        if "out/dataset.json" in tree and old != test:
            return ["dataset.json is beside one LMDB of the old and one of the new data"]
        return []

    return Scenario(
        argv,
        before,
        ("small_commits",),
        extra=_JOURNAL,
        removes=r"dataset\.json$",
        faults=faults,
        since="out/dataset.json",
    )


def _photographs(count: int) -> Tree:
    """Return a VOC-style folder of a few small photographs."""
    with tempfile.TemporaryDirectory() as folder:
        root = voc_folder(Path(folder) / "voc", b"", count)
        for i in range(count):
            pixels = np.full((48, 64, 3), 20 * i, np.uint8)
            data = cv2.imencode(".jpg", pixels)[1].tobytes()
            (root / f"JPEGImages/{i}.jpg").write_bytes(data)
        return trees.read(Path(folder))


class _Handler(BaseHTTPRequestHandler):
    """Gives the archive, whatever the address."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(_ARCHIVE)))
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(_ARCHIVE)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def fetched() -> Iterator[Scenario]:
    """A download of an archive with two files, while the scenario is in use."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        mirror = f"http://127.0.0.1:{server.server_address[1]}"
        argv = ("data_prep", "fetch", "tiny", "--out", "sets", "--mirror", mirror)
        yield Scenario(
            argv,
            {},
            ("small_archive",),
            extra=r"^sets/set\.tar(\.part(\.tag)?)?$",
        )
        server.shutdown()
        thread.join()
