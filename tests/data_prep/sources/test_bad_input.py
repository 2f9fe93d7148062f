"""Bad input: one line that names the place, and nothing written; an LMDB is whole or not there."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep.build import lmdb_writer
from data_prep.cli import main
from tests.data_prep.support import XML, build, records, refused

CAT = XML.format(name="cat")
NO_BOX = "<annotation><object><name>cat</name></object></annotation>"


def test_class_that_the_label_map_lacks(
    folder: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "map.prototxt").write_text(
        'item { name: "none_of_the_above" label: 0 }\nitem { name: "cats" label: 1 }\n'
    )
    said = refused(capsys, "voc", folder, "--labelmap", tmp_path / "map.prototxt", "--out", out)
    place = f"{folder}/Annotations/0.xml:5: class 'cat' is not in {tmp_path}/map.prototxt"
    assert said == f"{place} (did you mean 'cats'?) (and 2 more like it)"
    assert not out.parent.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            'item { name: "cat" label: 1 } item { name: "cat" label: 2 }',
            "name 'cat' is there more than once",
        ),
        (
            'item { name: "cat" label: 1 } item { name: "dog" label: 1 }',
            "label 1 is there more than once",
        ),
        ('item { name: "none_of_the_above" label: 0 }', "a label map without a class"),
    ],
    ids=["name", "label", "none"],
)
def test_bad_label_map(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    file = folder / "map.prototxt"
    file.write_text(content)
    assert refused(capsys, "voc", folder, "--labelmap", file, "--out", out) == f"{file}: {said}"


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("JPEGImages/1.jpg", None, "LIST:2: no image FILE"),
        ("Annotations/1.xml", None, "LIST:2: no annotation FILE"),
        ("JPEGImages/1.jpg", "", "FILE: empty file (LIST:2)"),
        ("JPEGImages/1.jpg", "no image", "FILE: not an image that OpenCV can read (LIST:2)"),
        (
            "Annotations/1.xml",
            "<annotation>\n<object>\n</annotation>",
            "FILE:3: not well-formed XML: mismatched tag (LIST:2)",
        ),
        ("Annotations/1.xml", "", "FILE:1: not well-formed XML: no element found (LIST:2)"),
        (
            "Annotations/1.xml",
            "<html/>",
            "FILE:1: not a VOC annotation: <html> where <annotation> should be (LIST:2)",
        ),
        (
            "Annotations/1.xml",
            "<annotation>\n<object/></annotation>",
            "FILE:2: object without a name (LIST:2)",
        ),
        ("Annotations/1.xml", NO_BOX, "FILE:1: object 'cat' without a bndbox (LIST:2)"),
        (
            "Annotations/1.xml",
            CAT.replace(">4<", ">four<"),
            "FILE:5: xmin is 'four', not a number (LIST:2)",
        ),
        (
            "Annotations/1.xml",
            CAT.replace(">4<", ">nan<"),
            "FILE:5: xmin is 'nan', not a number (LIST:2)",
        ),
        ("Annotations/1.xml", CAT.replace("xmin", "left"), "FILE:5: bndbox without xmin (LIST:2)"),
    ],
    ids=[
        "image",
        "annotation",
        "empty",
        "not_image",
        "tag",
        "no_xml",
        "html",
        "no_name",
        "no_box",
        "word",
        "nan",
        "no_xmin",
    ],
)
def test_bad_input(
    folder: Path, capsys: pytest.CaptureFixture[str], file: str, content: str | None, said: str
) -> None:
    listed = folder / "list.txt"
    out = folder / "new/lmdb"
    spoilt = folder / file
    listed.write_text("".join(f"JPEGImages/{i}.jpg Annotations/{i}.xml\n" for i in range(3)))
    spoilt.unlink()
    if content is not None:
        spoilt.write_text(content)
    assert refused(capsys, "voc", folder, "--list", listed, "--out", out) == said.replace(
        "FILE", str(spoilt)
    ).replace("LIST", str(listed))
    assert not out.parent.exists()


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
@pytest.mark.parametrize("name", ["1.jpg", "1.png"])
def test_image_cut_short(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str], name: str, share: float
) -> None:
    (folder / "JPEGImages/1.jpg").unlink()
    file = folder / "JPEGImages" / name
    data = cv2.imencode(
        file.suffix, np.random.default_rng(2).integers(0, 256, (48, 64, 3), np.uint8)
    )[1].tobytes()
    file.write_bytes(data[: int(len(data) * share)])
    assert refused(capsys, "voc", folder, "--out", out).startswith(f"{file}: ")


def test_every_error_is_told(folder: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "JPEGImages/0.jpg").write_bytes(b"")
    (folder / "JPEGImages/2.jpg").unlink()
    with pytest.raises(Exception, match="2 errors, nothing was written"):
        main(["voc", str(folder), "--out", str(out)])
    assert capsys.readouterr().err.splitlines() == [
        f"data_prep: error: {folder}/JPEGImages/0.jpg: empty file",
        f"data_prep: error: {folder}/JPEGImages/2.jpg: no such image",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("\n \n", "LIST: the list is empty"),
        (
            "a b c\n",
            "LIST:1: 3 words where 'image annotation' should be (with a tab if names have spaces)",
        ),
    ],
    ids=["empty", "words"],
)
def test_bad_list(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    listed = folder / "list.txt"
    listed.write_text(content)
    assert refused(capsys, "voc", folder, "--list", listed, "--out", out) == said.replace(
        "LIST", str(listed)
    )


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["vco"], "no command 'vco' (did you mean 'voc'?)"),
        (
            ["voc", ".", "--labelmpa", "voc"],
            "unknown argument --labelmpa (did you mean '--labelmap'?); see data_prep voc --help",
        ),
        (
            ["voc", ".", "--out", "x", "--labelmap", "vox"],
            "vox: no such label map (a file, or one of voc, coco, coco_ids, ilsvrc)",
        ),
        (
            ["voc", ".", "--out", "x", "--train-list", "a"],
            "--train-list and --test-list go together (--list for a single LMDB);"
            " see data_prep voc --help",
        ),
        (["voc", "nowhere", "--out", "x"], "nowhere: no such folder"),
        (
            ["voc", "JPEGImages", "--out", "x"],
            (
                "JPEGImages: no annotation (*.xml) there or in its folder Annotations (--list "
                "takes them from elsewhere)"
            ),
        ),
        (
            ["voc", ".", "--out", "x", "--test-share", "20%"],
            (
                "argument --test-share: '20%' is not a share between 0 and 1, such as 0.2; see "
                "data_prep voc --help"
            ),
        ),
        (
            [
                "voc",
                ".",
                "--out",
                "x",
                "--test-share",
                "0.2",
                "--train-list",
                "a",
                "--test-list",
                "b",
            ],
            "--test-share draws the test images; leave it out with --train-list and --test-list;"
            " see data_prep voc --help",
        ),
        (
            ["shapes", "--out", "x", "--train", "0"],
            "argument --train: '0' is not a positive whole number; see data_prep shapes --help",
        ),
        (
            ["show", "nowhere", "--out", "x.png"],
            "nowhere: no LMDB here; build it with data_prep or correct the path",
        ),
        (
            ["show", "a", "--out", "x"],
            "--out x: no picture's name; use .png, .jpg, .jpeg, .webp, .bmp, .tif, .tiff;"
            " see data_prep show --help",
        ),
        (
            ["show", "a", "--out", "x.jpg", "--augmented", "t"],
            "--out x.jpg: no picture's name; use .png with --augmented; see data_prep show --help",
        ),
    ],
    ids=lambda v: v[0] if isinstance(v, list) else "",
)
def test_bad_command(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    usage = argv == ["vco"] or said.endswith("--help")
    assert refused(capsys, *argv, status=1 + usage) == said
    assert not Path("x").exists()


def test_set_names_are_suggested(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "ImageSets/Main").mkdir(parents=True)
    (folder / "ImageSets/Main/trainval.txt").write_text("1\n")
    assert (
        refused(capsys, "voc", folder, "--list", "trainvl", "--out", out)
        == "trainvl: no such list (did you mean 'trainval'?)"
    )
    assert list(build(folder, out, "--list", "trainval")) == [b"00000000_JPEGImages/1.jpg"]


# ---- Whole or not there


def test_an_lmdb_is_replaced_only_when_asked(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = build(folder, out)
    assert (
        refused(capsys, "voc", folder, "--out", out)
        == f"{out}: already there (--overwrite replaces it)"
    )
    (folder / "Annotations/2.xml").unlink()
    (folder / "JPEGImages/2.jpg").unlink()
    assert len(first) == 3
    assert len(build(folder, out, "--overwrite")) == 2
    assert "labelmap.prototxt: was there already" in capsys.readouterr().err
    not_one = f"{folder}: already there, and not an LMDB; choose another --out"
    assert refused(capsys, "voc", folder, "--overwrite", "--out", folder) == not_one


def test_a_failed_rebuild_leaves_the_old_one(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = build(folder, out)
    (folder / "JPEGImages/2.jpg").write_bytes(b"")
    labelmap = out.with_name("labelmap.prototxt")
    refused(capsys, "voc", folder, "--out", out, "--overwrite", "--labelmap", labelmap)
    assert records(out) == before
    assert sorted(p.name for p in out.parent.iterdir()) == [
        "labelmap.prototxt",
        "train.txt",
        "train_lmdb",
        "train_name_size.txt",
    ]


def test_leftovers_of_a_killed_run_go(folder: Path, out: Path) -> None:
    dead = 2**22 + 1  # above Linux's largest process id
    build(folder, out)
    (out.parent / f"train_lmdb.tmp-{dead}").mkdir()
    out.rename(out.parent / f"train_lmdb.old-{dead}")  # killed between the two renames
    build(folder, out, "--overwrite")
    assert sorted(p.name for p in out.parent.iterdir()) == [
        "labelmap.prototxt",
        "train.txt",
        "train_lmdb",
        "train_name_size.txt",
    ]


def test_map_grows_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_writer, "MAP_SIZE", 1 << 16)
    values = {f"{i:08d}".encode(): bytes([i % 251]) * 5000 for i in range(2500)}
    writer = lmdb_writer.LmdbWriter(tmp_path / "db", tmp_path / "db")
    for key, value in values.items():
        writer.put(key, value)
    writer.commit()
    assert records(tmp_path / "db") == values
