"""Downloads from a server on this machine: whole, broken off, refused or altered."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from data_prep.cli import main
from data_prep.download import archives, fetch
from data_prep.download.archives import Archive
from ssd_common.errors import CaffeError
from ssd_common.locks import Busy
from tests.data_prep.download.made import tar
from tests.data_prep.support import refused
from tests.held import held

VOC = "VOCdevkit/VOC2007/ImageSets/Main/trainval.txt"


class Server(ThreadingHTTPServer):
    """Serves `data` as /set.tar.

    cuts: after how many bytes each of the next answers breaks off.
    ranges: whether the server knows ranges.
    """

    daemon_threads = True
    ranges = True
    status = 200
    tag = '"1"'

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.cuts: list[int] = []
        self.asked: list[str | None] = []  # the Range of each request
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers["Range"]
        server.asked.append(wanted)
        if server.status != 200:
            return self.send_error(server.status)
        first = 0
        size = len(server.data)
        if wanted and server.ranges and self.headers.get("If-Range", server.tag) == server.tag:
            first = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if first >= size:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(size - first))
        self.send_header("ETag", server.tag)
        self.end_headers()
        body = server.data[first:]
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)
        return None

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetch, "PAUSE", 0.0)
    noise = np.random.default_rng(0).bytes(300_000)
    with Server(
        tar(**{VOC: b"000005\n", "VOCdevkit/VOC2007/JPEGImages/000005.jpg": noise})
    ) as running:
        thread = threading.Thread(target=partial(running.serve_forever, poll_interval=0.01))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def archive(server: Server, monkeypatch: pytest.MonkeyPatch) -> Archive:
    md5 = hashlib.md5(server.data).hexdigest()
    made = Archive("set.tar", (f"{server.url}/set.tar",), len(server.data), f"md5:{md5}")
    monkeypatch.setitem(archives.SETS, "mine", (made,))  # type: ignore[arg-type]
    return made


def test_download_check_unpack_and_not_again(
    server: Server, archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for said in ("unpacked", "already unpacked"):
        main(["fetch", "mine", "--out", str(tmp_path)])
        assert capsys.readouterr().out == f"set.tar: {said} in {tmp_path}\n"
    assert (tmp_path / VOC).read_text() == "000005\n"
    assert server.asked == [None]
    assert sorted(p.name for p in tmp_path.iterdir()) == [fetch.STATE, "VOCdevkit"]


def test_what_breaks_off_goes_on(server: Server, archive: Archive, tmp_path: Path) -> None:
    # The last, unfinished 64 KiB of each cut are lost.
    server.cuts = [100_000, 80_000]
    assert fetch.fetch_archive(archive, tmp_path, keep=True)
    assert server.asked == [None, "bytes=65536-", "bytes=131072-"]
    assert (tmp_path / "set.tar").read_bytes() == server.data


def test_another_run_goes_on(
    server: Server, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "ATTEMPTS", 1)
    server.cuts = [200_000, 0]
    with pytest.raises(
        CaffeError, match=r"/set.tar: the connection broke off; run again to go on from 0\.2 MB"
    ):
        fetch.fetch_archive(archive, tmp_path)
    assert (tmp_path / "set.tar.part").stat().st_size == 3 << 16
    assert fetch.fetch_archive(archive, tmp_path)
    assert server.asked == [None, *["bytes=196608-"] * 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == [fetch.STATE, "VOCdevkit"]


def test_a_whole_part_is_not_asked_for_again(
    server: Server, archive: Archive, tmp_path: Path
) -> None:
    (tmp_path / "set.tar.part").write_bytes(server.data)  # killed before it was renamed
    assert fetch.fetch_archive(archive, tmp_path)
    assert server.asked == [f"bytes={len(server.data)}-"]


@pytest.mark.parametrize("known", [True, False])
def test_a_damaged_part_is_downloaded_anew(
    server: Server, archive: Archive, tmp_path: Path, known: bool
) -> None:
    """As after a power cut: its size is on the disk, its bytes are not.

    Without a checksum nothing would tell, and the part is not used.
    """
    (tmp_path / "set.tar.part").write_bytes(bytes(5000))
    if not known:
        archive = archive._replace(checksum=None)
    assert fetch.fetch_archive(archive, tmp_path, keep=True)
    assert (tmp_path / "set.tar").read_bytes() == server.data
    assert server.asked == (["bytes=5000-", None] if known else [None])


def test_a_part_longer_than_the_file(server: Server, archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "set.tar.part").write_bytes(server.data + b"more")
    assert fetch.fetch_archive(archive, tmp_path)
    assert server.asked == [f"bytes={len(server.data) + 4}-", None]


@pytest.mark.parametrize("change", ["ranges", "tag"])
def test_it_starts_anew_where_it_must(
    server: Server, archive: Archive, tmp_path: Path, change: str
) -> None:
    """The server knows no ranges, or its file changed since a part of it came."""
    (tmp_path / "set.tar.part").write_bytes(b"other" * 1000)
    (tmp_path / "set.tar.part.tag").write_text('"0"' if change == "tag" else server.tag)
    server.ranges = change != "ranges"
    assert fetch.fetch_archive(archive, tmp_path)
    assert server.asked == ["bytes=5000-"]


def test_wrong_checksum(
    server: Server, archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.data = server.data[:-1] + b"!"
    with pytest.raises(CaffeError) as error:
        fetch.fetch_archive(archive, tmp_path)
    assert str(error.value) == (
        f"{server.url}/set.tar: not the file that it should be ({archive.checksum}); it was removed"
    )
    assert [p.name for p in tmp_path.iterdir()] == [fetch.STATE]


def test_a_file_of_the_users_is_checked_and_kept(
    server: Server, archive: Archive, tmp_path: Path
) -> None:
    (tmp_path / "set.tar").write_bytes(server.data[:1000])
    with pytest.raises(
        CaffeError,
        match=r"set\.tar: its md5 is \w+, but should be \w+: cut short, or another file; remove it",
    ):
        fetch.fetch_archive(archive, tmp_path)
    (tmp_path / "set.tar").write_bytes(server.data)
    assert fetch.fetch_archive(archive, tmp_path)
    assert server.asked == []


def test_unpublished_checksums_are_recorded(
    server: Server, archive: Archive, tmp_path: Path
) -> None:
    unknown = archive._replace(checksum=None)
    assert fetch.fetch_archive(unknown, tmp_path)
    recorded = (tmp_path / fetch.STATE / "set.tar.sha256").read_text()
    assert recorded == f"sha256:{hashlib.sha256(server.data).hexdigest()}\n"
    (tmp_path / fetch.STATE / "set.tar.done").unlink()
    server.data += b"more"
    with pytest.raises(CaffeError, match="not the file that it should be"):
        fetch.fetch_archive(unknown, tmp_path)


def test_the_next_address_is_tried(server: Server, archive: Archive, tmp_path: Path) -> None:
    assert fetch.fetch_archive(
        archive._replace(urls=("http://127.0.0.1:9/set.tar", *archive.urls)), tmp_path
    )


@pytest.mark.parametrize(
    ("status", "said"),
    [(404, "the server says 404 Not Found"), (503, "the server says 503 Service Unavailable")],
)
def test_what_the_server_says(
    server: Server, archive: Archive, tmp_path: Path, status: int, said: str
) -> None:
    server.status = status
    with pytest.raises(CaffeError, match=f"set.tar: {said}"):
        fetch.fetch_archive(archive, tmp_path)


def test_without_a_network_it_says_how(
    archive: Archive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dead = archive._replace(urls=("http://127.0.0.1:9/set.tar",))
    monkeypatch.setitem(archives.SETS, "mine", (dead,))  # type: ignore[arg-type]
    with pytest.raises(CaffeError, match=r"set\.tar: connection refused"):
        main(["fetch", "mine", "--out", str(tmp_path)])
    assert capsys.readouterr().err.splitlines() == [
        "by hand:",
        f"set.tar, {archive.size:,} bytes, {str(archive.checksum).replace(':', ' ')}",
        "  from http://127.0.0.1:9/set.tar",
        f"  to   {tmp_path}/set.tar",
        "then run this again",
    ]


def test_mirror_and_manual(
    server: Server, archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["fetch", "mine", "--out", str(tmp_path), "--manual"])
    assert f"from {server.url}/set.tar" in capsys.readouterr().out
    assert fetch.fetch_archive(archive._replace(urls=()), tmp_path, mirror=f"{server.url}/")


def test_no_room(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(
        CaffeError, match=r"GB free, but set.tar needs 2000000\.0 GB to be unpacked, too"
    ):
        fetch.fetch_archive(archive._replace(size=10**15), tmp_path)


def test_full_disk(
    server: Server, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = tmp_path / "set.tar.part"
    part.symlink_to("/dev/full")
    with pytest.raises(CaffeError) as error:
        fetch.fetch_archive(archive, tmp_path)
    assert str(error.value) == f"{part}: cannot write: No space left on device"
    part.unlink()

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfileobj", refuse)
        with pytest.raises(CaffeError) as error:
            fetch.fetch_archive(archive, tmp_path)
    assert str(error.value) == f"{tmp_path}: cannot unpack set.tar: No space left on device"
    assert sorted(p.name for p in tmp_path.iterdir()) == [fetch.STATE, "set.tar"]
    asked = len(server.asked)
    # Unpacked from its start, but not downloaded again.
    assert fetch.fetch_archive(archive, tmp_path)
    assert len(server.asked) == asked


def test_two_at_once(archive: Archive, tmp_path: Path) -> None:
    """The second neither downloads nor unpacks what the first does."""
    with held(tmp_path, "set.tar") as first:
        said = f"^{tmp_path}/set.tar: process {first.pid} is writing there"
        with pytest.raises(Busy, match=said):
            fetch.fetch_archive(archive, tmp_path)
        assert list(tmp_path.iterdir()) == [tmp_path / ".set.tar.lock"]
    assert fetch.fetch_archive(archive, tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith((".lock", ".tmp"))]


def test_what_a_killed_fetch_left_goes(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / ".set.tar.unpacked.tmp").mkdir()
    (tmp_path / ".set.tar.unpacked.tmp/half").touch()
    assert fetch.fetch_archive(archive, tmp_path)
    assert not list(tmp_path.glob(".set*"))


def test_unknown_sets(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        refused(capsys, "fetch", "voc2070", status=2)
        == "no data set 'voc2070' (did you mean 'voc2007'?); see data_prep fetch --help"
    )
    assert refused(capsys, "fetch", "ilsvrc").startswith(
        "ilsvrc is to be had after registering only: https://image-net.org/"
    )


def test_every_set_has_addresses_and_checksums() -> None:
    lengths = {"md5": 32, "sha256": 64}
    for archive in {a for sets in archives.SETS.values() for a in sets}:
        assert all(
            url.startswith("http") and url.endswith(f"/{archive.file}") for url in archive.urls
        )
        if archive.checksum:
            algorithm, _, digest = archive.checksum.partition(":")
            assert len(bytes.fromhex(digest)) * 2 == lengths[algorithm]
            assert archive.size > 0
