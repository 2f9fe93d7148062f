from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import lmdb
import pytest

from caffe_ir.lmdb_reader import LmdbReader
from ssd_common.errors import CaffeError
from tests.netrun.data.records import write


def values(count: int, least: int, most: int) -> list[tuple[str, bytes]]:
    draw = random.Random(count)
    return [(f"{i:08d}_a/b.jpg", draw.randbytes(draw.randint(least, most))) for i in range(count)]


@pytest.mark.parametrize(
    ("count", "least", "most"),
    [(1, 0, 0), (3000, 1, 3), (40, 90, 110), (200, 0, 9000), (5, 1_000_000, 2_000_000)],
)
def test_reads_what_lmdb_reads(tmp_path: Path, count: int, least: int, most: int) -> None:
    source = write(tmp_path / "db", values(count, least, most))
    with lmdb.open(str(source), map_size=1 << 28) as db:
        with db.begin(
            write=True
        ) as transaction:  # a second commit: the other header page, and pages freed
            for number in range(0, count - 1, 7):
                transaction.delete(f"{number:08d}_a/b.jpg".encode())
        with db.begin() as transaction:
            expected = list(transaction.cursor())
    reader = LmdbReader(source)
    assert list(zip(reader.keys, map(reader.value, range(len(reader))), strict=True)) == [
        (bytes(k), bytes(v)) for k, v in expected
    ]
    assert LmdbReader(source / "data.mdb").keys == reader.keys


def refusal(source: Path) -> str:
    with pytest.raises(CaffeError) as caught:
        LmdbReader(source)
    assert str(source) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_refuses_what_is_no_lmdb(tmp_path: Path) -> None:
    assert "no LMDB here" in refusal(tmp_path / "nowhere")
    assert "no LMDB here; build it with data_prep or correct the path" in refusal(tmp_path)
    inner = [tmp_path / "mine/test_lmdb", tmp_path / "mine/train_lmdb"]
    for lmdb_folder in inner:
        lmdb_folder.mkdir(parents=True)
        (lmdb_folder / "data.mdb").touch()
    assert f"no LMDB here; there are {inner[0]}, {inner[1]}" in refusal(tmp_path / "mine")
    assert "empty LMDB" in refusal(write(tmp_path / "empty", []))
    (tmp_path / "data.mdb").write_bytes(b"")
    assert "truncated or damaged" in refusal(tmp_path)
    (tmp_path / "data.mdb").write_bytes(bytes(100_000))
    assert "no LMDB header" in refusal(tmp_path)


def test_refuses_every_truncation(tmp_path: Path) -> None:
    whole = (write(tmp_path / "db", values(60, 0, 9000)) / "data.mdb").read_bytes()
    for size in range(0, len(whole), 4096):
        (tmp_path / "data.mdb").write_bytes(whole[:size])
        assert "build it again" in refusal(tmp_path)


def test_file_cut_short_in_use(tmp_path: Path) -> None:
    source = write(tmp_path / "db", values(60, 5000, 9000))
    reader = LmdbReader(source)
    with open(source / "data.mdb", "r+b") as file:
        file.truncate(8192)
    with pytest.raises(CaffeError, match="cut short while in use"):
        [reader.value(i) for i in range(len(reader))]


def test_flipped_bits_never_crash(tmp_path: Path) -> None:
    """Every outcome is a clean refusal or records of the file.

    Flips in the pages that say where records are must often be noticed.
    """
    whole = (write(tmp_path / "db", values(200, 0, 300)) / "data.mdb").read_bytes()
    draw, refused = random.Random(0), 0
    for _ in range(500):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 20)):
            damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        (tmp_path / "data.mdb").write_bytes(damaged)
        try:
            reader = LmdbReader(tmp_path)
        except CaffeError:
            refused += 1
        else:
            assert all(isinstance(reader.value(i), bytes) for i in range(len(reader)))
            reader.close()
    assert 0 < refused < 500


# ---- Several LMDBs as one


def shard(folder: Path, number: int, count: int) -> list[tuple[str, bytes]]:
    records = [(f"{i:08d}", bytes([i])) for i in range(number * 3, number * 3 + 3)]
    write(folder / f"shard-{number:05d}-of-{count:05d}", records)
    return records


@pytest.mark.parametrize("how", ["folder", "commas", "list"])
def test_shards_are_read_one_after_the_other(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "db"
    expected = [record for number in range(11) for record in shard(folder, number, 11)]
    names = sorted(p.name for p in folder.iterdir())
    (tmp_path / "list.txt").write_text("".join(f"db/{name}\n" for name in names))
    source = {
        "folder": str(folder),
        "commas": ", ".join(f"{folder}/{n}" for n in names),
        "list": f"{tmp_path}/list.txt",
    }[how]
    reader = LmdbReader(source)
    assert [(reader.keys[i].decode(), reader.value(i)) for i in range(len(reader))] == expected


def test_shards_that_do_not_belong_together(tmp_path: Path) -> None:
    for number in (0, 2):
        shard(tmp_path, number, 3)
    assert "2 of 3 shards" in refusal(tmp_path)
    shard(tmp_path, 1, 2)
    assert "shards of several sets, of 2 and of 3" in refusal(tmp_path)
    (tmp_path / "list.txt").write_text("\n")
    assert "an empty list" in refusal(tmp_path / "list.txt")
    (tmp_path / "list.txt").write_text("nowhere\n")
    with pytest.raises(CaffeError, match="nowhere: no LMDB here"):
        LmdbReader(tmp_path / "list.txt")


def test_lists_that_come_back_to_themselves(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("list.txt\n")
    assert refusal(tmp_path / "list.txt").endswith(
        "list.txt: a list of LMDBs that comes back to itself"
    )
    (tmp_path / "a.txt").write_text("b.txt\n")
    (tmp_path / "b.txt").write_text("a.txt\n")
    with pytest.raises(CaffeError, match=r"a\.txt: a list of LMDBs that comes back to itself"):
        LmdbReader(tmp_path / "a.txt")
    for i in range(3000):
        (tmp_path / f"{i}.txt").write_text(f"{i + 1}.txt\n")
    with pytest.raises(CaffeError, match=r"100\.txt: lists of LMDBs nested too deeply, over 100"):
        LmdbReader(tmp_path / "0.txt")


def test_a_list_may_name_another_one_twice(tmp_path: Path) -> None:
    write(tmp_path / "db", values(3, 1, 3))
    (tmp_path / "inner.txt").write_text("db\n")
    (tmp_path / "list.txt").write_text("inner.txt\ninner.txt\n")
    assert len(LmdbReader(tmp_path / "list.txt")) == 6


def test_a_name_that_no_file_system_takes(tmp_path: Path) -> None:
    assert refusal(tmp_path / ("x" * 300)).endswith(": File name too long")


def test_a_fault_of_the_disk_names_the_lmdb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    source = write(tmp_path / "db", values(3, 1, 3))
    reader = LmdbReader(source)
    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(CaffeError, match="db: Input/output error"):
        reader.value(0)
    assert refusal(source).endswith("db: Input/output error")
