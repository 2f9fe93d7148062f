"""verify: a whole LMDB passes; it names every damage by its key and survives it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from data_prep.cli import main
from ssd_common.command import run_command
from tests.data_prep.support import GOLDEN, build, refused, voc_folder
from tests.support import needs_shared

KEY = "00000001_JPEGImages/1.jpg"


def verify(*argv: object) -> int:
    return run_command("data_prep", main, ["verify", *map(str, argv)])


def spoil(path: Path, change: Callable[[pb.AnnotatedDatum], object]) -> None:
    """Change the second record of an LMDB."""
    with (
        lmdb.open(str(path), map_size=1 << 26, lock=False) as db,
        db.begin(write=True) as transaction,
    ):
        record = pb.AnnotatedDatum.FromString(transaction.get(KEY.encode()))
        change(record)
        transaction.put(KEY.encode(), record.SerializeToString())


@needs_shared
def test_golden(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(GOLDEN / "lmdb", "--strict") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{GOLDEN}/lmdb: 8 records, 148 objects: RBC 130, WBC 9, Platelets 9",
        "nothing is wrong",
    ]


def test_more_records_than_one_thread_takes(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voc_folder(folder, (folder / "JPEGImages/0.jpg").read_bytes(), 150)
    build(folder, out)
    spoil(out, lambda r: r.datum.ClearField("data"))
    capsys.readouterr()
    assert verify(out) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{out}: 150 records, 150 objects: cat 150",
        "errors:",
        "  images that cannot be decoded: 1",
        f"    {KEY}: an image that cannot be decoded",
    ]


def box(**corners: float) -> Callable[[pb.AnnotatedDatum], object]:
    return lambda r: [
        setattr(r.annotation_group[0].annotation[0].bbox, name, value)
        for name, value in corners.items()
    ]


def image(array: np.ndarray, suffix: str = ".png") -> Callable[[pb.AnnotatedDatum], object]:
    return lambda r: setattr(r.datum, "data", cv2.imencode(suffix, array)[1].tobytes())


GREY = np.zeros((48, 64), np.uint8)
FAULTS: dict[str, tuple[Callable[[pb.AnnotatedDatum], object], str, str]] = {
    "cut": (
        lambda r: setattr(r.datum, "data", r.datum.data[:900]),
        "error",
        "a JPEG that is cut short",
    ),
    "no_image": (
        lambda r: setattr(r.datum, "data", b"text"),
        "error",
        "an image that cannot be decoded",
    ),
    "deep": (image(GREY.astype(np.uint16)), "error", "an image of uint16 where Caffe reads bytes"),
    "other_size": (image(GREY[:40]), "error", "the datum says 64x48, but the image is 64x40"),
    "turned": (
        image(GREY.T),
        "warning",
        "but Caffe decodes 48x64: it does not heed the EXIF orientation that boxes go by",
    ),
    "raw": (
        lambda r: setattr(r.datum, "encoded", False),
        "error",
        "bytes of raw pixels where 3x64x48 are declared",
    ),
    "label": (
        lambda r: setattr(r.annotation_group[0], "group_label", 7),
        "error",
        "label 7 is not in the label map",
    ),
    "background": (
        lambda r: setattr(r.annotation_group[0], "group_label", 0),
        "error",
        "an object of label 0, the background",
    ),
    "nan": (
        box(xmin=float("nan")),
        "error",
        "box nan 0.104167 0.3125 0.520833 of label 1 is not finite",
    ),
    "outside": (
        box(xmax=1.25),
        "warning",
        "box 0.0625 0.104167 1.25 0.520833 of label 1 is outside the image",
    ),
    "inverted": (
        box(xmin=0.5),
        "warning",
        "box 0.5 0.104167 0.3125 0.520833 of label 1 is inverted",
    ),
    "empty": (
        box(xmin=0.3125),
        "warning",
        "box 0.3125 0.104167 0.3125 0.520833 of label 1 is without area",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_bad_record(folder: Path, out: Path, tmp_path: Path, name: str) -> None:
    change, severity, said = FAULTS[name]
    build(folder, out)
    spoil(out, change)
    report = tmp_path / "report.json"
    assert verify(out, "--report", report) == (severity == "error")
    assert verify(out, "--strict") == 1
    found = [f for f in json.loads(report.read_text())["faults"] if f["kind"] != "name-size"]
    assert [(f["severity"], f["place"]) for f in found] == [(severity, KEY)]
    assert found[0]["message"].endswith(said)


def test_what_lies_beside_must_fit(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "train.txt").write_text("0\n1\n")
    (folder / "test.txt").write_text("2\n")
    out = tmp_path / "own"
    main(
        [
            "voc",
            str(folder),
            "--train-list",
            str(folder / "train.txt"),
            "--test-list",
            str(folder / "test.txt"),
            "--out",
            str(out),
        ]
    )
    assert verify(out / "train_lmdb") == verify(out / "test_lmdb") == 0
    about = json.loads((out / "dataset.json").read_text())
    (out / "dataset.json").write_text(json.dumps(about | {"train_images": 3}))
    (out / "train.txt").write_text("one\n")
    (out / "train_name_size.txt").write_text("0 48 64\n1 64 48\n")
    capsys.readouterr()
    assert verify(out / "train_lmdb") == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "errors:",
        "  files beside the LMDB that do not fit it: 2",
        f"    {out}/dataset.json: says 3 images, but train_lmdb has 2 records",
        f"    {out}/train.txt: has 1 lines, but train_lmdb has 2 records",
        "notes:",
        (
            "  images that are not of the size in the name_size file: 1 (as it is where the build "
            "resized them)"
        ),
        f"    {KEY}: the name_size file says 48x64, but the image is 64x48",
    ]


@pytest.mark.parametrize("line", ["0 48", "my photo 48 64", "0 48 64.0"])
def test_a_name_size_file_is_held_to_what_nets_read(
    folder: Path, out: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Caffe reads it word by word: a name with a space would shift all that follows."""
    build(folder, out)
    file = next(out.parent.glob("*_name_size.txt"))
    lines = file.read_text().splitlines()
    file.write_text("\n".join([line, *lines[1:]]) + "\n")
    capsys.readouterr()
    assert verify(out) == 1
    said = f"    {file}: not a name_size file, of lines `name height width`"
    assert said in capsys.readouterr().out.splitlines()


def test_record_that_is_none(folder: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(folder, out)
    with (
        lmdb.open(str(out), map_size=1 << 26, lock=False) as db,
        db.begin(write=True) as transaction,
    ):
        transaction.put(KEY.encode(), b"\xff\xff")
    assert verify(out) == 1
    assert f"    {KEY}: not an AnnotatedDatum" in capsys.readouterr().out.splitlines()


def test_truncated_anywhere(
    folder: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(folder, out)
    whole = (out / "data.mdb").read_bytes()
    for size in range(0, len(whole), 4096):
        (tmp_path / "data.mdb").write_bytes(whole[:size])
        for command in (["verify"], ["stats", "lmdb"], ["show", "--out", tmp_path / "x.png"]):
            assert refused(capsys, *command, tmp_path).startswith(
                f"{tmp_path}: truncated or damaged LMDB: "
            )


def test_an_lmdb_is_known_by_a_dot(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    build(folder, out)
    capsys.readouterr()
    monkeypatch.chdir(out)
    assert verify(".") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{out}: 3 records, 3 objects: cat 3",
        "nothing is wrong",
    ]
    assert (
        refused(capsys, "verify", "/", status=2)
        == "argument LMDB: '/' is no LMDB; see data_prep verify --help"
    )


def test_without_a_label_map_any_label_will_do(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(folder, out)
    out.with_name("labelmap.prototxt").unlink()
    capsys.readouterr()
    assert verify(out) == 0
    assert (
        capsys.readouterr().out.splitlines()[0]
        == f"{out}: 3 records, 3 objects: 1 3 (no label map: any label)"
    )
    assert verify(out, "--labelmap", "voc") == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{out}: 3 records, 3 objects: aeroplane 3"
