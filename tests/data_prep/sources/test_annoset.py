"""Annotation files of the fork's --label_type: the fork's records of them, and clean refusals."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from data_prep.cli import main
from data_prep.sources.annoset import Annoset
from data_prep.sources.source import Item, Unreadable
from ssd_common.errors import CaffeError
from tests.data_prep.support import BCCD, GOLDEN, records, refused
from tests.support import needs_shared

JSON = """{"image": {"height": 480, "width": 640, "id": 1}, "annotation": [
  {"category_id": 44, "iscrowd": 0, "bbox": [101.37, 20.05, 77.7, 310.99]},
  {"category_id": 3, "iscrowd": 1, "bbox": [0.1, 0.2, 639.9, 479.8]},
  {"category_id": 44, "bbox": [33, 44, 55, 66.25]}]}"""
JUNK = (
    b"NaN",
    b"1e999",
    b"-1",
    b"null",
    b"[]",
    b"{}",
    b'"x"',
    b"9" * 400,
    b"\xff",
    b"\n",
    b"\0",
    b"1_0",
    b"1e30",
    b"[" * 3000,
    b"",
    b" 2 ",
)
TXT = "2 10.5 20.25 30.125 40\n\n1 0.3 0.7 99.99 123.456\n2 1 2 3 4\n"


def folder_of(root: Path, image: bytes, annotation: str, kind: str) -> Path:
    root.mkdir()
    (root / "a.jpg").write_bytes(image)
    (root / f"a.{kind}").write_text(annotation)
    (root / "list.txt").write_text(f"a.jpg a.{kind}\n")
    return root


@needs_shared
@pytest.mark.parametrize(
    # expected: sha256 of the record that the fork's convert_annoset makes with --encode_type=jpg
    ("kind", "annotation", "labels", "expected"),
    [
        ("json", JSON, "coco", "32c46a4f369dde9b"),
        ("txt", TXT, str(GOLDEN / "labelmap.prototxt"), "a1fc306aad0338f9"),
    ],
    ids=["json", "txt"],
)
def test_records_are_the_forks(
    tmp_path: Path, kind: str, annotation: str, labels: str, expected: str
) -> None:
    root = folder_of(
        tmp_path / "set", (BCCD / "JPEGImages/BloodImage_00007.jpg").read_bytes(), annotation, kind
    )
    main(
        [
            "annoset",
            str(root),
            "--list",
            "list.txt",
            "--label_type",
            kind,
            "--labelmap",
            labels,
            "--out",
            str(tmp_path / "out/lmdb"),
        ]
    )
    assert (
        hashlib.sha256(records(tmp_path / "out/lmdb")[b"00000000_a.jpg"]).hexdigest()[:16]
        == expected
    )


@pytest.mark.parametrize(
    ("kind", "annotation", "said"),
    [
        ("json", "{", "FILE:1:2: not JSON: Expecting property name"),
        ("json", "[]", "FILE:1: not an object `image` with"),
        (
            "json",
            '{"annotation": [{"bbox": [1, 2, 3, 4]}]}',
            "FILE:1: annotation[0] is without 'category_id'",
        ),
        ("json", "{}", "FILE:1: without 'annotation'"),
        ("json", '{"annotation": 5}', "FILE:1: not an object `image` with"),
        (
            "json",
            '{"annotation": [{"category_id": 1, "bbox": [1, 2]}]}',
            "FILE:1: annotation[0] has no category_id or no bbox of four",
        ),
        (
            "json",
            '{"annotation": [{"category_id": 1, "bbox": [1, 2, NaN, 4]}]}',
            "FILE:1: annotation[0] has no category_id or no",
        ),
        ("txt", "1 2 3 4\n", "FILE:1: '1 2 3 4' is not `label xmin ymin xmax ymax`"),
        ("txt", "\n1 2 3 x 4\n", "FILE:2: '1 2 3 x 4' is not `label xmin ymin xmax ymax`"),
        ("txt", "99 2 3 4 5\n", "FILE:1: label 99 is not in the label map"),
        ("txt", "9" * 5000 + " 2 3 4 5\n", f"FILE:1: '{'9' * 60}…' is not `label xmin ymin"),
    ],
)
def test_bad_annotations(
    *,
    tmp_path: Path,
    jpeg: bytes,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    annotation: str,
    said: str,
) -> None:
    root = folder_of(tmp_path / "set", jpeg, annotation, kind)
    argv = (
        "annoset",
        root,
        "--list",
        "list.txt",
        "--label-type",
        kind,
        "--labelmap",
        "voc",
        "--out",
        tmp_path / "out/lmdb",
    )
    assert refused(capsys, *argv).startswith(said.replace("FILE", f"{root}/a.{kind}"))


def test_all_faults_of_a_file_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1 2 3 x 4\n1 2 3 4 5\n\n99 2 3 4 5\n")
    (tmp_path / "a.json").write_text(
        '{"annotation": [{"bbox": [1, 2, 3, 4]}, {"category_id": 1, "bbox": [1, 2, 3, 4]}, 5]}'
    )
    said = {}
    for kind in ("txt", "json"):
        with pytest.raises(Unreadable) as caught:
            Annoset(tmp_path, kind, {1: "a"}).read(Item("a.jpg", f"a.{kind}"))
        said[kind] = [
            str(error).removeprefix(f"{tmp_path}/a.{kind}:") for error in caught.value.errors
        ]
    assert said["txt"] == [
        "1: '1 2 3 x 4' is not `label xmin ymin xmax ymax`",
        "4: label 99 is not in the label map",
    ]
    assert said["json"] == [
        "1: annotation[0] is without 'category_id'",
        "1: annotation[2] has no category_id or no bbox of four numbers",
    ]


def test_what_the_types_need(
    tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    root = folder_of(tmp_path / "set", jpeg, TXT, "txt")
    argv = ("annoset", root, "--label-type", "txt", "--out", tmp_path / "out/lmdb")
    assert (
        refused(capsys, *argv, status=2)
        == "--label-type txt needs --labelmap: annotations have label numbers, not names;"
        " see data_prep annoset --help"
    )
    assert (
        refused(capsys, *argv, "--labelmap", "voc", status=2)
        == "--label-type txt needs --list, or --train-list and --test-list;"
        " see data_prep annoset --help"
    )


@pytest.mark.parametrize(("kind", "annotation"), [("json", JSON), ("txt", TXT)])
def test_any_file_is_read_or_refused(tmp_path: Path, kind: str, annotation: str) -> None:
    source = Annoset(tmp_path, kind, {1: "a", 2: "b"})
    item = Item("a.jpg", f"a.{kind}")
    file = tmp_path / f"a.{kind}"
    rng = random.Random(0)
    refusals = 0
    for _ in range(400):
        data = bytearray(annotation.encode())
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.randint(0, 4)] = rng.choice(JUNK)
        file.write_bytes(data)
        try:
            source.read(item)
        except CaffeError as error:
            refusals += 1
            assert str(error).startswith(f"{file}:")  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017
    assert 50 < refusals < 400
