"""Builds report the faults that check reports, and write what --fix leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from data_prep.cli import main
from ssd_common.command import run_command
from tests.data_prep.checks.spoiling import BOX, BOXES, OBJECT, USUAL, change, check
from tests.data_prep.support import build, refused


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize(
    "fix", [[], ["--fix", "clip"], ["--fix", "drop"]], ids=["as_is", "clip", "drop"]
)
def test_build_says_what_check_says(
    folder: Path, out: Path, tmp_path: Path, name: str, fix: list[str]
) -> None:
    change(folder, USUAL, BOX.format(*BOXES[name][0]))
    (folder / "JPEGImages/2.jpg").write_bytes((folder / "JPEGImages/0.jpg").read_bytes())
    sources = {p: p.read_bytes() for p in folder.rglob("*.*")}
    checked = tmp_path / "checked"
    built = tmp_path / "built"
    status = check(folder, *fix, "--report", checked)
    assert (
        run_command(
            "data_prep", main, ["voc", str(folder), "--out", str(out), *fix, "--report", str(built)]
        )
        == status
    )
    assert built.read_text() == checked.read_text()
    assert f"box {BOXES[name][0][0]} " in built.read_text()
    assert "repeated: JPEGImages/2.jpg is the same image as JPEGImages/0.jpg\n" in built.read_text()
    assert sources == {p: p.read_bytes() for p in folder.rglob("*.*")}
    assert out.exists() == (status == 0)


@pytest.mark.parametrize(
    ("fix", "boxes"), [("clip", [(4, 5, 64, 25), (4, 5, 20, 25)]), ("drop", [(4, 5, 20, 25)])]
)
def test_fix_is_what_the_lmdb_gets(
    folder: Path, out: Path, fix: str, boxes: list[tuple[int, ...]]
) -> None:
    more = "".join(
        OBJECT.replace(USUAL, BOX.format(*box)) for box in [(4, 5, 80, 25), (9, 9, 9, 20)]
    )
    change(folder, OBJECT, f"{more}{OBJECT}{OBJECT}")
    record = pb.AnnotatedDatum.FromString(
        build(folder, out, "--fix", fix)[b"00000001_JPEGImages/1.jpg"]
    )
    found = [
        (b.bbox.xmin * 64, b.bbox.ymin * 48, b.bbox.xmax * 64, b.bbox.ymax * 48)
        for b in record.annotation_group[0].annotation
    ]
    np.testing.assert_allclose(found, boxes, rtol=1e-6)


def test_an_error_that_stays_leaves_no_lmdb(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(folder, USUAL, BOX.format(0.25, 0.5, 0.75, 1))
    said = refused(capsys, "voc", folder, "--out", out)
    assert said == (
        f"{folder}/Annotations/1.xml:5: box 0.25 0.5 0.75 1 of 'cat' is in fractions of the "
        "image, not in pixels"
    )
    assert not out.parent.exists()
