"""What a folder looks like: check finds it out, and errors of other kinds name it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from data_prep.cli import main
from data_prep.sources import KINDS
from tests.data_prep.conversions import convert
from tests.data_prep.support import refused, voc_folder


@pytest.fixture
def cvat(tmp_path: Path, jpeg: bytes) -> Path:
    return convert("cvat", voc_folder(tmp_path / "voc", jpeg), tmp_path / "photos/task")


def test_check_without_a_kind_says_what_it_takes(
    cvat: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["check", str(cvat), "--decode"])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{cvat} looks like cvat, {KINDS['cvat'].title}"
    assert printed[1] == "cvat: 3 images; 3 objects: cat 3"
    main(["check", str(cvat / "annotations.xml")])
    assert "annotations.xml looks like cvat, " in capsys.readouterr().out


def test_check_of_what_may_be_two_kinds_names_both(
    cvat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tmp_path / "voc", cvat, dirs_exist_ok=True)
    commands = f"data_prep check voc {cvat} or data_prep check cvat {cvat}"
    error = refused(capsys, "check", cvat, status=2)
    assert error == f"{cvat} looks like voc and cvat: {commands}"


@pytest.mark.parametrize(
    ("file", "content", "kind"),
    [
        ("boxes.csv", "id,xmin,ymin,xmax,ymax,class\n7,1,2,3,4,car\n", "csv"),
        ("data.yaml", "names: {0: cat, 5: cow}\n", "yolo"),
        ("labels/a.txt", "0 0.5 0.5 0.2 0.2\n", "yolo"),  # no names
        ("results.json", '[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}]', "coco"),
    ],
)
def test_check_of_what_cannot_be_read_names_the_command_that_says_why(
    file: str, content: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos/set"
    (folder / file).parent.mkdir(parents=True)
    (folder / file).write_text(content)
    sign = file.removesuffix("/a.txt")
    error = refused(capsys, "check", folder)
    assert f"; it has {sign}: data_prep check {kind} {folder} says why" in error
    refused(capsys, "check", kind, folder)


def test_check_of_no_data_set_looks_around(
    cvat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    end = " (data_prep formats lists all kinds)"
    inner = tmp_path / "photos/task/more"
    inner.mkdir()
    error = refused(capsys, "check", inner)
    assert error == f"{inner}: looks like no data set; {cvat} looks like cvat{end}"
    via = convert("via", tmp_path / "voc", tmp_path / "sets/via")
    error = refused(capsys, "check", via.parent)
    assert error == f"{via.parent}: looks like no data set; {via} looks like via{end}"
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    assert refused(capsys, "check", inner) == f"{inner}: looks like no data set{end}"
    assert refused(capsys, "check", inner / "c") == f"{inner}/c: no such folder or file"
    main(["voc", str(tmp_path / "voc"), "--out", str(tmp_path / "my db")])
    error = refused(capsys, "check", tmp_path / "my db")
    fault = "an LMDB, not what one is built from: data_prep verify"
    assert error == f"{tmp_path}/my db: {fault} '{tmp_path}/my db'"


@pytest.mark.parametrize("kind", ["voc", "via", "coco", "labelme", "yolo", "kitti", "csv"])
def test_errors_of_another_kind_name_the_one_that_it_looks_like(
    kind: str, cvat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for argv in (
        ["check", kind, cvat],
        ["stats", kind, cvat],
        [kind, cvat, "--out", tmp_path / "x"],
    ):
        with pytest.raises(Exception, match="data_prep") as error:
            main([str(word) for word in argv])
        assert str(error.value).endswith(f" (looks like: data_prep cvat {cvat})")
    capsys.readouterr()


def test_errors_of_the_right_kind_name_no_other(
    cvat: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    next(cvat.rglob("0.jpg")).unlink()
    assert refused(capsys, "check", "cvat", cvat) == "1 error, 0 warnings"


def test_formats_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["formats"])
    printed = capsys.readouterr().out
    for name, kind in KINDS.items():
        assert f"{name}: {kind.title}\n    {kind.layout.strip().splitlines()[0]}\n" in printed
        assert f"\n  {kind.examples.strip().splitlines()[0]}\n" in printed
    assert "--format coco|voc|yolo" in printed
    main(["formats", "cvat"])
    printed = capsys.readouterr().out
    assert printed.startswith("cvat: ")
    assert "voc" not in printed
