"""What the readers of exports have in common: images by name, lines of JSON, looks of folders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from data_prep.sources import KINDS, json_lines, json_stream
from data_prep.sources.image_finder import Finder, contradict
from data_prep.sources.kind import likely
from tests.data_prep.conversions import OWN_CLASSES, WRITERS, convert
from tests.data_prep.support import voc_folder
from tests.support import ROOT


@pytest.fixture
def finder(tmp_path: Path) -> Finder:
    for path in ("a.jpg", "images/b.jpg", "x/c.jpg", "y/c.jpg", "deep/er/d.PNG", "a b.jpg"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / unicodedata.normalize("NFD", "é.jpg")).touch()
    return Finder(tmp_path, ["", "images"])


@pytest.mark.parametrize(
    ("given", "image", "by_name"),
    [
        ("a.jpg", "a.jpg", False),
        ("./a.jpg", "a.jpg", False),
        ("b.jpg", "images/b.jpg", False),
        ("images\\b.jpg", "images/b.jpg", False),
        ("b", "images/b.jpg", False),
        ("d.PNG", "deep/er/d.PNG", True),
        ("d", "deep/er/d.PNG", True),
        ("/home/other/d.PNG", "deep/er/d.PNG", True),
        ("C:\\photos\\a.jpg", "a.jpg", True),
        ("set/y/c.jpg", "y/c.jpg", True),
        ("a%20b.jpg", "a b.jpg", False),
        ("https://host.org/images/b.jpg?token=a/b", "images/b.jpg", False),
        (unicodedata.normalize("NFC", "é.jpg"), unicodedata.normalize("NFD", "é.jpg"), False),
        ("http://[x/images/b.jpg", "images/b.jpg", False),
        ("file:///home/me/d.PNG#top", "deep/er/d.PNG", True),
        ("gone.jpg", "gone.jpg", False),
        ("/data/gone.jpg", "gone.jpg", False),
        # The folder x is there, and another image of the name lies elsewhere.
        ("other/x/a.jpg", "other/x/a.jpg", False),
        ("/data/images/c.jpg", "c.jpg", False),
    ],
)
def test_images_by_name(finder: Finder, given: str, image: str, by_name: bool) -> None:
    assert finder.find(given) == (image, by_name)


def test_an_image_that_may_be_either(finder: Finder) -> None:
    with pytest.raises(ValueError, match=r"^'z/c.jpg' may be x/c.jpg or y/c.jpg$"):
        finder.find("z/c.jpg")
    (finder.root / "images/b.png").touch()
    with pytest.raises(ValueError, match=r"^'b' may be b.jpg or b.png$"):
        finder.find("images/b")


@pytest.mark.parametrize(
    ("first", "second", "different"),
    [
        ("/x/a/1.jpg", "/x/b/1.jpg", True),
        ("a/1.jpg", "C:\\photos\\b\\1.jpg", True),
        ("/home/me/a/1.jpg", "C:\\set\\a\\1.jpg", False),
        ("1.jpg", "/x/b/1.jpg", False),
        ("https://host.org/a/1.jpg?x=b/1.jpg", "a/1.jpg", False),
    ],
)
def test_names_in_different_folders(first: str, second: str, different: bool) -> None:
    assert contradict(first, second) == different
    assert contradict(second, first) == different


TEXT = """
{"a": {"b": 1},
 "c": [{}, {"d": "}{\\"\\\\"},
   {"e": {
     "f": 2}}]}
"""


def test_objects_know_their_lines() -> None:
    found = json_lines.parse(TEXT, 11)
    assert found == json.loads(TEXT)
    lines = [found.line, found["a"].line, *(one.line for one in found["c"])]
    assert lines == [12, 12, 13, 13, 14]
    assert found["c"][2]["e"].line == 14


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_a_list_is_read_as_a_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    (tmp_path / "list.json").write_text(f"[{TEXT}, 12,\n {TEXT}]")
    found = list(json_stream.records(tmp_path / "list.json"))
    assert [element.value for element in found] == [json.loads(TEXT), 12, json.loads(TEXT)]
    assert [element.line for element in found] == [2, 6, 8]
    assert found[2].value["c"][2].line == 10


@pytest.mark.parametrize("kind", [*WRITERS, *OWN_CLASSES])
def test_a_folder_looks_like_its_own_kind_alone(kind: str, tmp_path: Path, jpeg: bytes) -> None:
    root = convert(kind, voc_folder(tmp_path / "voc", jpeg), tmp_path / kind)
    assert likely(root) == [kind]
    assert likely(tmp_path / "voc") == ["voc"]


PICKLED = """
import pickle, sys
from data_prep.sources import open_source
for kind in sys.argv[2:]:
    source = open_source(kind, f"{sys.argv[1]}/{kind}")
    source.items()
    print(kind, pickle.dumps(source).hex())
"""


def test_a_source_is_pickled_alike_in_every_process(tmp_path: Path, jpeg: bytes) -> None:
    """A build that was killed goes on only if its source is the same."""
    kinds = [*WRITERS, *OWN_CLASSES]
    for kind in kinds:
        convert(kind, voc_folder(tmp_path / "voc", jpeg), tmp_path / kind)
    found = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        argv = [sys.executable, "-c", PICKLED, str(tmp_path), *kinds]
        found.add(subprocess.check_output(argv, env=environment, text=True))
    assert len(found) == 1


def test_a_file_looks_like_its_kind(tmp_path: Path, jpeg: bytes) -> None:
    folder = voc_folder(tmp_path / "voc", jpeg)
    for kind, name in (("cvat", "annotations.xml"), ("via", "via.json"), ("csv", "boxes.csv")):
        root = convert(kind, folder, tmp_path / kind)
        assert likely(root / name) == [kind]
    assert likely(tmp_path / "nothing") == []
    (tmp_path / "empty").mkdir()
    assert likely(tmp_path / "empty") == []


def test_every_kind_shows_what_it_looks_like() -> None:
    for name, kind in KINDS.items():
        lines = kind.layout.strip().splitlines()
        assert len(lines) >= 2, name
        assert any("DIR" in line for line in lines), name
        assert f"data_prep {name} " in kind.examples, name
