"""Downloads a file over several tries, and continues where an earlier download stopped."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import closing
from pathlib import Path
from typing import IO

import requests
from tqdm import tqdm

from data_prep.download.network_errors import plain_words
from ssd_common.durable import sync_file, sync_folder
from ssd_common.errors import CaffeError
from ssd_common.files import write_atomic

CHUNK = 1 << 16  # bytes; a connection that breaks off loses at most one chunk
TIMEOUT = 30.0  # seconds without a byte
PARTIAL_CONTENT = 206  # status of HTTP: the server sends the range that was asked for
BAD_REQUEST = 400  # the lowest status of HTTP that is an error
RANGE_NOT_SATISFIABLE = 416  # status of HTTP: the file has no such range
CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+)")
CONNECTION_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


class Interrupted(CaffeError):
    """A download that a later run may continue."""


class Resuming:
    """A download that continues where an earlier one stopped.

    It keeps its bytes in `path.part`, and beside it the server's tag of the file.

    path: the file to download; it appears with `keep`.
    size: its bytes, 0 where they are not known.
    attempts: tries in a row without a byte before it gives up.
    pause: seconds after a try that brought bytes; each try without any doubles it.
    """

    def __init__(self, path: Path, size: int, *, attempts: int, pause: float) -> None:
        self.path = path
        self.part = path.with_name(f"{path.name}.part")
        self.tag = path.with_name(f"{path.name}.part.tag")
        self.size = size
        self.attempts = attempts
        self.pause = pause

    @property
    def has_part(self) -> bool:
        """Whether some of the file is there."""
        return self.part.is_file() and self.part.stat().st_size > 0

    def read(self, url: str) -> None:
        """Download what is missing of the file from url.

        Raises Interrupted where it cannot be had now, CaffeError where the disk lacks space.
        """
        try:
            with self.part.open("ab") as file:
                self._check_space(file.tell())
                self._read_with_retries(url, file)
        except OSError as error:
            raise CaffeError(f"{self.part}: cannot write: {error.strerror or error}") from None

    def keep(self) -> None:
        """Give the file its name, once its bytes are on the disk. Raises CaffeError."""
        try:
            sync_file(self.part)
            self.part.replace(self.path)
            self.tag.unlink(missing_ok=True)
            sync_folder(self.path.parent)
        except OSError as error:
            raise CaffeError(f"{self.path}: cannot write: {error.strerror}") from None

    def drop(self) -> None:
        """Remove what has come of the file. Raises CaffeError."""
        try:
            self.part.unlink(missing_ok=True)
            self.tag.unlink(missing_ok=True)
        except OSError as error:
            raise CaffeError(f"{self.part}: cannot remove: {error.strerror}") from None

    def _check_space(self, have: int) -> None:
        """Raise CaffeError where the disk lacks space for the archive and its unpacked files.

        have: bytes already downloaded.
        """
        free = shutil.disk_usage(self.part.parent).free
        needed = 2 * self.size
        if needed - have > free:
            raise CaffeError(
                f"{self.part.parent}: {free / 1e9:.1f} GB free, but {self.part.stem} needs"
                f" {needed / 1e9:.1f} GB to be unpacked, too"
            )

    def _read_with_retries(self, url: str, file: IO[bytes]) -> None:
        """Read the rest of the file, and try again as long as tries bring bytes.

        Raises Interrupted when they bring no more.
        """
        idle = 0  # tries in a row without a byte
        while True:
            have = file.tell()
            try:
                self._read_rest(url, file)
                return
            except CONNECTION_ERRORS as error:
                idle += 1
                if file.tell() > have:
                    idle = 0
                if idle == self.attempts or not file.tell():
                    reason = f"{url}: {plain_words(error)}"
                    if file.tell():
                        reason += f"; run again to go on from {file.tell() / 1e6:.1f} MB"
                    raise Interrupted(reason) from None
                time.sleep(self.pause * 2**idle)
            except requests.RequestException as error:
                raise Interrupted(f"{url}: {plain_words(error)}") from None

    def _read_rest(self, url: str, file: IO[bytes]) -> None:
        """Read the rest of the file in one try."""
        have = file.tell()
        headers = self._headers(have)
        with closing(requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)) as response:
            status = response.status_code
            content_range = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            refused = status == RANGE_NOT_SATISFIABLE
            if refused and content_range and int(content_range[2]) == have:
                return  # the part was the whole file
            partial = status == PARTIAL_CONTENT
            elsewhere = not content_range or content_range[1] != str(have)
            if refused or (partial and elsewhere):
                _empty(file)  # the part is another file's
                return self._read_rest(url, file)
            if status >= BAD_REQUEST:
                raise Interrupted(f"{url}: the server says {status} {response.reason}")
            if not partial:
                _empty(file)  # the server knows no ranges, or its file is another now
                have = 0
            self._keep_tag(response.headers.get("ETag") or response.headers.get("Last-Modified"))
            length = response.headers.get("Content-Length", "")
            size = None
            if length.isdecimal():
                size = have + int(length)
            self._write(response, file, size)

    def _headers(self, have: int) -> dict[str, str]:
        """Return headers that ask for the missing bytes of an unchanged file.

        have: bytes already downloaded.
        """
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if self.tag.is_file():
                headers["If-Range"] = self.tag.read_text(encoding="utf-8")
        return headers

    def _keep_tag(self, tag: str | None) -> None:
        if tag and not tag.startswith("W/"):  # a weak tag does not promise the same bytes
            write_atomic(self.tag, tag)
        else:
            self.tag.unlink(missing_ok=True)

    def _write(self, response: requests.Response, file: IO[bytes], size: int | None) -> None:
        """Append the body of a response to the file.

        size: bytes of the whole file; None where the server does not say.
        Raises requests.ConnectionError where the body ends early.
        """
        with tqdm(
            total=size,
            initial=file.tell(),
            desc=self.part.stem,
            unit="B",
            unit_scale=True,
            disable=None,
            leave=False,
        ) as progress:
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
        except OSError as error:  # caught here, as errors of requests are OSErrors, too
            raise CaffeError(f"{self.part}: cannot write: {error.strerror}") from None


def _empty(file: IO[bytes]) -> None:
    if file.tell():
        file.seek(0)
        file.truncate()
