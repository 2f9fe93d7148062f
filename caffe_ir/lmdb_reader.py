"""LMDB files read without liblmdb: a B+ tree walked with bounds checks, so that no damaged file can crash the process.

liblmdb maps the file and trusts it: a truncated file is a bus error, a flipped bit an abort. Caffe's files are written once and
then only read, so a reader needs three page kinds and no locks. Format: openldap/libraries/liblmdb/mdb.c, data version 1.
"""

from __future__ import annotations

import os
import re
import struct
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from ssd_common.errors import CaffeError
from ssd_common.files import PathLike

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_META = struct.Struct("<IIQQ")  # magic, version, address, map size; two databases follow: free pages and main
_DB = struct.Struct("<IHHQQQQQ")  # pad (of the first: page size), flags, depth, branch, leaf and overflow pages, entries, root
_PAGE = struct.Struct("<QHHHH")  # number, pad, flags, lower, upper
_NODE = struct.Struct("<HHHH")  # size low and high (of a branch: page number), flags, key size
_BRANCH, _LEAF, _OVERFLOW = 0x01, 0x02, 0x04
_BIG, _SUBDATABASE, _DUPLICATES = 0x01, 0x02, 0x04
_NO_ROOT = (1 << 64) - 1
_SHARD = re.compile(r".+-\d{5}-of-(\d{5})")
_REMEDY = "build it again (data_prep) or copy it again"


class Damaged(Exception):
    """A page that cannot be what its parent says."""


class LmdbReader:
    """Records of an LMDB, or of several one after the other; in key order within each. `keys[i]` is a record's key, `value(i)` its
    bytes; any thread may call.

    source: what `shards` takes. Raises CaffeError, naming source and remedy, when it is missing, no LMDB, truncated or empty.
    """

    def __init__(self, source: PathLike) -> None:
        self.source = str(source)
        self._files: list[LmdbFile] = []
        try:
            for shard in shards(source):
                self._files.append(LmdbFile(shard))
        except CaffeError:
            self.close()
            raise
        self.keys = self._files[0].keys if len(self._files) == 1 else [key for file in self._files for key in file.keys]
        self._starts = list(accumulate((len(file) for file in self._files), initial=0))

    def __len__(self) -> int:
        return len(self.keys)

    def value(self, index: int) -> bytes:
        """The bytes of record `index`. Raises CaffeError when its file has become shorter since it was opened."""
        file = bisect_right(self._starts, index) - 1
        return self._files[file].value(index - self._starts[file])

    def close(self) -> None:
        """Close the files. A second call does nothing."""
        for file in self._files:
            file.close()


def shards(source: PathLike) -> list[str]:
    """The LMDBs that a source means, in order: itself; those of a folder of shards (`…-00000-of-00004` and so on, of one set, all of
    them); those that a .txt file lists, a path a line, relative to where it lies; or several of all these with commas between them.

    Raises CaffeError for a set of shards that lacks some, and for a list that cannot be read or is empty.
    """
    named = str(source)
    if "," in named and not os.path.exists(named):
        return [shard for part in named.split(",") if part.strip() for shard in shards(part.strip())]
    if named.endswith(".txt") and os.path.isfile(named):
        try:
            lines = [line.strip() for line in Path(named).read_text(encoding="utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise CaffeError(f"{named}: not a list of LMDBs, a path a line: {error}") from None
        if not any(lines):
            raise CaffeError(f"{named}: an empty list of LMDBs")
        return [shard for line in lines if line for shard in shards(os.path.join(os.path.dirname(named), line))]
    if not os.path.isdir(named) or os.path.exists(os.path.join(named, "data.mdb")):
        return [named]
    found = {match[0]: int(match[1]) for name in os.listdir(named) if (match := _SHARD.fullmatch(name))}
    if len(set(found.values())) > 1:
        raise CaffeError(f"{named}: shards of several sets, of {' and of '.join(map(str, sorted(set(found.values()))))}; {_REMEDY}")
    for count in found.values():
        if len(found) != count:
            raise CaffeError(f"{named}: {len(found)} of {count} shards; {_REMEDY}")
    return [os.path.join(named, name) for name in sorted(found)] or [named]


def key_text(key: bytes) -> str:
    """A record's key as messages name it; bytes that are not UTF-8 are shown as �."""
    return key.decode("utf-8", "replace")


class LmdbFile:
    """Records of one LMDB in key order, as LmdbReader has them. source: the directory that holds data.mdb, or the file itself."""

    def __init__(self, source: PathLike) -> None:
        self.source = str(source)
        path = Path(source)
        if path.is_dir():
            path = path / "data.mdb"
        if not path.is_file():
            inner = sorted(str(p.parent) for p in Path(source).glob("*/data.mdb"))
            remedy = f"there are {', '.join(inner[:4])}" if inner else "build it with data_prep or correct the path"
            raise CaffeError(f"{self.source}: no LMDB here; {remedy}")
        try:
            self._file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise CaffeError(f"{self.source}: cannot be read: {error.strerror}") from None
        try:
            self._size = os.fstat(self._file).st_size
            entries, root, depth = self._meta()
            found = [] if root == _NO_ROOT else list(self._records(root, depth))
            if len(found) != entries:
                raise Damaged(f"{len(found)} records where its header counts {entries}")
        except (Damaged, struct.error, IndexError) as error:
            self.close()
            raise CaffeError(f"{self.source}: truncated or damaged LMDB: {error}; {_REMEDY}") from None
        if not found:
            self.close()
            raise CaffeError(f"{self.source}: empty LMDB, not one record; {_REMEDY}")
        self.keys = [key for key, _, _ in found]
        self._extents = [(offset, size) for _, offset, size in found]

    def __len__(self) -> int:
        return len(self.keys)

    def value(self, index: int) -> bytes:
        """The bytes of record `index`. Raises CaffeError when the file has become shorter since it was opened."""
        offset, size = self._extents[index]
        value = os.pread(self._file, size, offset)
        if len(value) != size:
            key = key_text(self.keys[index])
            raise CaffeError(f"{self.source}: LMDB was cut short while in use, at record '{key}'; {_REMEDY}")
        return value

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self.close()

    def _read(self, offset: int, size: int) -> bytes:
        if offset + size > self._size:
            raise Damaged(f"byte {offset + size} is needed, the file has {self._size}")
        return os.pread(self._file, size, offset)

    def _meta(self) -> tuple[int, int, int]:
        """Entries, root page and depth of the main database, by the newer of the two valid meta pages."""
        self._page_size = _DB.unpack_from(self._read(0, 4096), 16 + _META.size)[0]
        if not (256 <= self._page_size <= 65536 and self._page_size & (self._page_size - 1) == 0):
            raise Damaged("no LMDB header")
        newest: tuple[int, int, int, int] | None = None
        for number in range(2):
            page = self._read(number * self._page_size, self._page_size)
            magic, version, _, _ = _META.unpack_from(page, 16)
            main = _DB.unpack_from(page, 16 + _META.size + _DB.size)
            _, transaction = struct.unpack_from("<QQ", page, 16 + _META.size + 2 * _DB.size)
            if (magic, version) == (_MAGIC, _VERSION) and (newest is None or transaction > newest[0]):
                newest = (transaction, main[6], main[7], main[2])
        if newest is None:
            raise Damaged("no LMDB header")
        return newest[1:]

    def _records(self, root: int, depth: int) -> Iterator[tuple[bytes, int, int]]:
        """(key, offset of the value in the file, its size) of each record, in key order."""
        seen: set[int] = set()
        stack = [(root, 1)]
        while stack:
            number, level = stack.pop()
            if number in seen or level > depth:
                raise Damaged(f"page {number} is its own ancestor")
            seen.add(number)
            start = number * self._page_size
            page = self._read(start, self._page_size)
            itself, _, flags, lower, _ = _PAGE.unpack_from(page)
            if itself != number or not flags & (_BRANCH | _LEAF) or not 16 <= lower <= self._page_size:
                raise Damaged(f"page {number} is neither branch nor leaf")
            places = struct.unpack_from(f"<{(lower - 16) // 2}H", page, 16)
            if flags & _BRANCH:
                nodes = [_NODE.unpack_from(page, place) for place in places]
                stack.extend((low | high << 16 | top << 32, level + 1) for low, high, top, _ in reversed(nodes))
            else:
                for place in places:
                    yield self._leaf(page, start, place)

    def _leaf(self, page: bytes, start: int, place: int) -> tuple[bytes, int, int]:
        low, high, flags, key_size = _NODE.unpack_from(page, place)
        size, data = low | high << 16, place + _NODE.size + key_size
        if data > len(page) or flags & (_SUBDATABASE | _DUPLICATES):
            raise Damaged("a record that Caffe would not have written")
        key = page[place + _NODE.size : data]
        if flags & _BIG:
            (number,) = struct.unpack_from("<Q", page, data)
            offset = number * self._page_size
            itself, _, kind, _, _ = _PAGE.unpack(self._read(offset, _PAGE.size))
            if itself != number or not kind & _OVERFLOW:
                raise Damaged(f"page {number} does not hold the record {key_text(key)!r}")
            offset += _PAGE.size
        else:
            offset = start + data
        if offset + size > self._size:
            raise Damaged(f"record {key_text(key)!r} ends at byte {offset + size}, the file has {self._size}")
        return key, offset, size
