"""Malformed annotations of every kind: whatever the file, a clean report that names it.

FUZZ_SEEDS=50 runs as many times the cases, other ones.
"""

from __future__ import annotations

import copy
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from data_prep.checks.item_checks import Rules, inspect
from data_prep.sources import open_source
from ssd_common.errors import CaffeError
from tests.data_prep.conversions import convert
from tests.data_prep.support import XML, voc_folder

CASES = 450  # of each kind
SEEDS = range(int(os.environ.get("FUZZ_SEEDS", "1")))
KINDS = (
    *("voc", "coco", "csv", "yolo", "kitti"),
    *("cvat", "labelme", "via", "labelstudio", "createml", "dota", "widerface", "visdrone"),
)
SPOILT = {
    "voc": ["Annotations/0.xml", "Annotations/1.xml"],
    "coco": ["annotations/instances_all.json"],
    "csv": ["boxes.csv"],
    "yolo": ["labels/0.txt", "labels/1.txt", "data.yaml"],
    "kitti": ["label_2/0.txt", "label_2/1.txt"],
    "cvat": ["annotations.xml"],
    "labelme": ["0.json", "1.json"],
    "via": ["via.json"],
    "labelstudio": ["project.json"],
    "createml": ["_annotations.createml.json"],
    "dota": ["labelTxt/0.txt", "labelTxt/1.txt"],
    "widerface": ["wider_face_split/wider_face_train_bbx_gt.txt"],
    "visdrone": ["annotations/0.txt", "annotations/1.txt"],
}
JUNK = [
    *(b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"nan", b"-inf", b"1e999", b"-1"),
    *(b"9" * 400, b"9" * 5000, b"0x1f", b"1_0", b"null", b"true", b""),
    *(b'"', b"'", b"<", b">", b"&amp;", b"&x;", b"]]>", b"{", b"}", b"[", b"]" * 9),
    *(b",", b";", b":", b"#", b"-", b"%s", b"..", b"/", b" " * 300),
    *(b"\t", b"\n", b"\r", b"\r\n", b"\\u0000", b"\\ud800", b"[" * 3000, b"<a>" * 500),
    *(c.encode() for c in ("ñ", "\u2028", "🐈", "\x85")),
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 1e300, -1e-300, 10**30, float("nan"), float("inf")),
    *("", "x", "1", "ñ\n\0", "../a", "/"),
    *([], {}, [1], [None] * 4, ["1"] * 4, [1e9, 1, 1, 1], {"id": 1}),
]


def bytes_changed(data: bytes, rng: random.Random) -> bytes:
    """The file cut, with a piece replaced, doubled or moved, or bits flipped."""
    for _ in range(rng.choice((1, 1, 2, 5))):
        at, to = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        to = rng.choice((at, min(at + rng.randrange(12), len(data)), to))
        how = rng.randrange(5)
        if how == 0:
            data = data[:at]
        elif how in {1, 2}:
            data = data[:at] + rng.choice(JUNK) + data[to:]
        elif how == 3:
            data = data[:to] + data[at:to] + data[to:]
        elif data and at < len(data):
            data = data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
    return data


def values_changed(data: bytes, rng: random.Random) -> bytes:
    """The JSON with some of its values replaced, or keys or elements missing."""
    whole = json.loads(data)
    for _ in range(rng.choice((1, 1, 3))):
        node: Any = whole
        while isinstance(node, (dict, list)) and node:
            key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
            if not isinstance(node[key], (dict, list)) or not node[key] or rng.random() < 0.25:
                break
            node = node[key]
        if not isinstance(node, (dict, list)) or not node:
            break
        if rng.random() < 0.25:
            del node[key]
        else:
            node[key] = copy.deepcopy(rng.choice(VALUES))
    return json.dumps(whole).encode()


def words_changed(data: bytes, rng: random.Random) -> bytes:
    """The text with one of its words, numbers, names or fields, replaced."""
    words = (
        data.split(b" ")
        if rng.random() < 0.5
        else data.replace(b">", b"> ").replace(b"<", b" <").split(b" ")
    )
    words[rng.randrange(len(words))] = rng.choice(
        JUNK + [str(v).encode() for v in VALUES if not isinstance(v, str)]
    )
    return b" ".join(words)


TWO_CATS = XML.format(name="cat").replace("</annotation>", "") + XML.format(name="cat").partition(
    "</size>"
)[2].replace(">4<", ">6<")
JSON = (bytes_changed, values_changed, values_changed)
TEXT = (bytes_changed, bytes_changed, words_changed)
CHANGES = {"coco": JSON, "labelme": JSON, "via": JSON, "labelstudio": JSON, "createml": JSON}
LABELS = {"cat": 1, "face": 2, "car": 3}


def complaints(kind: str, root: Path) -> list[str]:
    """What a build would say of the data set; any error but a CaffeError fails the test."""
    try:
        source = open_source(kind, root)
        items = source.items()
    except CaffeError as error:
        return [str(error)]
    rules = Rules(LABELS, "map", whole_pixels=source.whole_pixels)
    return [str(fault) for item in items for fault in inspect(source, item, rules).faults]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["voc", "coco", "csv", "yolo"])
def test_any_list_is_read_or_refused(kind: str, seed: int, tmp_path: Path, jpeg: bytes) -> None:
    voc = voc_folder(tmp_path / "voc", jpeg)
    root = voc if kind == "voc" else convert(kind, voc, tmp_path / kind)
    file = tmp_path / "list.txt"
    names = [item.image for item in open_source(kind, root).items()]
    whole = "".join(f"{name}\n" for name in names).encode()
    file.write_bytes(whole)
    assert len(open_source(kind, root).read_list(str(file))) == len(names)
    rng = random.Random(f"list {kind} {seed}")
    refused = []
    for _ in range(CASES):
        file.write_bytes(bytes_changed(whole, rng))
        try:
            open_source(kind, root).read_list(str(file))
        except CaffeError as error:
            refused.append(str(error))
    assert 0 < len(refused) < CASES
    assert [said for said in refused if not said.isprintable() or str(tmp_path) not in said] == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KINDS)
def test_any_file_gives_a_clean_report(kind: str, seed: int, tmp_path: Path, jpeg: bytes) -> None:
    voc = voc_folder(tmp_path / "voc", jpeg)
    (voc / "Annotations/0.xml").write_text(TWO_CATS)
    root = voc if kind == "voc" else convert(kind, voc, tmp_path / kind)
    assert not complaints(kind, root)
    rng = random.Random(f"{kind} {seed}")
    found = 0
    for case in range(CASES):
        name = rng.choice(SPOILT[kind])
        whole = (root / name).read_bytes()
        change = rng.choice(CHANGES.get(kind, TEXT))
        spoilt = change(whole, rng)
        (root / name).write_bytes(spoilt)
        try:
            said = complaints(kind, root)
        except Exception as error:
            raise AssertionError(
                f"case {case} of {kind}: {error!r} for {name}:\n{spoilt[:2000]!r}"
            ) from error
        assert all(line.isprintable() for line in said), (case, said)
        assert all(str(root) in line for line in said), (case, said)
        found += bool(said)
        (root / name).write_bytes(whole)
    assert found > CASES / 4
