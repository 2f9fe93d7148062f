"""check: every kind of fault by its line, the same for check and build, and what --fix makes of it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from data_prep.checks.item_checks import Rules, examine
from data_prep.cli import main
from data_prep.sources import KINDS
from data_prep.sources.source import Annotation, Object
from ssd_common.command import run_command
from tests.data_prep.conversions import convert
from tests.data_prep.support import BCCD, XML, build, refused, voc_folder
from tests.support import needs_shared

BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"
USUAL = BOX.format(4, 5, 20, 25)
OBJECT = XML.split("</size>")[1].split("</annotation>")[0].strip().format(name="cat")
MAP = 'item {{ name: "none" label: 0 }}\nitem {{ name: "{}" label: 1 }}\nitem {{ name: "dog" label: 2 display_name: "hound" }}\n'


def check(*argv: object) -> int:
    return run_command("data_prep", main, ["check", "voc", *map(str, argv)])


def change(folder: Path, old: str, new: str) -> None:
    """In the second annotation, whose box is on line 5."""
    file = folder / "Annotations/1.xml"
    before = file.read_text()
    file.write_text(before.replace(old, new))
    assert file.read_text() != before


# name: box of a 64x48 image, heading of its kind, line about it, line with --fix clip (None: not mended)
BOXES = {
    "beyond": ((4, 5, 80, 25), "boxes outside their image", "is outside the image of 64x48", "cut to 4 5 64 25"),
    "negative": ((-4, -5, 20, 25), "boxes outside their image", "is outside the image of 64x48", "cut to 0 0 20 25"),
    "far": ((70, 5, 80, 25), "boxes outside their image", "is outside the image of 64x48", "left out"),
    "inverted": ((20, 5, 4, 25), "inverted boxes", "is inverted", "corners put in order: 4 5 20 25"),
    "empty": ((4, 5, 4, 25), "boxes without area", "is without area", "left out"),
    "sub-pixel": ((4, 5, 4.5, 25), "boxes less than a pixel wide or high", "is less than a pixel wide or high", "left out"),
    "fraction": ((4.5, 5, 20, 25), "boxes not in whole pixels", "is not in whole pixels (kept as it is; the fork's tool reads 0)", None),
    "normalised": ((0.25, 0.5, 0.75, 1), "boxes in fractions of the image, not in pixels", "is in fractions of the image, not in pixels",
                   "scaled to 16.0 24.0 48.0 48"),
    "beyond_1": ((0.25, 0.5, 1.25, 1), "boxes in fractions of the image, not in pixels", "is in fractions of the image, not in pixels",
                 "scaled to 16.0 24.0 64 48"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOXES)
def test_bad_box(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    box, heading, said, mended = BOXES[name]
    change(folder, USUAL, BOX.format(*box))
    line = f"    {folder}/Annotations/1.xml:5: box {' '.join(map(str, box))} of 'cat' {said}"
    error = name in ("normalised", "beyond_1")
    assert check(folder) == error
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "voc: 3 images; 3 objects: cat 3"
    assert shown[1].startswith("errors:" if error else "warnings")
    assert shown[2].startswith(f"  {heading}: 1")
    assert shown[3:] == [line]
    for fix, done in (("clip", mended), ("drop", "left out" if mended else None)):
        assert check(folder, "--fix", fix, "--strict") == (not done)
        shown = capsys.readouterr().out.splitlines()
        assert shown[1].startswith("mended" if done else "warnings")
        assert shown[3] == (f"{line}: {done}" if done else line)
        assert (shown[4:6] == ["notes:", "  images without objects: 1"]) == (done == "left out")


def test_objects_that_are_there_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, OBJECT, f"{OBJECT}\n  {OBJECT}")
    assert check(folder) == 0
    line = f"    {folder}/Annotations/1.xml:9: box 4 5 20 25 of 'cat' is there twice"
    assert capsys.readouterr().out.splitlines()[2:] == ["  objects that are there twice: 1 (--fix clip|drop leaves out the object)", line]
    assert check(folder, "--fix", "clip") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "voc: 3 images; 3 objects: cat 3"
    assert shown[-1] == f"{line}: left out"


def test_one_normalised_box_among_others_is_small(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, OBJECT, f"{OBJECT}\n  {OBJECT.replace(USUAL, BOX.format(0.25, 0.5, 0.75, 1))}")
    assert check(folder) == 0
    assert "  boxes less than a pixel wide or high: 1 (--fix clip|drop leaves out the object)" in capsys.readouterr().out.splitlines()


def test_classes(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = tmp_path / "map.prototxt"
    labels.write_text(MAP.format("cats"))
    change(folder, "<name>cat", "<name>none")
    assert check(folder, "--labelmap", labels) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1:] == [
        "errors:",
        "  objects of classes that the label map lacks: 2 (another --labelmap, or --classes or --map)",
        f"    {folder}/Annotations/0.xml:5: class 'cat' is not in {labels} (did you mean 'cats'?)",
        f"    {folder}/Annotations/2.xml:5: class 'cat' is not in {labels} (did you mean 'cats'?)",
        "  objects of the background's class: 1 (another --labelmap, or --classes or --map)",
        f"    {folder}/Annotations/1.xml:5: class 'none' is label 0, the background, in {labels}",
    ]
    assert printed.err == "data_prep: error: 3 errors, 0 warnings\n"
    labels.write_text(MAP.format("cat"))
    change(folder, "<name>none", "<name>cat")
    assert check(folder, "--labelmap", labels) == 0
    shown = capsys.readouterr().out.splitlines()[1:]
    assert shown == ["notes:", "  classes of the label map that occur in no image: 1", f"    {labels}: class 'dog' is in no image"]


def test_a_class_misspelt_once(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "Annotations/0.xml").write_text(XML.format(name="cta"))
    said = "    Annotations/0.xml: class 'cta' has 1 object in all (did you mean 'cat'?); correct it, or rename it with --map"
    for often, expected in ((19, False), (20, True)):
        box = "<object><name>cat</name><bndbox><xmin>{0}</xmin><ymin>1</ymin><xmax>40</xmax><ymax>40</ymax></bndbox></object>"
        (folder / "Annotations/1.xml").write_text(f"<annotation>{''.join(map(box.format, range(1, often)))}</annotation>")  # 2.xml has one
        main(["check", "voc", str(folder)])
        assert (said in capsys.readouterr().out.splitlines()) == expected
    (tmp_path / "labelmap.prototxt").write_text('item { name: "cat" label: 1 } item { name: "cta" label: 2 }')
    main(["check", "voc", str(folder), "--labelmap", str(tmp_path / "labelmap.prototxt")])
    assert "misspelt" not in capsys.readouterr().out  # somebody has said that both are there


def test_everything_unreadable_in_a_file_is_told(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, OBJECT, f"{OBJECT.replace('>4<', '>four<')}\n  {OBJECT}\n  {OBJECT.replace('ymax', 'bottom')}")
    assert check(folder) == 1
    file = folder / "Annotations/1.xml"
    assert capsys.readouterr().out.splitlines()[2:] == [
        "  unreadable annotations: 2",
        f"    {file}:5: xmin is 'four', not a number",
        f"    {file}:13: bndbox without ymax",
    ]
    change(folder, "bottom", "ymax")
    change(folder, "four", "4")
    for kind, name in {"yolo": "labels/1.txt", "csv": "boxes.csv", "kitti": "label_2/1.txt"}.items():
        file = convert(kind, folder, tmp_path / kind) / name
        with file.open("a") as lines:
            lines.write("1.jpg;64;48;cat;a;1;2;3;0\n1.jpg;64;48;cat;1;b;2;3;0\n" if kind == "csv" else "0 x\n0 y\n")
        assert run_command("data_prep", main, ["check", kind, str(tmp_path / kind)]) == 1
        assert sum(line.startswith(f"    {file}:") for line in capsys.readouterr().out.splitlines()) == 2


def test_lost_and_broken_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voc_folder(folder, (folder / "JPEGImages/0.jpg").read_bytes(), 4)
    listed = folder / "list.txt"
    listed.write_text("".join(f"JPEGImages/{i}.jpg Annotations/{i}.xml\n" for i in range(4)))
    (folder / "JPEGImages/0.jpg").unlink()
    (folder / "Annotations/1.xml").unlink()
    (folder / "JPEGImages/2.jpg").write_bytes(b"none")
    (folder / "Annotations/3.xml").write_text("<annotation>\n<object></annotation>")
    assert check(folder, "--list", listed) == 1
    assert capsys.readouterr().out.splitlines()[2:] == [
        "  missing images: 1",
        f"    {listed}:1: no image {folder}/JPEGImages/0.jpg",
        "  missing annotations: 1",
        f"    {listed}:2: no annotation {folder}/Annotations/1.xml",
        "  unreadable images: 1",
        f"    {folder}/JPEGImages/2.jpg: not an image that OpenCV can read ({listed}:3)",
        "  unreadable annotations: 1",
        f"    {folder}/Annotations/3.xml:2: not well-formed XML: mismatched tag ({listed}:4)",
    ]


def test_size_and_emptiness(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, "<width>64</width><height>48", "<width>48</width><height>64")
    (folder / "Annotations/2.xml").write_text("<annotation></annotation>")
    assert check(folder, "--strict") == 1
    assert capsys.readouterr().out.splitlines()[2:] == [
        "  annotations whose size is not their image's: 1 (boxes are divided by the annotation's size)",
        f"    {folder}/Annotations/1.xml: says 48x64, but the image is 64x48 (turned: does it heed EXIF orientation?)",
        "notes:",
        "  images without objects: 1",
        f"    {folder}/Annotations/2.xml: no objects",
    ]


def test_images_that_are_there_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = folder / "JPEGImages"
    (images / "2.jpg").write_bytes((images / "0.jpg").read_bytes())
    train, test = folder / "train.txt", folder / "test.txt"
    train.write_text("0\n1\n1\n")
    test.write_text("1\n2\n")
    assert check(folder, "--train-list", train, "--test-list", test) == 0
    assert capsys.readouterr().out.splitlines() == [
        "train: 3 images, test: 2 images; 5 objects: cat 5",
        "warnings (they stop neither building nor training):",
        "  test images that are also training images: 2",
        f"    {test}:1: JPEGImages/1.jpg is also in train",
        f"    {test}:2: JPEGImages/2.jpg is the same image as JPEGImages/0.jpg in train",
        "notes:",
        "  images that are there more than once: 1",
        f"    {train}:3: JPEGImages/1.jpg is there twice",
    ]


def test_decode_finds_what_a_header_hides(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "JPEGImages/1.jpg"
    file.write_bytes(file.read_bytes().replace(b"\xff\xdb", b"\xff\xfe"))  # quantization tables become comments
    assert check(folder) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["nothing is wrong"]
    assert check(folder, "--decode") == 1
    assert capsys.readouterr().out.splitlines()[2:] == ["  unreadable images: 1", f"    {file}: not an image that OpenCV can read"]


def test_many_are_counted_and_the_report_has_all(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voc_folder(folder, (folder / "JPEGImages/0.jpg").read_bytes(), 9)
    for file in (folder / "Annotations").iterdir():
        file.write_text(file.read_text().replace("<xmax>20", "<xmax>80"))
    lines = [f"{folder}/Annotations/{i}.xml:5: box 4 5 80 25 of 'cat' is outside the image of 64x48" for i in range(9)]
    assert check(folder, "--report", tmp_path / "r.txt") == 0
    shown = [*(f"    {line}" for line in lines[:3]), "    … and 6 more", f"all of them: {tmp_path}/r.txt"]
    assert capsys.readouterr().out.splitlines()[3:] == shown
    assert (tmp_path / "r.txt").read_text().splitlines() == [f"warning: outside: {line}" for line in lines]
    assert check(folder, "--fix", "clip", "--report", tmp_path / "r.json") == 0
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["counts"] == {"mended": {"outside": 9}}
    assert [f"{f['place']}: {f['message']}" for f in found["faults"]] == lines
    assert {f["mended"] for f in found["faults"]} == {"cut to 4 5 64 25"}


def test_what_is_mended_needs_no_more_mending() -> None:
    """Random boxes of every kind: none raises, and of what --fix leaves nothing is wrong."""
    draw = random.Random(0)
    kinds: set[str] = set()
    for _ in range(400):
        top = draw.choice([1.2, 30, 100])
        corners = [[draw.choice([draw.uniform(-9, top), draw.randint(-9, 99), draw.randint(0, 40)]) for _ in range(4)] for _ in range(6)]
        if top < 2:
            corners = [[draw.uniform(-0.2, top) for _ in range(4)] for _ in range(6)]
        objects = [Object("cat", False, *box, line) for line, box in enumerate([*corners, corners[0]])]
        for fix in (None, "clip", "drop"):
            rules = Rules({"cat": 1}, "map", fix)
            mended, faults = examine(Annotation(64, 48, objects), "file", 64, 48, rules)
            kinds.update(f.kind for f in faults)
            if fix:
                again = examine(mended, "file", 64, 48, rules)
                assert again[0] == mended
                assert {f.kind for f in again[1]} <= {"fraction", "no-objects"}
                assert {f.severity for f in faults} <= {"mended", "warning", "note"}
            else:
                assert mended.objects == objects
    assert kinds == {"normalised", "outside", "inverted", "empty", "sub-pixel", "duplicate", "fraction", "no-objects"}


def test_boxes_that_are_one_once_cut() -> None:
    objects = [Object("cat", False, 4, 5, right, 25, right) for right in (80, 64, 90, 70)]
    mended, faults = examine(Annotation(64, 48, objects), "file", 64, 48, Rules({"cat": 1}, "map", "clip"))
    assert mended.objects == [objects[0]._replace(xmax=64)]
    assert [f.mended for f in faults] == ["cut to 4 5 64 25", "left out", "left out", "left out"]


# ---- Builds


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize("fix", [[], ["--fix", "clip"], ["--fix", "drop"]], ids=["as_is", "clip", "drop"])
def test_build_says_what_check_says(folder: Path, out: Path, tmp_path: Path, name: str, fix: list[str]) -> None:
    change(folder, USUAL, BOX.format(*BOXES[name][0]))
    (folder / "JPEGImages/2.jpg").write_bytes((folder / "JPEGImages/0.jpg").read_bytes())
    sources = {p: p.read_bytes() for p in folder.rglob("*.*")}
    checked, built = tmp_path / "checked", tmp_path / "built"
    status = check(folder, *fix, "--report", checked)
    assert run_command("data_prep", main, ["voc", str(folder), "--out", str(out), *fix, "--report", str(built)]) == status
    assert built.read_text() == checked.read_text()
    assert f"box {BOXES[name][0][0]} " in built.read_text()
    assert "repeated: JPEGImages/2.jpg is the same image as JPEGImages/0.jpg\n" in built.read_text()
    assert sources == {p: p.read_bytes() for p in folder.rglob("*.*")}
    assert out.exists() == (status == 0)


@pytest.mark.parametrize(("fix", "boxes"), [("clip", [(4, 5, 64, 25), (4, 5, 20, 25)]), ("drop", [(4, 5, 20, 25)])])
def test_fix_is_what_the_lmdb_gets(folder: Path, out: Path, fix: str, boxes: list[tuple[int, ...]]) -> None:
    more = "".join(OBJECT.replace(USUAL, BOX.format(*box)) for box in [(4, 5, 80, 25), (9, 9, 9, 20)])
    change(folder, OBJECT, f"{more}{OBJECT}{OBJECT}")
    record = pb.AnnotatedDatum.FromString(build(folder, out, "--fix", fix)[b"00000001_JPEGImages/1.jpg"])
    found = [(b.bbox.xmin * 64, b.bbox.ymin * 48, b.bbox.xmax * 64, b.bbox.ymax * 48) for b in record.annotation_group[0].annotation]
    np.testing.assert_allclose(found, boxes, rtol=1e-6)


def test_an_error_that_stays_leaves_no_lmdb(folder: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, USUAL, BOX.format(0.25, 0.5, 0.75, 1))
    said = refused(capsys, "voc", folder, "--out", out)
    assert said == f"{folder}/Annotations/1.xml:5: box 0.25 0.5 0.75 1 of 'cat' is in fractions of the image, not in pixels"
    assert not out.parent.exists()


@needs_shared
def test_bccd(capsys: pytest.CaptureFixture[str]) -> None:
    """Two of its 4,888 boxes have no area; nothing else is wrong, and no test image is in train."""
    assert check(BCCD, "--train-list", "trainval", "--test-list", "test") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "train: 292 images, test: 72 images; 4888 objects: Platelets 361, RBC 4155, WBC 372"
    places = [f"{BCCD}/Annotations/BloodImage_00{file}: box {box} of 'RBC' is without area"
              for file, box in (("338.xml:163", "504 337 504 337"), ("343.xml:55", "181 329 181 329"))]  # fmt: skip
    assert shown[2:] == ["  boxes without area: 2 (--fix clip|drop leaves out the object)", *(f"    {p}" for p in places)]


def test_unknown_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "check", "cocoo", ".", status=2) == "no kind 'cocoo' (did you mean 'coco'?)"
    assert refused(capsys, "stats", "./x", status=2) == f"no kind './x' (it comes first, one of lmdb, {', '.join(KINDS)})"
