"""Downloads a public data set.

An interrupted download continues where it stopped, and checksums decide whether a file is whole.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pooch

from data_prep.build.claimed import claimed
from data_prep.download.archives import Archive, archives_of
from data_prep.download.resuming import Interrupted, Resuming
from data_prep.download.unpack import unpack
from ssd_common.durable import make_folder
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike, clear_leftovers, write_atomic
from ssd_common.locks import Busy

# Below the set's folder: which archives are unpacked, and checksums that nobody published.
STATE = ".data_prep_fetch"
ATTEMPTS = 5  # tries in a row without a byte; then it gives up
PAUSE = 2.0  # seconds after a try that brought bytes; each try without any doubles it


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
    with claimed(folder / archive.file, folder / f"{archive.file}.part.tag"):
        if done.is_file():  # since a moment ago
            return False
        make_folder(state)
        clear_leftovers(state, lambda name: name.startswith(f"{archive.file}."))
        _fetch_claimed(archive, folder, mirror, keep)
        return True


def _fetch_claimed(archive: Archive, folder: Path, mirror: str | None, keep: bool) -> None:
    """Download and unpack an archive that no other process fetches."""
    state = folder / STATE
    path = folder / archive.file
    recorded = state / f"{archive.file}.sha256"
    checksum = archive.checksum
    if not checksum and recorded.is_file():
        checksum = recorded.read_text(encoding="utf-8").strip()
    download = Resuming(path, archive.size, attempts=ATTEMPTS, pause=PAUSE)
    if not path.is_file():
        _download(download, checksum, _addresses(archive, mirror))
    elif fault := _checksum_fault(path, checksum):
        raise CaffeError(f"{path}: {fault}; remove it, and it is downloaded")
    if not archive.checksum and not recorded.is_file():
        write_atomic(recorded, f"sha256:{pooch.file_hash(str(path), 'sha256')}\n")
    unpack(path, folder / archive.into, flat=archive.flat)
    write_atomic(state / f"{archive.file}.done", "")
    download.drop()
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


def _download(download: Resuming, checksum: str | None, urls: list[str]) -> None:
    """Download a file from the first of the urls that has it."""
    reason = f"{download.path.name}: not to be had without registering"
    if checksum is None:
        download.drop()  # nothing would tell whether a part is damaged
    for url in urls:
        try:
            if _whole(download, url, checksum):
                download.keep()
                return
        except Interrupted as error:
            reason = str(error)
        else:
            download.drop()
            reason = f"{url}: not the file that it should be ({checksum}); it was removed"
    raise CaffeError(reason)


def _whole(download: Resuming, url: str, checksum: str | None) -> bool:
    """Download a file, and tell whether it has this checksum.

    A power cut may have damaged the part that an earlier run left, so a file with another checksum
    is downloaded from its start.
    """
    continued = download.has_part
    download.read(url)
    if not _checksum_fault(download.part, checksum):
        return True
    if not continued:
        return False
    download.drop()
    download.read(url)
    return not _checksum_fault(download.part, checksum)
