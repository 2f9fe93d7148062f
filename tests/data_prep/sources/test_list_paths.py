"""Lists whose paths begin elsewhere: with DIR's own name, a slash, or another machine's folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep import open_source
from tests.data_prep.support import build


@pytest.mark.parametrize(
    "before", ["VOC2007/", "/", "/home/me/VOCdevkit/VOC2007/", "C:\\me\\VOC2007\\", "./voc/"]
)
def test_paths_that_begin_elsewhere(
    folder: Path, tmp_path: Path, before: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{before}JPEGImages/{i}.jpg {before}Annotations/{i}.xml\n" for i in (0, 2)]
    (folder / "mine.txt").write_text("".join(lines))
    lines = [f"JPEGImages/{i}.jpg Annotations/{i}.xml\n" for i in (0, 2)]
    (folder / "plain.txt").write_text("".join(lines))
    plain = build(folder, tmp_path / "plain/lmdb", "--list", "plain.txt")
    capsys.readouterr()
    assert build(folder, tmp_path / "mine/lmdb", "--list", "mine.txt") == plain
    said = capsys.readouterr().err
    place = f"data_prep: note: {folder}/mine.txt:1: its paths begin with "
    prefix = before.replace("\\", "/").removeprefix("./")
    assert said == f"{place}{prefix}, which is left out: they are those of {folder}\n"


def test_paths_that_are_right_or_missing_stay(folder: Path) -> None:
    (folder / "VOC2007").mkdir()
    (folder / "VOC2007/0.jpg").write_bytes(b"another image")
    lines = ["VOC2007/0.jpg Annotations/0.xml\n", "JPEGImages/1.jpg Annotations/1.xml\n"]
    (folder / "mine.txt").write_text("".join(lines))
    source = open_source("voc", folder)
    items = source.read_list("mine.txt")
    assert [f"{item.image} {item.annotation}\n" for item in items] == lines
    (folder / "mine.txt").write_text("x/JPEGImages/9.jpg x/Annotations/9.xml\n")
    [item] = source.read_list("mine.txt")
    assert item.image == "x/JPEGImages/9.jpg", "missing, and named as the list has it"
    assert list(source.findings) == []
