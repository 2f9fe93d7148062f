"""check: every kind of fault in files, classes and images by its line."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep.cli import main
from data_prep.sources import KINDS
from ssd_common.command import run_command
from ssd_common.errors import CaffeError
from tests.data_prep.checks.spoiling import BOX, OBJECT, change, check
from tests.data_prep.conversions import convert
from tests.data_prep.support import BCCD, XML, refused, voc_folder
from tests.support import needs_shared

MAP = (
    'item {{ name: "none" label: 0 }}\nitem {{ name: "{}" label: 1 }}\n'
    'item {{ name: "dog" label: 2 display_name: "hound" }}\n'
)


def test_classes(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = tmp_path / "map.prototxt"
    labels.write_text(MAP.format("cats"))
    change(folder, "<name>cat", "<name>none")
    assert check(folder, "--labelmap", labels) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1:] == [
        "errors:",
        (
            "  objects of classes that the label map lacks: 2 (another --labelmap, or --classes "
            "or --map)"
        ),
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
    assert shown == [
        "notes:",
        "  classes of the label map that occur in no image: 1",
        f"    {labels}: class 'dog' is in no image",
    ]


def test_a_class_misspelt_once(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "Annotations/0.xml").write_text(XML.format(name="cta"))
    said = (
        "    Annotations/0.xml: class 'cta' has 1 object in all (did you mean 'cat'?); correct "
        "it, or rename it with --map"
    )
    box = f"<object><name>cat</name>{BOX.format('{}', 1, 40, 40)}</object>"
    for often, expected in ((19, False), (20, True)):
        cats = "".join(map(box.format, range(1, often)))  # 2.xml has one more
        (folder / "Annotations/1.xml").write_text(f"<annotation>{cats}</annotation>")
        main(["check", "voc", str(folder)])
        assert (said in capsys.readouterr().out.splitlines()) == expected
    (tmp_path / "labelmap.prototxt").write_text(
        'item { name: "cat" label: 1 } item { name: "cta" label: 2 }'
    )
    main(["check", "voc", str(folder), "--labelmap", str(tmp_path / "labelmap.prototxt")])
    assert "misspelt" not in capsys.readouterr().out  # somebody has said that both are there


def test_everything_unreadable_in_a_file_is_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(
        folder,
        OBJECT,
        f"{OBJECT.replace('>4<', '>four<')}\n  {OBJECT}\n  {OBJECT.replace('ymax', 'bottom')}",
    )
    assert check(folder) == 1
    file = folder / "Annotations/1.xml"
    assert capsys.readouterr().out.splitlines()[2:] == [
        "  unreadable annotations: 2",
        f"    {file}:5: xmin is 'four', not a number",
        f"    {file}:13: bndbox without ymax",
    ]
    change(folder, "bottom", "ymax")
    change(folder, "four", "4")
    for kind, name in {
        "yolo": "labels/1.txt",
        "csv": "boxes.csv",
        "kitti": "label_2/1.txt",
    }.items():
        file = convert(kind, folder, tmp_path / kind) / name
        with file.open("a") as lines:
            lines.write(
                "1.jpg;64;48;cat;a;1;2;3;0\n1.jpg;64;48;cat;1;b;2;3;0\n"
                if kind == "csv"
                else "0 x\n0 y\n"
            )
        assert run_command("data_prep", main, ["check", kind, str(tmp_path / kind)]) == 1
        assert (
            sum(line.startswith(f"    {file}:") for line in capsys.readouterr().out.splitlines())
            == 2
        )


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


def test_names_that_are_not_utf_8(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are named, by check and by a build, and the terminal can print what is said."""
    voc_folder(folder, (folder / "JPEGImages/0.jpg").read_bytes(), 2)
    for path in (folder / "JPEGImages/1.jpg", folder / "Annotations/1.xml"):
        path.rename(path.with_name(os.fsdecode(b"caf\xe9") + path.suffix))
    said = f"{folder}/JPEGImages/caf·.jpg: the name of the image or of its annotation is not UTF-8"
    assert check(folder) == 1
    assert capsys.readouterr().out.splitlines()[1:4] == [
        "errors:",
        (
            "  names of files that are not UTF-8: 1 (rename them: convmv -r -f CP1252 -t UTF-8"
            " --notest FOLDER)"
        ),
        f"    {said}",
    ]
    with pytest.raises(CaffeError, match=re.escape(said)):
        main(["voc", str(folder), "--out", str(folder / "lmdb")])
    assert not (folder / "lmdb").exists()


def test_an_lmdb_whose_name_is_not_utf_8(folder: Path) -> None:
    out = os.fsdecode(os.fsencode(folder) + b"/caf\xe9")
    with pytest.raises(CaffeError, match="the name is not UTF-8, and no prototxt can say it"):
        main(["voc", str(folder), "--out", out])
    assert not list(folder.glob("caf*"))


def test_size_and_emptiness(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, "<width>64</width><height>48", "<width>48</width><height>64")
    (folder / "Annotations/2.xml").write_text("<annotation></annotation>")
    assert check(folder, "--strict") == 1
    assert capsys.readouterr().out.splitlines()[2:] == [
        (
            "  annotations whose size is not their image's: 1 (boxes are divided by the "
            "annotation's size)"
        ),
        (
            f"    {folder}/Annotations/1.xml: says 48x64, but the image is 64x48 (turned: does it "
            "heed EXIF orientation?)"
        ),
        "notes:",
        "  images without objects: 1",
        f"    {folder}/Annotations/2.xml: no objects",
    ]


def test_images_that_are_there_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = folder / "JPEGImages"
    (images / "2.jpg").write_bytes((images / "0.jpg").read_bytes())
    train = folder / "train.txt"
    test = folder / "test.txt"
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
    # Quantization tables become comments.
    file.write_bytes(file.read_bytes().replace(b"\xff\xdb", b"\xff\xfe"))
    assert check(folder) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["nothing is wrong"]
    assert check(folder, "--decode") == 1
    assert capsys.readouterr().out.splitlines()[2:] == [
        "  unreadable images: 1",
        f"    {file}: not an image that OpenCV can read",
    ]


def test_many_are_counted_and_the_report_has_all(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voc_folder(folder, (folder / "JPEGImages/0.jpg").read_bytes(), 9)
    for file in (folder / "Annotations").iterdir():
        file.write_text(file.read_text().replace("<xmax>20", "<xmax>80"))
    lines = [
        f"{folder}/Annotations/{i}.xml:5: box 4 5 80 25 of 'cat' is outside the image of 64x48"
        for i in range(9)
    ]
    assert check(folder, "--report", tmp_path / "r.txt") == 0
    shown = [
        *(f"    {line}" for line in lines[:3]),
        "    … and 6 more",
        f"all of them: {tmp_path}/r.txt",
    ]
    assert capsys.readouterr().out.splitlines()[3:] == shown
    assert (tmp_path / "r.txt").read_text().splitlines() == [
        f"warning: outside: {line}" for line in lines
    ]
    assert check(folder, "--fix", "clip", "--report", tmp_path / "r.json") == 0
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["counts"] == {"mended": {"outside": 9}}
    assert [f"{f['place']}: {f['message']}" for f in found["faults"]] == lines
    assert {f["mended"] for f in found["faults"]} == {"cut to 4 5 64 25"}


@needs_shared
def test_bccd(capsys: pytest.CaptureFixture[str]) -> None:
    """Two of its 4,888 boxes have no area; nothing else is wrong, and no test image is in train."""
    assert check(BCCD, "--train-list", "trainval", "--test-list", "test") == 0
    shown = capsys.readouterr().out.splitlines()
    assert (
        shown[0]
        == "train: 292 images, test: 72 images; 4888 objects: Platelets 361, RBC 4155, WBC 372"
    )
    places = [
        f"{BCCD}/Annotations/BloodImage_00{file}: box {box} of 'RBC' is without area"
        for file, box in (("338.xml:163", "504 337 504 337"), ("343.xml:55", "181 329 181 329"))
    ]
    assert shown[2:] == [
        "  boxes without area: 2 (--fix clip|drop leaves out the object)",
        *(f"    {p}" for p in places),
    ]


def test_unknown_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        refused(capsys, "check", "cocoo", ".", status=2) == "no kind 'cocoo' (did you mean 'coco'?)"
    )
    assert (
        refused(capsys, "stats", "./x", status=2)
        == f"no kind './x' (it comes first, one of lmdb, {', '.join(KINDS)})"
    )


def test_a_class_whose_name_is_no_file_name(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "c" * 201
    for name, said in (
        ("car/truck", "class 'car/truck' is 'car%2Ftruck' in the name of a result file"),
        ("/../out", "class '/../out' is '%2F..%2Fout' in the name of a result file"),
        (long, f"class '{long}' is too long for the name of a result file"),
    ):
        (folder / "Annotations/0.xml").write_text(XML.format(name=name))
        assert check(folder) == 0
        assert f"    {folder}: {said}" in capsys.readouterr().out.splitlines()
        assert check(folder, "--strict") == 1
        capsys.readouterr()


def coco(folder: Path, image: str) -> None:
    """A COCO-style data set of one image."""
    (folder / "annotations").mkdir(parents=True)
    content = {
        "images": [{"id": 1, "file_name": image, "width": 64, "height": 48}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 5, 16, 20]}],
    }
    (folder / "annotations/instances_x.json").write_text(json.dumps(content))


@pytest.mark.parametrize("path", ["../x.png", "a/../../x.png", "{parent}/x.png", "link.png"])
def test_images_outside_their_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    root = tmp_path / "set"
    image = path.format(parent=tmp_path)
    coco(root, image)
    (root / "a").mkdir()
    (root / "link.png").symlink_to("../x.png")
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((48, 64, 3), np.uint8))
    file = Path(root, image)
    assert main(["check", "coco", str(root)]) == 0
    noted = f"    {file}: is outside {root}" in capsys.readouterr().out.splitlines()
    assert noted == (path != "link.png")  # a link is its owner's
    with pytest.raises(CaffeError, match="1 error"):
        main(["check", "coco", str(root), "--confine"])
    assert f"    {file}: is outside {root}" in capsys.readouterr().out.splitlines()
    with pytest.raises(CaffeError, match=f"is outside {root}"):
        main(["coco", str(root), "--out", str(tmp_path / "lmdb"), "--confine"])
    assert not (tmp_path / "lmdb").exists()


def test_a_folder_that_is_a_link_confines_its_own_files(tmp_path: Path) -> None:
    coco(tmp_path / "set", "x.png")
    cv2.imwrite(str(tmp_path / "set/x.png"), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "link").symlink_to("set")
    assert main(["check", "coco", str(tmp_path / "link"), "--confine", "--strict"]) == 0


def test_an_image_that_cannot_be_opened_is_one_of_all_faults(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in (0, 2):
        photo = folder / f"JPEGImages/{i}.jpg"
        photo.unlink()
        photo.symlink_to(photo)
    assert check(folder) == 1
    shown = capsys.readouterr().out
    for i in (0, 2):
        assert f"JPEGImages/{i}.jpg: Too many levels of symbolic links" in shown
