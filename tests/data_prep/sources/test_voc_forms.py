"""The layouts that VOC's XML comes in, its lists, and the share drawn for testing without lists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_prep.cli import main
from data_prep.sources.voc import Folder
from tests.data_prep.conversions import CAT, read
from tests.data_prep.support import XML, build, records, refused

LAYOUTS = {  # folders of the images and of the XML files
    "VOC": ("JPEGImages", "Annotations"),
    "images, annotations": ("images", "annotations"),
    "side by side": (".", "."),
    "XML in a folder": (".", "Annotations"),
    "Oxford pets": ("images", "annotations/xmls"),
    "folders on both sides": ("JPEGImages/tag eins", "Annotations/tag eins"),
    "photographs in folders, XML in one": ("images/Köln", "annotations"),
    "side by side, in folders": ("Köln/tag eins", "Köln/tag eins"),
}


def laid_out(root: Path, images: str, annotations: str, jpeg: bytes, count: int = 3) -> Path:
    for folder in (images, annotations):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        (root / images / f"{i}.jpg").write_bytes(jpeg + bytes([i]))
        (root / annotations / f"{i}.xml").write_text(XML.format(name="cat"))
    return root


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str, tmp_path: Path, jpeg: bytes) -> None:
    root = laid_out(tmp_path, *LAYOUTS[layout], jpeg)
    images, annotations = LAYOUTS[layout]
    # As macOS writes them to other disks.
    for hidden in (root / images / "._0.jpg", root / annotations / "._0.xml"):
        hidden.write_bytes(b"no image and no XML")
    expected = {(Path(images) / f"{i}.jpg").as_posix(): [CAT] for i in range(3)}
    assert read(Folder(root)) == expected
    if layout in ("folders on both sides", "side by side, in folders"):
        return  # there a line without the folder does not say which XML is meant
    (root / "names.txt").write_text("2\n0.jpg\nelsewhere/1.jpg\n")
    assert [i.image for i in Folder(root).read_list("names.txt")] == [
        list(expected)[i] for i in (2, 0, 1)
    ]


@pytest.mark.parametrize("layout", ["side by side", "images, annotations"])
def test_folders_are_lists(
    layout: str, tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    for part, count in (("train", 2), ("valid", 1)):
        laid_out(tmp_path / "set" / part, *LAYOUTS[layout], jpeg, count)
    root = tmp_path / "set"
    out = tmp_path / "out"
    images = "train" if layout == "side by side" else "train/images"
    assert Folder(root).sets() == ["train", "valid"]
    assert list(read(Folder(root), "train")) == [f"{images}/0.jpg", f"{images}/1.jpg"]
    assert len(build(root, out / "all_lmdb")) == 3
    assert "without --list all images were taken; " in capsys.readouterr().out
    main(
        [
            "voc",
            str(root),
            "--train-list",
            "train",
            "--test-list",
            "valid",
            "--out",
            str(out / "two"),
        ]
    )
    assert [len(records(out / f"two/{part}_lmdb")) for part in ("train", "test")] == [2, 1]
    assert (
        "valid/0.jpg is the same image as train/0.jpg in train"
        in capsys.readouterr().err.replace("images/", "")
    )
    assert (
        refused(capsys, "voc", root, "--list", "vaild", "--out", out / "x")
        == "vaild: no such list (did you mean 'valid'?)"
    )


def test_photographs_beside_folders_of_photographs(
    tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """As LabelImg leaves them: some lie in folders, some have no object.

    All are found, and the build names what it leaves out.
    """
    for part in ("", "Köln", "tag eins/abend"):
        laid_out(tmp_path / "set" / part, ".", ".", jpeg + part.encode(), 2)
    (tmp_path / "set/Köln/IMG 3.JPEG").write_bytes(jpeg + b"3")
    (tmp_path / "set/Köln/loop").symlink_to(tmp_path / "set")
    assert list(read(Folder(tmp_path / "set"))) == [
        "0.jpg",
        "1.jpg",
        "Köln/0.jpg",
        "Köln/1.jpg",
        "tag eins/abend/0.jpg",
        "tag eins/abend/1.jpg",
    ]
    build(tmp_path / "set", tmp_path / "out/lmdb")
    assert (
        f"note: {tmp_path}/set/Köln/IMG 3.JPEG: no annotation: left out" in capsys.readouterr().err
    )
    build(tmp_path / "set", tmp_path / "out2/lmdb", "--list", "Köln")
    assert "left out" not in capsys.readouterr().err


def test_a_list_of_names_of_a_folder_without_annotations(
    tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is missing is told, not that there are no classes."""
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "JPEGImages/0.jpg").write_bytes(jpeg)
    (tmp_path / "names.txt").write_text("0\n")
    expected = f"{tmp_path}/names.txt:1: no annotation {tmp_path}/Annotations/0.xml"
    assert (
        refused(
            capsys,
            "voc",
            tmp_path,
            "--list",
            tmp_path / "names.txt",
            "--out",
            tmp_path / "out/lmdb",
        )
        == expected
    )


def test_images_without_any_object_are_no_data_set(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(3):
        (folder / f"Annotations/{i}.xml").write_text("<annotation/>")
    with pytest.raises(Exception, match="no image has an object, so there is no class to learn"):
        main(["voc", str(folder), "--out", str(out)])
    assert not out.parent.exists()
    with pytest.raises(Exception, match="1 error, 0 warnings"):
        main(["check", "voc", str(folder)])
    assert "  data sets without an object: 1" in capsys.readouterr().out.splitlines()


# ---- A share for testing


def test_from_one_folder_to_two_lmdbs(
    tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    root = laid_out(tmp_path / "photos", ".", ".", jpeg, 10)
    main(["voc", str(root), "--test-share", "0.2", "--out", str(tmp_path / "mine")])
    assert [len(records(tmp_path / f"mine/{part}_lmdb")) for part in ("train", "test")] == [8, 2]
    assert json.loads((tmp_path / "mine/dataset.json").read_text())["test_images"] == 2
    assert f"next: make fssd300 DATASET={tmp_path}/mine/dataset.json" in capsys.readouterr().out
    main(["check", "voc", str(root), "--test-share", "0.2"])
    assert capsys.readouterr().out.startswith(
        "train: 8 images, test: 2 images; 10 objects: cat 10\n"
    )
