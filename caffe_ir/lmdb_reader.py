"""Reads LMDB files without liblmdb: walks the B+ tree and checks every bound.

No damaged file can crash the process. liblmdb maps the file and trusts it: a truncated file ends
in a bus error, a flipped bit in an abort. Caffe's files are written once and then only read, so
this reader needs three kinds of pages and no locks.
Source: openldap/libraries/liblmdb/mdb.c, data version 1.
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
from ssd_common.files import PathLike, read_text, reading

_MAGIC = 0xBEEFC0DE
_VERSION = 1
# Magic, version, address, map size. Two databases follow: the free pages, and the main one.
_META = struct.Struct("<IIQQ")
# Pad (page size, in the first database), flags, depth, then the numbers of branch, leaf and
# overflow pages, of entries, and of the root page.
_DB = struct.Struct("<IHHQQQQQ")
_PAGE = struct.Struct("<QHHHH")  # number, pad, flags, lower, upper
# Size, low and high (in a branch: page number), flags, key size.
_NODE = struct.Struct("<HHHH")
_PAGE_NUMBER = struct.Struct("<Q")
_LAST_PAGE_AND_TRANSACTION = struct.Struct("<QQ")
# Flags of a page.
_BRANCH = 0x01
_LEAF = 0x02
_OVERFLOW = 0x04
# Flags of a node.
_BIG = 0x01
_SUBDATABASE = 0x02
_DUPLICATES = 0x04
_NO_ROOT = (1 << 64) - 1
_SHARD = re.compile(r".+-\d{5}-of-(\d{5})")
_MOST_LISTS = 100  # one in the other
_REMEDY = "build it again (data_prep) or copy it again"


class Damaged(Exception):
    """A page is not what its parent says."""


class LmdbReader:
    """The records of one LMDB, or of several one after the other, in key order within each.

    `keys[i]` is a record's key, `value(i)` returns its bytes. Any thread may call.
    """

    def __init__(self, source: PathLike) -> None:
        """Open every LMDB that a source names.

        source: what `shards` takes.
        Raises CaffeError, with source and remedy, where an LMDB is missing, truncated or empty.
        """
        self.source = str(source)
        self._files: list[LmdbFile] = []
        try:
            for shard in shards(source):
                self._files.append(LmdbFile(shard))
        except CaffeError:
            self.close()
            raise
        if len(self._files) == 1:
            self.keys = self._files[0].keys
        else:
            self.keys = [key for file in self._files for key in file.keys]
        lengths = [len(file) for file in self._files]
        # The index of each file's first record.
        self._starts = list(accumulate(lengths, initial=0))

    def __len__(self) -> int:
        return len(self.keys)

    def value(self, index: int) -> bytes:
        """Return the bytes of record `index`.

        Raises CaffeError where its file has become shorter since it was opened.
        """
        file = bisect_right(self._starts, index) - 1
        return self._files[file].value(index - self._starts[file])

    def close(self) -> None:
        """Close the files. A second call does nothing."""
        for file in self._files:
            file.close()


def shards(source: PathLike) -> list[str]:
    """List the LMDBs that a source names, in order.

    source: one of
        an LMDB, its folder or its file
        a folder of shards, `…-00000-of-00004` and so on: one set, complete
        a .txt file of sources, one a line, relative to the file's folder
        several of these, with commas between them.
    Raises CaffeError where a set lacks shards, and where a list cannot be read, is empty or comes
    back to itself.
    """
    return _shards(str(source), ())


def _shards(named: str, lists: tuple[str, ...]) -> list[str]:
    """List the LMDBs that a source names; lists: those that lead to it."""
    if "," in named and not os.path.exists(named):
        parts = [part.strip() for part in named.split(",")]
        return [shard for part in parts if part for shard in _shards(part, lists)]
    if named.endswith(".txt") and os.path.isfile(named):
        folder = os.path.dirname(named)
        inside = _deeper(named, lists)
        lines = _listed(named)
        return [shard for line in lines for shard in _shards(os.path.join(folder, line), inside)]
    if not os.path.isdir(named) or os.path.exists(os.path.join(named, "data.mdb")):
        return [named]
    return _shards_in(named) or [named]


def _deeper(file: str, lists: tuple[str, ...]) -> tuple[str, ...]:
    """Return the lists that lead to what this one names. Raises CaffeError for a circle."""
    real = os.path.realpath(file)
    if real in lists:
        raise CaffeError(f"{file}: a list of LMDBs that comes back to itself")
    if len(lists) == _MOST_LISTS:
        raise CaffeError(f"{file}: lists of LMDBs nested too deeply, over {_MOST_LISTS}")
    return (*lists, real)


def _listed(file: str) -> list[str]:
    """Read the non-empty lines of a list."""
    lines = [line.strip() for line in read_text(file).splitlines()]
    if not any(lines):
        raise CaffeError(f"{file}: an empty list of LMDBs")
    return [line for line in lines if line]


def _shards_in(folder: str) -> list[str]:
    """List the shards in a folder; they must be one complete set, or none."""
    found: dict[str, int] = {}  # by a shard's name, the size of its set
    with reading(folder):
        names = os.listdir(folder)
    for name in names:
        match = _SHARD.fullmatch(name)
        if match:
            found[name] = int(match[1])
    set_sizes = sorted(set(found.values()))
    if len(set_sizes) > 1:
        several = " and of ".join(map(str, set_sizes))
        raise CaffeError(f"{folder}: shards of several sets, of {several}; {_REMEDY}")
    for size in set_sizes:
        if len(found) != size:
            raise CaffeError(f"{folder}: {len(found)} of {size} shards; {_REMEDY}")
    return [os.path.join(folder, name) for name in sorted(found)]


def key_text(key: bytes) -> str:
    """Return a record's key for messages, with � for bytes that are not UTF-8."""
    return key.decode("utf-8", "replace")


class LmdbFile:
    """The records of one LMDB, in key order. keys, value and close are as in LmdbReader."""

    def __init__(self, source: PathLike) -> None:
        """Open an LMDB and find its records.

        source: the directory that holds data.mdb, or the file itself.
        Raises CaffeError, with source and remedy, where it is missing, truncated or empty.
        """
        self.source = str(source)
        with reading(source):
            path = _data_file(source)
        try:
            self._file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise CaffeError(f"{self.source}: cannot be read: {error.strerror}") from None
        try:
            self._size = os.fstat(self._file).st_size
            entries, root, depth = self._meta()
            found: list[tuple[bytes, int, int]] = []
            if root != _NO_ROOT:
                found = list(self._records(root, depth))
            if len(found) != entries:
                raise Damaged(f"{len(found)} records where its header counts {entries}")
        except (Damaged, struct.error, IndexError) as error:
            self.close()
            raise CaffeError(
                f"{self.source}: truncated or damaged LMDB: {error}; {_REMEDY}"
            ) from None
        if not found:
            self.close()
            raise CaffeError(f"{self.source}: empty LMDB, not one record; {_REMEDY}")
        self.keys = [key for key, _, _ in found]
        self._extents = [(offset, size) for _, offset, size in found]

    def __len__(self) -> int:
        return len(self.keys)

    def value(self, index: int) -> bytes:
        """Return the bytes of record `index`.

        Raises CaffeError where the file has become shorter since it was opened.
        """
        offset, size = self._extents[index]
        value = self._bytes(offset, size)
        if len(value) != size:
            place = f"at record '{key_text(self.keys[index])}'"
            raise CaffeError(f"{self.source}: LMDB was cut short while in use, {place}; {_REMEDY}")
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
        """Read bytes of the file. Raises Damaged where they reach past its end."""
        if offset + size > self._size:
            raise Damaged(f"byte {offset + size} is needed, the file has {self._size}")
        return self._bytes(offset, size)

    def _bytes(self, offset: int, size: int) -> bytes:
        """Read bytes of the file, fewer at its end. Raises CaffeError where the disk refuses."""
        with reading(self.source):
            return os.pread(self._file, size, offset)

    def _meta(self) -> tuple[int, int, int]:
        """Return entries, root page and depth of the main database.

        The newer of the two meta pages counts, if its magic and version are right.
        """
        # Where the two databases' descriptions lie.
        free_pages = _PAGE.size + _META.size
        main = free_pages + _DB.size
        self._page_size = _DB.unpack_from(self._read(0, 4096), free_pages)[0]
        power_of_two = self._page_size & (self._page_size - 1) == 0
        if not (256 <= self._page_size <= 65536 and power_of_two):
            raise Damaged("no LMDB header")
        newest = -1
        found: tuple[int, int, int] | None = None
        for number in range(2):
            page = self._read(number * self._page_size, self._page_size)
            magic, version, _, _ = _META.unpack_from(page, _PAGE.size)
            _, _, depth, _, _, _, entries, root = _DB.unpack_from(page, main)
            _, transaction = _LAST_PAGE_AND_TRANSACTION.unpack_from(page, main + _DB.size)
            valid = (magic, version) == (_MAGIC, _VERSION)
            if valid and transaction > newest:
                newest = transaction
                found = (entries, root, depth)
        if found is None:
            raise Damaged("no LMDB header")
        return found

    def _records(self, root: int, depth: int) -> Iterator[tuple[bytes, int, int]]:
        """Yield each record's key, the offset of its value in the file, and the value's size.

        Records come in key order. root, depth: the tree's root page and its number of levels.
        """
        seen: set[int] = set()
        stack = [(root, 1)]
        while stack:
            number, level = stack.pop()
            if number in seen or level > depth:
                raise Damaged(f"page {number} is its own ancestor")
            seen.add(number)
            start = number * self._page_size
            page = self._read(start, self._page_size)
            own_number, _, flags, lower, _ = _PAGE.unpack_from(page)
            fits = _PAGE.size <= lower <= self._page_size
            if own_number != number or not flags & (_BRANCH | _LEAF) or not fits:
                raise Damaged(f"page {number} is neither branch nor leaf")
            count = (lower - _PAGE.size) // 2
            places = struct.unpack_from(f"<{count}H", page, _PAGE.size)
            if flags & _BRANCH:
                nodes = [_NODE.unpack_from(page, place) for place in places]
                for low, high, top, _ in reversed(nodes):
                    stack.append((low | high << 16 | top << 32, level + 1))
            else:
                for place in places:
                    yield self._leaf(page, start, place)

    def _leaf(self, page: bytes, start: int, place: int) -> tuple[bytes, int, int]:
        """Return a record's key, and the offset and size of its value in the file.

        page: the leaf's bytes, which begin at `start` in the file.
        place: where the record's node begins in the page.
        """
        low, high, flags, key_size = _NODE.unpack_from(page, place)
        size = low | high << 16
        data = place + _NODE.size + key_size
        if data > len(page) or flags & (_SUBDATABASE | _DUPLICATES):
            raise Damaged("a record that Caffe would not have written")
        key = page[place + _NODE.size : data]
        offset = start + data
        if flags & _BIG:
            (number,) = _PAGE_NUMBER.unpack_from(page, data)
            offset = self._overflow(number, key)
        end = offset + size
        if end > self._size:
            record = f"record {key_text(key)!r}"
            raise Damaged(f"{record} ends at byte {end}, the file has {self._size}")
        return key, offset, size

    def _overflow(self, number: int, key: bytes) -> int:
        """Return the file offset of a value that fills pages of its own, from page `number` on."""
        offset = number * self._page_size
        header = self._read(offset, _PAGE.size)
        own_number, _, flags, _, _ = _PAGE.unpack(header)
        if own_number != number or not flags & _OVERFLOW:
            raise Damaged(f"page {number} does not hold the record {key_text(key)!r}")
        return offset + _PAGE.size


def _data_file(source: PathLike) -> Path:
    """Return the data.mdb that a source names: in that folder, or the file itself."""
    path = Path(source)
    if path.is_dir():
        path = path / "data.mdb"
    if path.is_file():
        return path
    remedy = "build it with data_prep or correct the path"
    inner = [str(found.parent) for found in Path(source).glob("*/data.mdb")]
    if inner:
        remedy = f"there are {', '.join(sorted(inner)[:4])}"
    raise CaffeError(f"{source}: no LMDB here; {remedy}")
