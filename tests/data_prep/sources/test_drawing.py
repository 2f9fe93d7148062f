"""Images drawn for testing: a share of them, and what stays together."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from data_prep.build.check import check
from data_prep.cli import main
from data_prep.images import identical as identical_files
from data_prep.images.identical import identical
from data_prep.sources import open_source
from data_prep.sources.drawing import draw
from data_prep.sources.source import Item
from tests.data_prep.conversions import said
from tests.data_prep.support import XML, refused


def items(count: int) -> list[Item]:
    return [Item(f"{i}.jpg", f"{i}.xml") for i in range(count)]


def named(*images: str) -> list[Item]:
    return [Item(image, "0") for image in images]


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(100, 0.2, 20), (10, 0.01, 1), (2, 0.99, 1), (7, 0.5, 4)]
)
def test_a_share_is_drawn(count: int, share: float, expected: int, tmp_path: Path) -> None:
    train, test = draw(tmp_path, items(count), share, 0)
    assert len(test) == expected
    assert sorted(train + test) == sorted(items(count))
    assert train == [i for i in items(count) if i in train]  # in their order
    assert draw(tmp_path, items(count), share, 0) == (train, test)


def test_the_draw_hardly_changes_with_more_images(tmp_path: Path) -> None:
    before = {i.image for i in draw(tmp_path, items(500), 0.2, 1)[1]}
    after = {i.image for i in draw(tmp_path, items(520), 0.2, 1)[1]}
    assert len(before - after) <= 4  # 0.2 * 500 of 520 would be 100 at random
    assert {i.image for i in draw(tmp_path, items(500), 0.2, 2)[1]} != before
    assert (
        said(lambda: draw(tmp_path, items(1), 0.2, 0))
        == "one image alone cannot be both for training and for testing"
    )


def test_a_draw_is_the_same_in_every_version(tmp_path: Path) -> None:
    """What was built earlier can be built again. Images by the order of sha256 of "0 i.jpg"."""
    test = [item.image for item in draw(tmp_path, items(20), 0.3, 0)[1]]
    assert test == ["0.jpg", "2.jpg", "4.jpg", "12.jpg", "14.jpg", "18.jpg"]


def test_the_same_pictures_stay_together(tmp_path: Path) -> None:
    for i in range(40):
        (tmp_path / f"{i}.jpg").write_bytes(b"%d" % (i % 20) * 5000)
    train, test = draw(tmp_path, items(40), 0.25, 0)
    pairs = {int(Path(item.image).stem) % 20 for item in test}
    assert (len(test), len(pairs)) == (10, 5)
    assert not pairs & {int(Path(item.image).stem) % 20 for item in train}


@pytest.mark.parametrize("piece", [1, 4096])
def test_identical_files(piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identical_files, "PIECE", piece)
    monkeypatch.setattr(identical_files, "CHUNK", 3)
    contents = [b"abcdef", b"abXdef", b"abcdef", b"", b"", b"abcdef", b"abXdef", b"abc"]
    paths = [str(tmp_path / str(i)) for i in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        Path(path).write_bytes(content)
    os.mkfifo(tmp_path / "pipe")
    paths += [str(tmp_path / "pipe"), str(tmp_path / "pipe"), str(tmp_path / "gone")]
    assert identical(paths) == [[0, 2, 5], [1, 6]]


def test_folders_and_prefixes_stay_together(tmp_path: Path) -> None:
    images = [f"{video}/{n}.jpg" for video in "abcde" for n in range(4)]
    train, test = draw(tmp_path, named(*images), 0.4, 3, "folder")
    assert len(test) == 8
    of_train = {Path(item.image).parent for item in train}
    assert not of_train & {Path(item.image).parent for item in test}


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("walk_0001.jpg", "walk_0002.jpg", True),
        ("walk-1.jpg", "walk 12.jpg", True),
        ("a/walk_0001.jpg", "b/walk_0002.jpg", False),
        ("a/0001.jpg", "a/0002.jpg", True),
        ("walk_0001.jpg", "run_0002.jpg", False),
        ("cat (1).jpg", "cat (2).jpg", True),
        (f"a1_jpg.rf.{'0f' * 16}.jpg", f"a1_jpg.rf.{'1e' * 16}.jpg", True),
        (f"a1_jpg.rf.{'0f' * 16}.jpg", f"a2_jpg.rf.{'0f' * 16}.jpg", False),
        (f"a_mp4-1_jpg.rf.{'0f' * 16}.jpg", f"a_mp4-23_jpg.rf.{'1e' * 16}.jpg", True),
        (f"a_mp4-1_jpg.rf.{'0f' * 16}.jpg", f"b_mp4-1_jpg.rf.{'1e' * 16}.jpg", False),
    ],
)
def test_prefixes(first: str, second: str, together: bool, tmp_path: Path) -> None:
    others = ["other.jpg", "another.jpg"]
    divided = False
    for seed in range(20):
        _, test = draw(tmp_path, named(first, second, *others), 0.5, seed, "prefix")
        names = {item.image for item in test}
        divided |= (first in names) != (second in names)
    assert divided == (not together)


def test_one_group_cannot_be_divided(tmp_path: Path) -> None:
    together = "all images belong together (the same pictures, or one group of --group-by)"
    told = said(lambda: draw(tmp_path, items(9), 0.2, 0, "folder"))
    assert told == f"{together}: they cannot be both for training and for testing"


def test_a_group_larger_than_the_share(tmp_path: Path, jpeg: bytes) -> None:
    """The smallest group is drawn, and the report says how far that is from the share."""
    for name in [f"a/{n}" for n in range(7)] + [f"b/{n}" for n in range(5)]:
        path = tmp_path / f"{name}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(jpeg + name.encode())
        path.with_suffix(".xml").write_text(XML.format(name="cat"))
    found = check(open_source("voc", tmp_path), test_share=0.2, group_by="folder")
    assert found.images == {"train": 7, "test": 5}
    (line,) = [line for line in found.report.grouped() if "share of" in line]
    assert line.strip() == "5 of 12 images, where 2 would be the share of 0.2"
    assert "share" not in check(open_source("voc", tmp_path), test_share=0.2).report.counts()


def test_flags(folder: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["voc", str(folder), "--out", str(out.parent), "--test-share", "0.4"]
    told = refused(capsys, *argv, "--group-by", "folder")
    assert told.startswith("all images belong together")
    told = refused(capsys, "voc", folder, "--out", out, "--group-by", "folder", status=2)
    assert told.startswith("--group-by is for images that --test-share draws")
    for part in ("JPEGImages", "Annotations"):
        for path in (folder / part).glob("2.*"):
            path.rename(path.with_stem("b2"))
    main([*argv, "--group-by", "prefix"])
    lists = {name: (out.with_name(name)).read_text() for name in ("train.txt", "test.txt")}
    assert lists["test.txt"] == "JPEGImages/b2.jpg Annotations/b2.xml\n"
