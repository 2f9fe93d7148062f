"""YOLO's data.yaml in every form that people have: what it means, or file and line of the fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.sources import yolo_names
from data_prep.sources.yaml_file import YamlFile
from data_prep.sources.yolo import Yolo
from tests.data_prep.conversions import said

# Content, and the class names in it.
FORMS: dict[str, tuple[str, list[str]]] = {
    "block": ("names:\n- a\n-   b c  # d\n", ["a", "b c"]),
    "block of numbers": ("names:\n  1: b\n  0: a  # first\n", ["a", "b"]),
    "in brackets": ("names: [a, 'b, c']\n", ["a", "b, c"]),
    "over lines": ("names: [\n  a,  # one\n  b\n]\n", ["a", "b"]),
    "in braces": ('names: {0: a, 1: "b"}\n', ["a", "b"]),
    "doubled quote": ("names: ['it''s', \"k\"]\n", ["it's", "k"]),
    "escapes": ('names: ["caf\\u00e9", "\\x41"]\n', ["café", "A"]),
    "alias": ("classes: &all [a, b]\nnames: *all\n", ["a", "b"]),
    "alias of a name": ("first: &a cat\nnames: [*a, b]\n", ["cat", "b"]),
    "taken over": ("base: &b\n  names: [a]\n<<: *b\n", ["a"]),
    "taken over and replaced": ("b: &b {names: [a]}\n<<: [*b]\nnames: [c]\n", ["c"]),
    "names taken over": ("b: &b {0: a, 1: b}\nnames:\n  1: c\n  <<: *b\n", ["a", "c"]),
    "words that YAML has for other things": (
        "names: [no, on, null, ~, 007, 1.0, 12:30, 2020-01-01, 0x1f]\n",
        ["no", "on", "null", "~", "007", "1.0", "12:30", "2020-01-01", "0x1f"],
    ),
    "quoted keys": ('"nc": 1\n"names": ["a"]\n', ["a"]),
    "JSON": ('{"nc": 1, "names": ["a"]}', ["a"]),
    "Windows": ("names:\r\n  0: a\r\n  1: b\r\n", ["a", "b"]),
    "byte order mark": ("\ufeffnames: [a]\n", ["a"]),
    "document": ("# top\n---\nnames: [a]\n...\n", ["a"]),
    "hash in a word": ("names: [a#b]  # c\n", ["a#b"]),
    "script": (
        "names:\n  0: a\n\n# Download\ndownload: |\n  import json\n\n  urls = [f'{x}:'\n"
        '  for y in z:  # names: [b]\n      print("\\d")\n',
        ["a"],
    ),
    "folded text": ("text: >\n  names: [b]\n  more\nnames: [a]\n", ["a"]),
    "tags": ("x: !!python/object/apply:os.system ['false']\nnames: !!seq [!!str a]\n", ["a"]),
    "other keys": ("? [x, y]\n: z\nroboflow:\n  url: https://x.org/y\nnames: [a]\n", ["a"]),
}


@pytest.mark.parametrize("form", FORMS)
def test_class_names(form: str, tmp_path: Path) -> None:
    content, classes = FORMS[form]
    (tmp_path / "data.yaml").write_bytes(content.encode())
    assert yolo_names.read(tmp_path, None).classes == classes


def test_utf16(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_bytes("names: [café]\n".encode("utf-16"))
    assert yolo_names.read(tmp_path, None).classes == ["café"]


def test_values(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text('path: "C:\\train\\new"\ntrain:\n- x\n- y\nval:\ntest: ~\nnc: "~"\n')
    found = YamlFile(file)
    # Not a tab and a new line.
    assert found.text("path") == ("C:\\train\\new", 1)
    assert found.texts("train") == [("x", 3), ("y", 4)]
    assert found.texts("val") == found.texts("test") == found.texts("missing") == []
    assert found.text("test") is None
    assert found.text("nc") == ("~", 7)


BAD = {
    "train: images\n": "FILE: no class names in it (names: [person, car])",
    "": "FILE: no class names in it (names: [person, car])",
    "names:\nnc: 0\n": "FILE: no class names in it (names: [person, car])",
    "\nnames: []\n": "FILE:2: no class names in it (names: [person, car])",
    "\nnames: cat\n": "FILE:2: names: 'cat' where a list should be (names: [person, car])",
    "names: [a, b]\n\nnc: 3\n": "FILE:3: nc is 3, but there are 2 names",
    "nc: [2]\nnames: [a, b]\n": "FILE:1: nc: a list where a text should be",
    "names:\n  0: a\n  2: b\n": ("FILE:2: names should be numbered from 0 without gaps, not 0, 2"),
    "names: {-1: a}\n": "FILE:1: names should be numbered from 0 without gaps, not -1",
    f"names: {{{'9' * 900}: cat}}\n": (
        f"FILE:1: names should be numbered from 0 without gaps, not {'9' * 60}…"
    ),
    "names:\n  '': cat\n": "FILE:2: names should be numbered from 0 without gaps, not ",
    "names:\n  0: a\n  1: b\n  0: c\n": "FILE:4: names: 0 is also at line 2",
    "names: [a]\n\nnames: [b]\n": "FILE:3: names is also at line 1",
    "names:\n- a\n- [b]\n": "FILE:3: names: a list where a text should be",
    "names:\n- a\n- b: c\n": "FILE:3: names: a mapping where a text should be",
    "names: &a [*a]\n": "FILE:1: names: a list where a text should be",
    "names:\n- a\n-\n": "FILE:3: a class without a name",
    "names: [a]\ntrain: {x: y}\n": "FILE:2: train: a mapping where a text should be",
    "names: [a]\npath: [x]\n": "FILE:2: path: a list where a text should be",
    "hello\n": "FILE:1: 'hello' where 'key: value' should be",
    "- a\n": "FILE:1: a list where 'key: value' should be",
    "names: [a\nnc: 1\n": (
        "FILE:2: not YAML: while parsing a flow sequence from line 1: "
        "expected ',' or ']', but got ':'"
    ),
    "names:\n\t- a\n": (
        "FILE:2: not YAML: "
        "found character '\\t' that cannot start any token (YAML indents with spaces)"
    ),
    'path: "C:\\data"\nnames: [a]\n': (
        "FILE:1: not YAML: while scanning a double-quoted scalar from line 1: found unknown "
        "escape character 'd' (a path with \\ goes without quotes, or in single ones)"
    ),
    "names: [*a]\n": "FILE:1: not YAML: found undefined alias 'a'",
    "names: [a]\n\nx: \a\n": "FILE:3: not YAML: a character that it does not allow",
    f"names: {'[' * 3000}": "FILE: not YAML: lists too deep in each other",
}


@pytest.mark.parametrize("content", BAD)
def test_bad_files(content: str, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(content)
    assert said(lambda: Yolo(tmp_path)) == BAD[content].replace("FILE", f"{tmp_path}/data.yaml")


def test_no_text(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_bytes(b"names: [caf\xe9]\n")
    assert said(lambda: Yolo(tmp_path)).startswith(
        f"{tmp_path}/data.yaml: not a YAML file: it is neither UTF-8 nor UTF-16 text"
    )


def test_another_file_with_the_names_in_another_order(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: [cat, dog]\n")
    (tmp_path / "obj.names").write_text("cat\ndog\n")
    (tmp_path / "predefined_classes.txt").write_text("person\nbus\n")
    assert Yolo(tmp_path).findings == []
    other = tmp_path / "classes.txt"
    other.write_text("dog\ncat\n")
    message = "data.yaml has these classes in another order, and is taken"
    assert Yolo(tmp_path).findings == [("reordered", str(other), message)]
    assert Yolo(tmp_path, other).findings == []
