"""YOLO splits whose paths do not fit the folder: which folder is taken, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.cli import main
from data_prep.sources import open_source
from data_prep.sources.yolo import Yolo
from ssd_common.errors import CaffeError
from tests.data_prep.conversions import CAT, read, said

LINE = "0 0.1875 0.3125 0.25 0.4166666666666667\n"  # cat: 4 5 20 25 of 64 x 48
ROBOFLOW = ("train/images/a.jpg", "valid/images/b.jpg")
ULTRALYTICS = ("images/train/a.jpg", "images/val/b.jpg")
MANY = ("images/x1/a.jpg", "images/x2/b.jpg")


def made(root: Path, files: dict[str, str], images: tuple[str, ...], jpeg: bytes) -> Yolo:
    """A data set with these files and images, each with its text file where YOLO looks for it."""
    files.setdefault("classes.txt", "cat\n")
    for number, image in enumerate(images):
        path = root / image
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg + bytes([number]))
        label = Path(image).parent.as_posix().replace("images", "labels")
        files[f"{label}/{path.stem}.txt"] = LINE
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return Yolo(root)


def yaml(train: str, val: str, more: str = "") -> dict[str, str]:
    return {"data.yaml": f"{more}train: {train}\nval: {val}\nnames: [cat]\n"}


# The data set's file, its images, and whether a note says which folders are taken.
SPLITS: dict[str, tuple[dict[str, str], tuple[str, ...], bool]] = {
    "roboflow": (yaml("../train/images", "../valid/images"), ROBOFLOW, False),
    "roboflow 11": (yaml("train/images", "valid/images"), ROBOFLOW, False),
    "roboflow's dataset folder": (yaml("ds-1/train/images", "ds-1/valid/images"), ROBOFLOW, True),
    "roboflow in colab": (
        yaml("/content/ds-1/train/images", "/content/ds-1/valid/images"),
        ROBOFLOW,
        True,
    ),
    "swapped": (yaml("images/train", "images/val"), ROBOFLOW, True),
    "swapped back": (yaml("../train/images", "../valid/images"), ULTRALYTICS, True),
    "ultralytics": (
        yaml("images/train", "images/val", "path: ../datasets/x\n"),
        ULTRALYTICS,
        False,
    ),
    "ultralytics' own folder": (
        yaml("images/train/", "./images/val", "path: .  # here\n"),
        ULTRALYTICS,
        False,
    ),
    "below the path's name": (yaml("coco8/images/train", "coco8/images/val"), ULTRALYTICS, True),
    "kaggle": (
        yaml("/kaggle/input/cats/images/train", "/kaggle/input/cats/images/val"),
        ULTRALYTICS,
        True,
    ),
    "windows": (
        yaml("C:\\Users\\me\\cats\\images\\train", "C:\\Users\\me\\cats\\images\\val"),
        ULTRALYTICS,
        True,
    ),
    "windows in quotes": (
        yaml('"C:\\\\cats\\\\images\\\\train"', "'D:\\cats\\images\\val'"),
        ULTRALYTICS,
        True,
    ),
    "windows in quotes that eat": (yaml('"C:\\new\\train"', '"C:\\new\\val"'), ULTRALYTICS, True),
    "a stray quote": (yaml("./all/images/train'", "./all/images/val'"), ULTRALYTICS, True),
    "the name of the version": (yaml("ds-1/train/images", "../valid/images"), ROBOFLOW, True),
    "a folder deeper": (
        yaml("train/images", "valid/images", "path: ./\n"),
        ("ds/train/images/a.jpg", "ds/valid/images/b.jpg"),
        True,
    ),
    "backslashes": (yaml("images\\train", ".\\images\\val"), ULTRALYTICS, False),
    "other case": (yaml("Images/Train", "Images/Val"), ULTRALYTICS, True),
    "lists of folders": (yaml("[images/x1]", "\n- images/x2\n"), MANY, False),
    "validation": (
        {"data.yaml": "train: images/train\nvalidation: images/val\nnames: [cat]\n"},
        ULTRALYTICS,
        False,
    ),
    "text lists": (
        yaml("train.txt", "lists/val.txt")
        | {"train.txt": "./images/x1/a.jpg\n", "lists/val.txt": "images/x2/b.jpg\n"},
        MANY,
        False,
    ),
    "text lists of elsewhere": (
        yaml("/data/train.txt", "D:\\val.txt")
        | {"train.txt": "/data/x/images/x1/a.jpg\n", "val.txt": "D:\\x\\images\\x2\\b.jpg\n"},
        MANY,
        True,
    ),
    "darknet": (
        {
            "data/obj.data": "train = data/train.txt\nvalid = data/val.txt\nnames = data/x.names\n",
            "data/x.names": "cat\n",
            "data/train.txt": "data/obj/a.jpg\n",
            "data/val.txt": "data/obj/b.jpg\n",
        },
        ("data/obj/a.jpg", "data/obj/b.jpg"),
        False,
    ),
    "CVAT": (
        {
            "obj.data": "train = data/train.txt\nvalid = data/val.txt\nnames = data/obj.names\n",
            "obj.names": "cat\n",
            "train.txt": "data/obj_train_data/a b.jpg\n",
            "val.txt": "data/obj_valid_data/b.jpg\n",
        },
        ("obj_train_data/a b.jpg", "obj_valid_data/b.jpg"),
        True,
    ),
    "Datumaro": (
        {
            "obj.data": "classes = 1\ntrain = data/train.txt\nvalid = data/valid.txt\n"
            "eval = data/eval.txt\nnames = data/obj.names\nbackup = backup/\n",
            "obj.names": "cat\n",
            "train.txt": "data/obj_train_data/a.jpg\n",
            "valid.txt": "data/obj_valid_data/b.jpg\n",
        },
        ("obj_train_data/a.jpg", "obj_valid_data/b.jpg"),
        True,
    ),
    "lists alone": ({"train.txt": "a b.jpg\n", "val.txt": "b.jpg\n"}, ("a b.jpg", "b.jpg"), False),
    "roboflow's darknet": (
        {"train/_darknet.labels": "cat\n", "valid/_darknet.labels": "cat\n"},
        ("train/a.jpg", "valid/b.jpg"),
        False,
    ),
}


@pytest.mark.parametrize("layout", SPLITS)
def test_splits(layout: str, tmp_path: Path, jpeg: bytes) -> None:
    files, images, moved = SPLITS[layout]
    source = made(tmp_path, dict(files), images, jpeg)
    for name, image in (("train", images[0]), ("val", images[1]), ("valid", images[1])):
        assert [item.image for item in source.read_list(name)] == [image]
    assert read(source) == {image: [pytest.approx(CAT)] for image in images}
    findings = source.findings
    assert bool(findings) == moved, findings


def test_which_folder_is_taken_is_said(
    tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, yaml("/kaggle/x/train/images", "/kaggle/x/valid/images"), ROBOFLOW, jpeg)
    flags = ["--train-list", "train", "--test-list", "val"]
    main(["check", "yolo", str(tmp_path), *flags])
    said = capsys.readouterr().out
    assert "folders and lists that are elsewhere than their file says: 2" in said
    place = f"{tmp_path}/data.yaml"
    assert f"{place}:1: train: '/kaggle/x/train/images' is taken to be train/images" in said
    assert f"{place}:2: val: '/kaggle/x/valid/images' is taken to be valid/images" in said
    main(["yolo", str(tmp_path), *flags, "--out", str(tmp_path / "out")])
    assert "'/kaggle/x/train/images' is taken to be train/images" in capsys.readouterr().err
    assert (tmp_path / "out/train.txt").read_text() == "train/images/a.jpg train/labels/a.txt\n"


def test_folders_in_the_data_set_come_before_those_beside_it(tmp_path: Path, jpeg: bytes) -> None:
    made(tmp_path, {}, ("train/images/other.jpg",), jpeg)
    root = tmp_path / "set"
    source = made(root, yaml("../train/images", "../valid/images"), ROBOFLOW, jpeg)
    assert list(read(source, "train")) == ["train/images/a.jpg"]
    [found] = source.findings
    assert found.message == "train: '../train/images' is taken to be train/images"


def test_folders_beside_the_data_set_are_taken_last(tmp_path: Path, jpeg: bytes) -> None:
    made(tmp_path, {}, ROBOFLOW, jpeg)
    root = tmp_path / "cfg"
    source = made(root, yaml("train/images", "../valid/images"), (), jpeg)
    for name, image in (("train", ROBOFLOW[0]), ("val", ROBOFLOW[1])):
        [found] = read(source, name)
        assert (root / found).resolve() == tmp_path / image


MISSING = {
    "one is there": (
        yaml("x/train/images", "x/eval/images"),
        ("train/images/a.jpg", "test/images/b.jpg"),
        "val: no folder with images and no list 'x/eval/images' in ROOT; it has test, train",
    ),
    "one folder for two": (
        yaml("/x/train/images", "/x/eval/images"),
        ("images/a.jpg",),
        "val: no folder with images and no list '/x/eval/images' in ROOT",
    ),
    "empty": (
        yaml("train/images", "valid/images") | {"valid/images/x": ""},
        ("train/images/a.jpg",),
        "val: no folder with images and no list 'valid/images' in ROOT; it has train",
    ),
}


@pytest.mark.parametrize("case", MISSING)
def test_splits_that_are_nowhere(case: str, tmp_path: Path, jpeg: bytes) -> None:
    """The message offers what there is, and not the name that failed."""
    files, images, message = MISSING[case]
    source = made(tmp_path, dict(files), images, jpeg)
    expected = f"{tmp_path}/data.yaml:2: {message.replace('ROOT', str(tmp_path))}"
    assert said(lambda: source.read_list("val")) == expected
    assert "val" not in source.sets()


def test_several_folders_that_fit_deeper(tmp_path: Path, jpeg: bytes) -> None:
    images = ("x/train/images/a.jpg", "y/train/images/b.jpg")
    source = made(tmp_path, yaml("train/images", "val/images"), images, jpeg)
    assert said(lambda: source.read_list("train")) == (
        f"{tmp_path}/data.yaml:1: train: no folder with images and no list 'train/images' "
        f"in {tmp_path}"
    )


def test_lists_start_where_the_path_says(
    tmp_path: Path, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = yaml("train.txt", "x", "path: inner\n") | {"inner/train.txt": "pictures/a.jpg\n"}
    made(tmp_path / "set", files, ("inner/pictures/a.jpg",), jpeg)
    monkeypatch.chdir(tmp_path)
    assert list(read(Yolo(Path("set")), "train")) == ["inner/pictures/a.jpg"]


def test_subsets_of_any_name(tmp_path: Path, jpeg: bytes) -> None:
    files = {
        "obj.data": "names = obj.names\nholdout = data/holdout.txt\nbackup = backup/\n",
        "obj.names": "cat\n",
        "holdout.txt": "data/obj_holdout_data/a.jpg\n",
    }
    source = made(tmp_path, files, ("obj_holdout_data/a.jpg",), jpeg)
    assert source.sets() == ["holdout"]
    assert list(read(source, "holdout")) == ["obj_holdout_data/a.jpg"]


def test_a_data_yaml_in_place_of_its_folder(tmp_path: Path, jpeg: bytes) -> None:
    made(tmp_path / "set", {}, ULTRALYTICS, jpeg)
    cfg = made(tmp_path / "cfg", yaml("images/train", "images/val", "path: ../set\n"), (), jpeg)
    source = open_source("yolo", cfg.root / "data.yaml")
    assert list(read(source, "val")) == ["images/val/b.jpg"]
    assert source.root.resolve() == tmp_path / "set"
    assert list(read(open_source("yolo", cfg.root / "data.yaml"), "train"))
    inner = made(tmp_path / "yolov5/data", yaml("images/train", "x", "path: ../set\n"), (), jpeg)
    assert list(read(open_source("yolo", inner.root / "data.yaml"))) == [*ULTRALYTICS]
    made(tmp_path / "own", yaml("images/train", "images/val"), ULTRALYTICS, jpeg)
    assert len(open_source("yolo", tmp_path / "own/data.yaml").items()) == 2


def test_lists_that_lead_out_are_refused_where_that_is_asked_for(
    tmp_path: Path, jpeg: bytes
) -> None:
    """A list's lines are shown where they are no images: they may be any file of the reader's."""
    (tmp_path / "secret").write_text("hunter2\n")
    made(tmp_path / "set", yaml("../secret", "images"), ("images/a.jpg",), jpeg)
    argv = ["check", "yolo", str(tmp_path / "set"), "--list", "train", "--confine"]
    with pytest.raises(CaffeError, match=r"secret: is outside .*; the data set names it as a list"):
        main(argv)


def test_the_file_that_is_at_fault_is_named(tmp_path: Path, jpeg: bytes) -> None:
    files = {"obj.data": "names = obj.names\ntrain = gone.txt\n", "obj.names": "cat\n"}
    source = made(tmp_path, files, (), jpeg)
    assert said(lambda: source.read_list("train")).startswith(f"{tmp_path}/obj.data:2: train: no")
    (tmp_path / "obj.data").write_text("train = train.txt\n\nnames = gone.names\n")
    wanted = f"{tmp_path}/obj.data:3: no file of class names 'gone.names'"
    assert said(lambda: Yolo(tmp_path)) == wanted


def test_images_of_a_list_by_another_spelling(tmp_path: Path, jpeg: bytes) -> None:
    lines = ("images/caf\u0065\u0301.jpg", "images/a%20b.jpg", "elsewhere/c.jpg", "images/d.jpg")
    images = ("images/caf\u00e9.jpg", "images/a b.jpg", "images/e/c.jpg")
    source = made(tmp_path, {"list": "\n".join(lines)}, images, jpeg)
    items = source.read_list("list")
    assert [item.image for item in items] == [*images, "images/d.jpg"]
    assert items[3].place == f"{tmp_path}/list:4"
    [found] = source.findings
    assert found == (
        "moved",
        f"{tmp_path}/list:3",
        "images of 'elsewhere' are taken from images/e",
    )


def test_lists_that_data_prep_wrote(tmp_path: Path, jpeg: bytes) -> None:
    content = "images/a.jpg other/x.txt\nimages/b c.jpg\tother/y.txt\n"
    source = made(tmp_path, {"list": content}, ("images/a.jpg", "images/b c.jpg"), jpeg)
    found = [item[:2] for item in source.read_list("list")]
    assert found == [("images/a.jpg", "other/x.txt"), ("images/b c.jpg", "other/y.txt")]


def test_class_names_of_elsewhere_leave_the_splits(tmp_path: Path, jpeg: bytes) -> None:
    made(tmp_path / "set", yaml("x/train/images", "valid/images"), ROBOFLOW, jpeg)
    (tmp_path / "names").write_text("dog\n")
    source = Yolo(tmp_path / "set", tmp_path / "names")
    assert source.classes == ["dog"]
    assert list(read(source, "train")) == [ROBOFLOW[0]]


def test_several_files_of_class_names(tmp_path: Path) -> None:
    (tmp_path / "hyp.yaml").write_text("lr0: 0.01\n")
    (tmp_path / "a.yaml").write_text("names: [cat]\n")
    assert Yolo(tmp_path).classes == ["cat"]
    (tmp_path / "b.yaml").write_text("names: [dog]\n")
    fault = "several files of class names (a.yaml, b.yaml); choose with --names"
    assert said(lambda: Yolo(tmp_path)) == f"{tmp_path}: {fault}"
    inner = tmp_path / "data set"
    inner.mkdir()
    (tmp_path / "a.yaml").rename(inner / "data.yaml")
    (tmp_path / "b.yaml").unlink()
    assert said(lambda: Yolo(tmp_path)) == (
        f"{tmp_path}: no class names (is {inner} meant? It has data.yaml)"
    )


def test_yaml_files_that_are_annotations_are_not_looked_into(tmp_path: Path) -> None:
    (tmp_path / "0.yaml").write_text("names: [cat]\n" + "# \n" * 400_000)
    assert "no class names" in said(lambda: Yolo(tmp_path))
    for number in range(60):
        (tmp_path / f"{number}.yaml").write_text("names: [cat]\n")
    (tmp_path / "x.names").write_text("dog\n")
    assert Yolo(tmp_path).classes == ["dog"]


def test_classes_of_one_name_are_said(tmp_path: Path, jpeg: bytes) -> None:
    source = made(tmp_path, {"classes.txt": "cat\ndog\ncat\n"}, ("a.jpg",), jpeg)
    [found] = source.findings
    assert found == ("same-name", f"{tmp_path}/classes.txt", "classes 0 and 2 are both 'cat'")
