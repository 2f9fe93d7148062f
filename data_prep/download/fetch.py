"""Downloads a public data set.

An interrupted download continues where it stopped, and checksums decide whether a file is whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pooch

from data_prep.build.claimed import claimed
from data_prep.download.archives import Archive, archives_of
from data_prep.download.resuming import Interrupted, Resuming
from data_prep.download.unpack import unpack
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike, clear_leftovers, write_atomic
from ssd_common.locks import Busy

# Below the set's folder: which archives are unpacked, and checksums that nobody published.
STATE = ".data_prep_fetch"
ATTEMPTS = 5  # tries in a row without a byte; then it gives up
PAUSE = 2.0  # seconds after a try that brought bytes; each try without any doubles it
pooch.get_logger().setLevel("ERROR")


class NotFetched(CaffeError):
    """Archives that cannot be downloaded; the message gives a reason for each.

    archives: these archives.
    """

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

    An interrupted download continues where it stopped.

    names: "voc0712", "voc0712pp", "voc2007", "voc2012", "coco2014", "coco2017", …, see
      data_prep.download.archives.
    out: folder to unpack in; an archive that already lies there is used.
    mirror: a server that has the archives under MIRROR/NAME.
    keep: keep the archives.
    tell: takes a line about every archive that is unpacked.
    Raises NotFetched for archives that cannot be had, after all others are there, Busy where
      another process fetches the same, and CaffeError for names that do not exist.
    """
    folder = Path(out)
    missing: list[Archive] = []
    errors: list[CaffeError] = []
    for archive in archives_of(names):
        try:
            fetched = fetch_archive(archive, folder, mirror, keep)
        except Busy:
            raise  # the other process fetches the rest as well, or a later run does
        except CaffeError as error:
            missing.append(archive)
            errors.append(error)
            continue
        if fetched:
            tell(f"{archive.file}: unpacked in {folder}")
        else:
            tell(f"{archive.file}: already unpacked in {folder}")
    if missing:
        raise NotFetched(missing, errors)


def fetch_archive(
    archive: Archive,
    folder: Path,
    mirror: str | None = None,
    keep: bool = False,
) -> bool:
    """Download and unpack an archive below a folder.

    folder: an archive that already lies there is used.
    mirror: a server that has the file instead.
    keep: keep the archive.
    Returns False if an earlier run has done it already.
    Raises Busy where another process fetches it, CaffeError, which says what is wrong with the
      archive or why no server gives it.
    """
    state = folder / STATE
    done = state / f"{archive.file}.done"
    if done.is_file():
        return False
    with claimed(folder / archive.file):
        if done.is_file():  # since a moment ago
            return False
        state.mkdir(exist_ok=True)
        clear_leftovers(state, lambda name: name.startswith(f"{archive.file}."))
        _fetch_claimed(archive, folder, mirror, keep)
        write_atomic(done, "")
        return True


def _fetch_claimed(archive: Archive, folder: Path, mirror: str | None, keep: bool) -> None:
    """Download and unpack an archive that no other process fetches."""
    state = folder / STATE
    path = folder / archive.file
    recorded = state / f"{archive.file}.sha256"
    checksum = archive.checksum
    if not checksum and recorded.is_file():
        checksum = recorded.read_text(encoding="utf-8").strip()
    if not path.is_file():
        _download(archive, checksum, path, _addresses(archive, mirror))
    elif fault := _checksum_fault(path, checksum):
        raise CaffeError(f"{path}: {fault}; remove it, and it is downloaded")
    if not archive.checksum and not recorded.is_file():
        write_atomic(recorded, f"sha256:{pooch.file_hash(str(path), 'sha256')}\n")
    unpack(path, folder / archive.into, flat=archive.flat)
    if not keep:
        path.unlink()


def manual(archive: Archive, folder: Path) -> str:
    """Say how to get an archive by hand."""
    places = list(archive.urls)
    if archive.page:
        places.append(f"{archive.page} (after registering)")
    words = [archive.file]
    if archive.size:
        words.append(f"{archive.size:,} bytes")
    checksum = archive.checksum or "checksum not published"
    words.append(checksum.replace(":", " "))
    path = (folder / archive.file).absolute()
    return f"{', '.join(words)}\n  from {' or '.join(places)}\n  to   {path}"


def _addresses(archive: Archive, mirror: str | None) -> list[str]:
    """List the addresses to try, one after the other."""
    if mirror:
        return [f"{mirror.rstrip('/')}/{archive.file}"]
    return list(archive.urls)


def _checksum_fault(path: Path, checksum: str | None) -> str | None:
    """Say how a file differs from its checksum; None where it does not."""
    if checksum is None:
        return None
    algorithm, _, expected = checksum.partition(":")
    found = pooch.file_hash(str(path), algorithm)
    if found == expected:
        return None
    return f"its {algorithm} is {found}, but should be {expected}: cut short, or another file"


def _download(archive: Archive, checksum: str | None, path: Path, urls: list[str]) -> None:
    """Download an archive to path, from the first of the urls that has it.

    pooch writes to a folder of its own, as it leaves an empty file there when it is killed.
    """
    own = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(own, ignore_errors=True)
    try:
        own.mkdir()
        _download_to(own, archive, checksum, path, urls)
        (own / path.name).replace(path)
    except OSError as error:
        raise CaffeError(f"{path}: cannot write: {error.strerror or error}") from None
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _download_to(
    folder: Path, archive: Archive, checksum: str | None, path: Path, urls: list[str]
) -> None:
    """Download an archive to a folder, and keep what is there of it beside path."""
    reason = f"{archive.file}: not to be had without registering"
    downloader = Resuming(path, archive.size, attempts=ATTEMPTS, pause=PAUSE)
    for url in urls:
        try:
            pooch.retrieve(
                url,
                checksum,
                fname=path.name,
                path=str(folder),
                downloader=downloader,
            )
            return
        except Interrupted as error:
            reason = str(error)
        except ValueError:  # pooch: another checksum
            reason = f"{url}: not the file that it should be ({checksum}); it was removed"
    raise CaffeError(reason)
