"""HDF5Data and HDF5Output: rows from and to HDF5 files."""

from __future__ import annotations

import errno
import os
from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest

import netrun
from netrun.layers import hdf5_rows
from ssd_common.errors import CaffeError
from tests.held import held
from tests.netrun.small_nets import build, data, layer


def files(folder: Path, *rows: int) -> str:
    """The list of files with so many rows each, which count on: x is (rows, 2, 3), l is (rows,)."""
    start = 0
    for i, count in enumerate(rows):
        with h5py.File(folder / f"{i}.h5", "w") as file:
            numbers = np.arange(start, start + count)
            file["x"] = np.tile(numbers.reshape(-1, 1, 1), (1, 2, 3)).astype(np.float64)
            file["l"] = numbers
        start += count
    (folder / "list.txt").write_text("".join(f"{folder}/{i}.h5\n" for i in range(len(rows))))
    return str(folder / "list.txt")


def net_of(
    source: str, batch: int, more: str = "", tops: str = "x l", **options: object
) -> netrun.Net:
    return build(
        layer(
            "HDF5Data",
            "",
            tops,
            f'hdf5_data_param {{ source: "{source}" batch_size: {batch} {more} }}',
            name="h",
        ),
        **options,
    )


def test_rows_go_on_from_file_to_file(tmp_path: Path) -> None:
    net = net_of(files(tmp_path, 3, 2), 4)
    assert net.blobs["x"].shape == (4, 2, 3)
    out = [deepcopy(net.forward()) for _ in range(3)]
    assert [o["l"].tolist() for o in out] == [[0, 1, 2, 3], [4, 0, 1, 2], [3, 4, 0, 1]]
    for o in out:
        assert (o["x"] == o["l"].reshape(4, 1, 1)).all()
    net.seek(1)
    assert net.forward()["l"].tolist() == [4, 0, 1, 2]


def test_shuffling_keeps_files_together(tmp_path: Path) -> None:
    source = files(tmp_path, 4, 3, 2)
    net = net_of(source, 9, "shuffle: true", "l")
    passes = [net.forward()["l"].astype(int).tolist() for _ in range(5)]
    assert len({tuple(one) for one in passes}) == 5
    for one in passes:
        assert sorted(one) == list(range(9))
        owners = [(row >= 4) + (row >= 7) for row in one]
        assert sum(a != b for a, b in pairwise(owners)) == 2  # three stretches
    net.seek(3)
    assert net.forward()["l"].astype(int).tolist() == passes[3]
    halves = [
        net_of(source, 3, "shuffle: true", "l", rank=rank, world=3).forward()["l"]
        for rank in range(3)
    ]
    assert np.concatenate(halves).astype(int).tolist() == passes[0]


def test_what_hdf5_data_refuses(tmp_path: Path) -> None:
    source = files(tmp_path, 2, 2)
    for wanted, message in (
        (lambda: net_of(source, 2, tops="data"), r"0.h5: no dataset 'data'"),
        (lambda: net_of(str(tmp_path / "none"), 2), "none: No such file"),
        (lambda: net_of(source, 0), "layer 'h', hdf5_data_param.batch_size: must be positive"),
        (
            lambda: build(layer("HDF5Data", "", "x", "transform_param { scale: 2 }", name="h")),
            "transform_param: HDF5Data does not transform",
        ),
    ):
        with pytest.raises(CaffeError, match=message):
            wanted()
    with h5py.File(tmp_path / "1.h5", "a") as file:
        del file["x"]
        file["x"] = np.zeros((2, 5))
    with pytest.raises(
        CaffeError, match=r"1.h5: an item of 'x' is \(5,\), in .*0.h5 it is \(2, 3\)"
    ):
        net_of(source, 2)
    with h5py.File(tmp_path / "1.h5", "a") as file:
        del file["x"]
        file["x"] = np.zeros((3, 2, 3))
    with pytest.raises(
        CaffeError,
        match=r"1.h5: datasets x, l should have the same number of rows, and some, found \[2, 3\]",
    ):
        net_of(source, 2)
    (tmp_path / "1.h5").write_bytes(b"no HDF5 at all")
    with pytest.raises(CaffeError, match=r"1.h5: cannot be read as HDF5"):
        net_of(source, 2)
    with h5py.File(tmp_path / "1.h5", "w") as file:
        file["x"] = "words"
    with pytest.raises(CaffeError, match=r"1.h5: dataset 'x' should hold numbers"):
        net_of(source, 2)


def test_damaged_files_are_refused_in_one_line(tmp_path: Path) -> None:
    """One byte of the file's metadata after the other has another value."""
    source = files(tmp_path, 2)
    path = tmp_path / "0.h5"
    whole = path.read_bytes()
    refusals = []
    for at in range(0, 2048, 4):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        try:
            net_of(source, 2)
        except CaffeError as error:
            refusals.append(str(error))
    assert len(refusals) > 20
    assert all("0.h5: " in refusal for refusal in refusals)
    assert not any("\n" in refusal for refusal in refusals)


def test_a_dataset_beside_one_whose_name_is_not_utf8(tmp_path: Path) -> None:
    source = files(tmp_path, 2)
    with h5py.File(tmp_path / "0.h5", "a") as file:
        file[b"\xff\xfe"] = np.zeros(2)
        del file["x"]
        file["xx"] = np.zeros((2, 2, 3))
    with pytest.raises(CaffeError, match=r"0\.h5: no dataset 'x'.*'?xx"):
        net_of(source, 2)


def test_output_gathers_the_rows_of_every_pass(tmp_path: Path) -> None:
    words = (
        data("x", 2, 3)
        + data("l", 2)
        + layer(
            "HDF5Output",
            "x l",
            "",
            f'hdf5_output_param {{ file_name: "{tmp_path}/o.h5" }}',
            name="o",
        )
    )
    net = build(words)
    for number in (1, 2):
        net.forward(x=np.full((2, 3), number), l=np.full(2, -number))
    assert not (tmp_path / "o.h5").exists()
    net.close()
    with h5py.File(tmp_path / "o.h5") as file:
        assert file["data"].shape == (4, 3, 1, 1)
        assert file["label"][:].ravel().tolist() == [-1, -1, -2, -2]
    assert [f.name for f in tmp_path.iterdir()] == ["o.h5"]
    (tmp_path / "list.txt").write_text(f"{tmp_path}/o.h5")
    assert net_of(str(tmp_path / "list.txt"), 4, tops="data label").forward()["data"][
        :, 0, 0, 0
    ].tolist() == [1, 1, 2, 2]
    with held(tmp_path, "o.h5") as other:
        said = f"layer 'o'.*o.h5: process {other.pid} is writing there"
        with pytest.raises(CaffeError, match=said):
            build(words)
    with pytest.raises(CaffeError, match=r"layer 'o'.*nowhere/o.h5 cannot be written"):
        build(words.replace("o.h5", "nowhere/o.h5"))
    with pytest.raises(
        CaffeError,
        match=r"layer 'o', hdf5_output_param.file_name: all processes would write one file",
    ):
        build(words, world=2)


@pytest.mark.parametrize("passes", [0, 1])
def test_an_older_output_stays_until_there_is_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passes: int
) -> None:
    """No pass, and a pass to a full disk."""
    (tmp_path / "o.h5").write_bytes(b"old")
    words = f'hdf5_output_param {{ file_name: "{tmp_path}/o.h5" }}'
    net = build(data("x", 2, 3) + data("l", 2) + layer("HDF5Output", "x l", "", words, name="o"))

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(hdf5_rows.HDF5Rows, "append", refuse)
    said = "layer 'o'.*o.h5 cannot be written: .*No space left on device"
    for _ in range(passes):
        with pytest.raises(CaffeError, match=said):
            net.forward(x=np.zeros((2, 3)), l=np.zeros(2))
    net.close()
    assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [("o.h5", b"old")]


# ---- datasets whose values lie in other files


def write(file: str, value: float = 1) -> None:
    with h5py.File(file, "w") as opened:
        opened["x"] = np.full((2, 3), value, np.float32)


def join(file: str, *sources: str) -> None:
    """Write a virtual dataset of these files' rows."""
    layout = h5py.VirtualLayout((2 * len(sources), 3), np.float32)
    for i, source in enumerate(sources):
        layout[2 * i : 2 * i + 2] = h5py.VirtualSource(source, "x", (2, 3))
    with h5py.File(file, "w") as opened:
        opened.create_virtual_dataset("x", layout)


def join_blocks(file: str, pattern: str) -> None:
    """Write a virtual dataset of files that are numbered from 0, in place of %b."""
    unlimited = h5py.h5s.UNLIMITED
    whole = h5py.h5s.create_simple((2, 3), (unlimited, 3))
    blocks = h5py.h5s.create_simple((2, 3), (unlimited, 3))
    blocks.select_hyperslab((0, 0), (unlimited, 1), (2, 3), (2, 3))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_virtual(blocks, pattern.encode(), b"x", h5py.h5s.create_simple((2, 3)))
    with h5py.File(file, "w", libver="latest") as opened:
        h5py.h5d.create(opened.id, b"x", h5py.h5t.NATIVE_FLOAT, whole, plist)


def link(file: str, target: str) -> None:
    with h5py.File(file, "w") as opened:
        opened["x"] = h5py.ExternalLink(target, "x")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders with a file each; `set` is the list's."""
    monkeypatch.chdir(tmp_path)
    for folder, value in (("set", 1), ("out", 9)):
        Path(folder).mkdir()
        write(f"{folder}/plain.h5", value)
    return tmp_path


def rows_of(file: str) -> list[float]:
    Path("set/list.txt").write_text(f"{file}\n")
    x = net_of("set/list.txt", 4, tops="x").forward()["x"]
    return x[:, 0].tolist()


def test_datasets_may_join_files_of_their_folder(folders: Path) -> None:
    write("set/other.h5", 2)
    join("set/both.h5", "plain.h5", f"{folders}/set/other.h5")
    assert rows_of("set/both.h5") == [1, 1, 2, 2]
    link("set/link.h5", "both.h5")
    assert rows_of("set/link.h5") == [1, 1, 2, 2]
    join("set/itself.h5", "both.h5")  # the first two rows of another joint
    assert rows_of("set/itself.h5") == [1, 1, 1, 1]
    Path("set/0.h5").symlink_to("plain.h5")
    Path("set/1.h5").symlink_to("other.h5")
    join_blocks("set/blocks.h5", "%b.h5")
    assert rows_of("set/blocks.h5") == [1, 1, 2, 2]
    join("out/listed.h5", "plain.h5")  # a file that the list names may have its own folder's
    assert rows_of("out/listed.h5") == [9, 9, 9, 9]


def test_of_files_of_one_name_the_one_that_hdf5_reads_counts(folders: Path) -> None:
    write("plain.h5", 5)  # in the working directory
    join("set/joint.h5", "plain.h5")
    assert rows_of("set/joint.h5") == [1, 1, 1, 1]


def test_values_in_other_places_are_refused(folders: Path) -> None:
    secret = Path("secret")
    secret.write_bytes(bytes(24))
    with h5py.File("set/raw.h5", "w") as file:
        file.create_dataset("x", (2, 3), np.float32, external=[(str(secret), 0, 24)])
    join("set/nested.h5", "raw.h5")
    for name in ("raw", "nested"):
        with pytest.raises(CaffeError, match=rf"^set/{name}.h5: .* secret, HDF5's ext"):
            rows_of(f"set/{name}.h5")
    outside = str(folders / "out/plain.h5")
    join("set/up.h5", "plain.h5", "../out/plain.h5")
    join("set/absolute.h5", outside)
    Path("out/0.h5").symlink_to("plain.h5")
    join_blocks("set/blocks.h5", "../out/%b.h5")
    link("set/link.h5", "../out/plain.h5")
    Path("set/symbolic.h5").symlink_to("../out/plain.h5")
    join("set/by_symbolic.h5", "symbolic.h5")
    join("set/by_link.h5", "linked.h5")
    link("set/linked.h5", outside)
    for name in ("up", "absolute", "blocks", "link", "by_symbolic", "by_link"):
        words = rf"^set/{name}.h5: dataset '/x' .* {outside}, outside {folders}/set; put that file"
        with pytest.raises(CaffeError, match=words):
            rows_of(f"set/{name}.h5")


def test_a_missing_part_of_a_dataset_is_refused(folders: Path) -> None:
    """HDF5 reads zeros in its place, without a word."""
    join("set/lacks.h5", "plain.h5", "nowhere.h5")
    with pytest.raises(CaffeError, match=r"^set/lacks.h5: .* nowhere.h5, which is not there"):
        rows_of("set/lacks.h5")
