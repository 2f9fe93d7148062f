"""A build reads every annotation once, and tells images apart by more than their checksum."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

from data_prep import check
from data_prep.build import known
from data_prep.build.class_map import class_map
from data_prep.build.convert import Job, convert, stamps
from data_prep.checks.item_checks import Rules
from data_prep.sources import voc
from data_prep.sources.source import Annotation
from data_prep.sources.voc import Folder
from data_prep.sources.voc_xml import read_annotation
from tests.data_prep.build.many import COUNT, run


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The annotation files that this process has read so far."""
    files: list[str] = []

    def noting(path: str) -> Annotation:
        files.append(path)
        return read_annotation(path)

    monkeypatch.setattr(voc, "read_annotation", noting)
    return files


def test_each_annotation_is_read_once(
    many: Path, tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built = run(many, tmp_path / "once", "--workers", 1)
    assert len(set(read)) == len(read) == COUNT
    read.clear()
    check(Folder(many))
    assert len(set(read)) == len(read) == COUNT
    read.clear()
    monkeypatch.setattr(known, "MOST_BYTES", 500)
    assert run(many, tmp_path / "again", "--workers", 1) == built
    assert COUNT < len(read) < 2 * COUNT, "those beyond a bounded memory are read again"


def test_a_file_that_changes_after_it_was_read_counts_as_changed(many: Path) -> None:
    source = Folder(many)
    items = source.items()[:1]
    before = stamps(source, items[0])
    classes = class_map(source, items, None)
    os.utime(source.file(items[0]), ns=(0, 0))
    entries = known.entries(items, classes.known)
    ((_, record, note),) = convert(Job(source, Rules(classes.labels(source), "")), 0, entries)
    assert record
    assert note[-1] == before != stamps(source, items[0])


def test_images_of_one_checksum(
    many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (b"plumless", b"buckeroo")
    assert zlib.crc32(words[0]) == zlib.crc32(words[1])
    image = (many / "JPEGImages/0.jpg").read_bytes()
    for number, word in {3: words[0], 5: words[1], 7: words[0], 9: words[1]}.items():
        (many / f"JPEGImages/{number}.jpg").write_bytes(image + word)
    run(many, tmp_path, "--workers", 1, "--report", tmp_path / "report")
    assert (tmp_path / "report").read_text().splitlines() == [
        "note: repeated: JPEGImages/7.jpg is the same image as JPEGImages/3.jpg",
        "note: repeated: JPEGImages/9.jpg is the same image as JPEGImages/5.jpg",
    ]
    capsys.readouterr()
