"""Downloads a public data set.

An interrupted download goes on where it stopped, checksums decide whether a file is whole, and an
archive cannot write outside its folder.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pooch
import requests
from tqdm import tqdm

from data_prep.download.archives import Archive, archives_of
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike, write_atomic

# Below the set's folder: what has been unpacked, and checksums that nobody published.
STATE = ".data_prep_fetch"
CHUNK = 1 << 16  # bytes; what came of one when the connection breaks off is lost
ATTEMPTS, PAUSE = 5, 2.0  # tries that bring nothing before it gives up; seconds before the next, doubled each time
TIMEOUT = 30.0  # seconds without a byte
pooch.get_logger().setLevel("ERROR")


class Interrupted(CaffeError):
    """A download that may go on another time."""


class NotFetched(CaffeError):
    """Archives that cannot be had. archives: which; every one has its own reason in the message."""

    def __init__(self, archives: list[Archive], errors: list[CaffeError]) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.archives = archives


def fetch(
    *names: str,
    out: PathLike = ".",
    mirror: str | None = None,
    keep: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Download public data sets, check their archives and unpack them.

    What broke off goes on where it stopped.

    names: "voc0712", "voc0712pp", "voc2007", "voc2012", "coco2014", "coco2017", …, see
      data_prep.download.archives
    out: folder to unpack in; an archive that lies there already is taken
    mirror: a server that has the archives under MIRROR/NAME
    keep: keep the archives
    tell: is called with a line about every archive that is unpacked
    Raises NotFetched for archives that cannot be had, once all others are there, and CaffeError for
      names that do not exist.
    """
    folder = Path(out)
    missing, errors = list[Archive](), list[CaffeError]()
    for archive in archives_of(names):
        try:
            done = fetch_archive(archive, folder, mirror, keep)
        except CaffeError as error:
            missing.append(archive)
            errors.append(error)
            continue
        tell(f"{archive.file}: {'unpacked in' if done else 'already unpacked in'} {folder}")
    if missing:
        raise NotFetched(missing, errors)


def fetch_archive(
    archive: Archive, folder: Path, mirror: str | None = None, keep: bool = False
) -> bool:
    """Download and unpack an archive below folder; False if that was done before.

    mirror: an address that has the file instead
    keep: the archive stays. An archive that lies in folder already is taken.
    Raises CaffeError, which says what is wrong with it or that it cannot be had.
    """
    state = folder / STATE
    done = state / f"{archive.file}.done"
    if done.is_file():
        return False
    state.mkdir(parents=True, exist_ok=True)
    path, recorded = folder / archive.file, state / f"{archive.file}.sha256"
    checksum = archive.checksum
    if not checksum and recorded.is_file():
        checksum = recorded.read_text(encoding="utf-8").strip()
    if not path.is_file():
        urls = [f"{mirror.rstrip('/')}/{archive.file}"] if mirror else list(archive.urls)
        _download(archive, checksum, path, urls)
    elif wrong := _differs(path, checksum):
        raise CaffeError(f"{path}: {wrong}; remove it, and it is downloaded")
    if not archive.checksum and not recorded.is_file():
        write_atomic(recorded, f"sha256:{pooch.file_hash(str(path), 'sha256')}\n")
    unpack(path, folder / archive.into, flat=archive.flat)
    write_atomic(done, "")
    if not keep:
        path.unlink()
    return True


def manual(archive: Archive, folder: Path) -> str:
    """How to get an archive by hand."""
    places = list(archive.urls)
    if archive.page:
        places.append(f"{archive.page} (after registering)")
    words = [archive.file]
    if archive.size:
        words.append(f"{archive.size:,} bytes")
    words.append((archive.checksum or "checksum not published").replace(":", " "))
    path = (folder / archive.file).absolute()
    return f"{', '.join(words)}\n  from {' or '.join(places)}\n  to   {path}"


def _differs(path: Path, checksum: str | None) -> str | None:
    if checksum is None:
        return None
    algorithm, _, expected = checksum.partition(":")
    found = pooch.file_hash(str(path), algorithm)
    if found == expected:
        return None
    return f"its {algorithm} is {found}, but should be {expected}: cut short, or another file"


def _download(archive: Archive, checksum: str | None, path: Path, urls: list[str]) -> None:
    """Download to path, from the first of urls that has it."""
    said = f"{archive.file}: not to be had without registering"
    for url in urls:
        try:
            pooch.retrieve(url, checksum, fname=path.name, path=str(path.parent), downloader=Resuming(path, archive.size))
            return
        except Interrupted as error:
            said = str(error)
        except ValueError:  # pooch: another checksum
            said = f"{url}: not the file that it should be ({checksum}); it was removed"
    raise CaffeError(said)


class Resuming:
    """A downloader for pooch that goes on where an earlier one stopped.

    It keeps what it has in `path.part`, with the server's tag of it beside.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.part, self.tag, self.size = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.tag"), size

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        with self.part.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise CaffeError(f"{self.part}: another fetch is writing it") from None
            self._room(file.tell())
            idle = 0
            while True:
                have = file.tell()
                try:
                    self._go_on(url, file)
                    break
                except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                    idle = 0 if file.tell() > have else idle + 1
                    if idle == ATTEMPTS or not file.tell():
                        again = f"; run again to go on from {file.tell() / 1e6:.1f} MB" if file.tell() else ""
                        raise Interrupted(f"{url}: {_plain(error)}{again}") from None
                    time.sleep(PAUSE * 2**idle)
                except requests.RequestException as error:
                    raise Interrupted(f"{url}: {_plain(error)}") from None
        os.replace(self.part, output_file)
        self.tag.unlink(missing_ok=True)

    def _room(self, have: int) -> None:
        free = shutil.disk_usage(self.part.parent).free
        needed = 2 * self.size
        if needed - have > free:
            raise CaffeError(
                f"{self.part.parent}: {free / 1e9:.1f} GB free, but {self.part.stem} needs"
                f" {needed / 1e9:.1f} GB to be unpacked, too"
            )

    def _go_on(self, url: str, file: IO[bytes]) -> None:
        """Read to the end what the file lacks."""
        have = file.tell()
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if self.tag.is_file():
                headers["If-Range"] = self.tag.read_text(encoding="utf-8")
        with closing(requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)) as response:
            total = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", response.headers.get("Content-Range", ""))
            if response.status_code == 416 and total and int(total[2]) == have:
                return  # it was whole already
            if response.status_code == 416 or (response.status_code == 206 and (not total or total[1] != str(have))):
                _empty(file)  # of another file
                return self._go_on(url, file)
            if response.status_code >= 400:
                raise Interrupted(f"{url}: the server says {response.status_code} {response.reason}")
            if response.status_code != 206:
                _empty(file)  # a server that knows no ranges, or whose file is another now
                have = 0
            self._keep_tag(response.headers.get("ETag") or response.headers.get("Last-Modified"))
            length = response.headers.get("Content-Length", "")
            size = have + int(length) if length.isdecimal() else None
            self._write(response, file, size)

    def _keep_tag(self, tag: str | None) -> None:
        if tag and not tag.startswith("W/"):
            self.tag.write_text(tag, encoding="utf-8")
        else:
            self.tag.unlink(missing_ok=True)

    def _write(self, response: requests.Response, file: IO[bytes], size: int | None) -> None:
        name = self.part.stem
        with tqdm(total=size, initial=file.tell(), desc=name, unit="B", unit_scale=True, disable=None, leave=False) as progress:
            try:
                for chunk in response.iter_content(CHUNK):
                    self._save(chunk, file)
                    progress.update(len(chunk))
            finally:
                self._save(b"", file)
        if size is not None and file.tell() < size:
            raise requests.ConnectionError("the connection broke off")

    def _save(self, data: bytes, file: IO[bytes]) -> None:
        try:
            file.write(data)
            file.flush()
        except OSError as error:  # requests' own are OSErrors, too
            raise CaffeError(f"{self.part}: cannot write: {error.strerror}") from None


def _empty(file: IO[bytes]) -> None:
    if file.tell():
        file.seek(0)
        file.truncate()


_PLAIN = {
    "timed out": "the server does not answer",
    "resol": "no network, or no such server",
    "refused": "connection refused",
    "Connection broken": "the connection broke off",
    "Connection aborted": "the connection broke off",
}


def _plain(error: Exception) -> str:
    """A network error in a few words, without the names of Python's classes."""
    words = str(error)
    for sign, said in _PLAIN.items():
        if sign in words:
            return said
    return words if len(words) < 60 else "cannot be reached"


# ---- Archives


def unpack(path: Path, folder: Path, flat: bool = False) -> None:
    """Unpack a tar or zip archive below folder; flat: its files without their folders.

    Raises CaffeError for a damaged archive, one of another kind, and one that would write outside
      folder or has links in it.
    """
    opened = _zip if path.suffix == ".zip" else _tar
    try:
        for name, write in tqdm(opened(path), desc=f"unpacking {path.name}", unit=" files", disable=None, leave=False):
            pure = PurePosixPath(name)
            if pure.is_absolute() or ".." in pure.parts or "\\" in name or not name.isprintable():
                said = f"{name!r} in it would be written outside {folder}"
                raise CaffeError(f"{path}: {said}; nothing more was unpacked")
            target = folder / (pure.name if flat else pure)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                write(file)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise CaffeError(f"{path}: damaged archive: {error}; remove it, and it is downloaded anew") from None
    except OSError as error:
        raise CaffeError(f"{error.filename or folder}: cannot unpack {path.name}: {error.strerror or error}") from None


Member = tuple[str, Callable[[IO[bytes]], None]]


def _tar(path: Path) -> Iterator[Member]:
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isdir():
                continue
            source = archive.extractfile(member) if member.isreg() else None
            if source is None:
                raise CaffeError(f"{path}: {member.name!r} in it is a link or device; nothing more was unpacked")
            with source:
                yield member.name, lambda file, source=source: shutil.copyfileobj(source, file, CHUNK)  # type: ignore[misc]


def _zip(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            if (member.external_attr >> 16) & 0o170000 == 0o120000:
                said = f"{member.filename!r} in it is a link or device"
                raise CaffeError(f"{path}: {said}; nothing more was unpacked")
            with archive.open(member) as source:
                yield member.filename, lambda file, source=source: shutil.copyfileobj(source, file, CHUNK)  # type: ignore[misc]
