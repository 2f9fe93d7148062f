"""COCO-style JSON as tools export it: more than one file a split, strays, outlines, odd paths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask

from data_prep.build.check import check
from data_prep.sources import open_source
from data_prep.sources.coco import Coco
from data_prep.sources.selection import select
from tests.data_prep.conversions import CAT, read, said
from tests.data_prep.support import refused

IMAGE = {"id": 7, "file_name": "0.jpg", "width": 64, "height": 48}
BOX = {"id": 11, "image_id": 7, "category_id": 3, "bbox": [4, 5, 16, 20]}


def write(path: Path, **changes: Any) -> Path:
    whole = {
        "images": [IMAGE],
        "annotations": [BOX],
        "categories": [{"id": 3, "name": "cat"}],
    } | changes
    path.parent.mkdir(parents=True, exist_ok=True)
    # A line for each value, so that lines in messages can be told apart.
    path.write_text(json.dumps(whole, indent=0))
    return path


def faults(source: Coco, kind: str) -> list[str]:
    """The messages of one kind in the report of a check."""
    report = check(source).report
    return [line.strip() for line in report.grouped() if line.startswith("    ") and kind in line]


def test_instances_win_over_other_files_of_their_split(root: Path) -> None:
    folder = root / "annotations"
    write(folder / "image_info_train.json", annotations=[])
    write(folder / "person_keypoints_train.json", annotations=[{**BOX, "bbox": [1, 2, 3, 4]}])
    keypoints = {"train/0.jpg": [("cat", False, 1, 2, 4, 6)]}
    for name in ("", "images"):
        (root / name / "0.jpg").unlink()
    assert read(Coco(root)) == keypoints
    write(folder / "instances_train.json")
    source = Coco(root)
    assert source.sets() == []
    assert read(source) == {"train/0.jpg": [CAT]}
    for name in ("train", "instances_train", "instances_train.json"):
        assert read(source, name) == {"train/0.jpg": [CAT]}
    assert read(source, "image_info_train") == {"train/0.jpg": []}
    assert read(source, "person_keypoints_train") == keypoints


def test_files_of_one_name_go_by_their_paths(root: Path) -> None:
    """Neither takes the other's place without a word."""
    write(root / "annotations/train.json")
    write(root / "train.json", annotations=[])
    source = Coco(root)
    assert source.sets() == ["annotations/train.json", "train.json"]
    assert read(source, "annotations/train.json") == {"0.jpg": [CAT]}
    assert read(source, "train.json") == {"0.jpg": []}


def test_other_json_beside_it_does_not_count(root: Path) -> None:
    write(root / "export.json")
    (root / "results.json").write_text(json.dumps([{**BOX, "score": 0.5}]))
    (root / "classes.json").write_text('{"cat": 3}')
    assert read(Coco(root)) == {"0.jpg": [CAT]}


def test_fiftyone(tmp_path: Path, jpeg: bytes) -> None:
    for folder in ("train", "validation"):
        (tmp_path / folder / "data").mkdir(parents=True)
        (tmp_path / folder / "data/0.jpg").write_bytes(jpeg)
        write(tmp_path / folder / "labels.json")
    source = Coco(tmp_path)
    assert source.sets() == ["train", "validation"]
    assert read(source, "train") == {"train/data/0.jpg": [CAT]}
    assert read(Coco(tmp_path / "train")) == {"data/0.jpg": [CAT]}


def test_a_list_in_a_folder_that_is_not_searched(root: Path) -> None:
    write(root / "labels/deep/a.json")
    assert read(Coco(root), "labels/deep/a.json") == {"0.jpg": [CAT]}


def test_strays_do_not_end_the_report(root: Path) -> None:
    strays = [{**BOX, "image_id": 99, "id": 12}, {**BOX, "image_id": 98}]
    file = write(root / "a.json", annotations=[BOX, *strays, strays[0]])
    found = check(open_source("coco", root))
    assert found.objects == {"cat": 1}
    assert found.report.counts()["warning"] == {"stray": 1}
    lines = file.read_text().splitlines()
    (place,) = [line for line in found.report.grouped() if "not in 'images'" in line]
    line, _, message = place.strip().removeprefix(f"{file}:").partition(": ")
    assert lines[int(line) : int(line) + 2] == ['"id": 12,', '"image_id": 99,']
    assert message == "3 annotations of 2 images not in 'images', the first of image 99: left out"


def test_ids_as_tables_of_numbers_write_them(root: Path) -> None:
    write(root / "a.json", annotations=[{**BOX, "image_id": 7.0, "category_id": 3.0}])
    assert read(Coco(root)) == {"0.jpg": [CAT]}


def test_one_file_under_two_ids(root: Path) -> None:
    images = [IMAGE, {**IMAGE, "id": 8}, {**IMAGE, "id": 9, "file_name": "./0.jpg"}]
    boxes = [BOX, {**BOX, "image_id": 8, "bbox": [1, 2, 3, 4]}, {**BOX, "image_id": 9}]
    write(root / "a.json", images=images, annotations=boxes)
    source = Coco(root)
    assert read(source) == {"0.jpg": [CAT, ("cat", False, 1, 2, 4, 6), CAT]}
    assert [(item.image, item.name) for item in source.items()] == [("0.jpg", "7")]
    (line, _) = faults(source, "is there a second time")
    assert line.endswith("(0.jpg): '0.jpg' is there a second time")


def test_two_names_never_become_one_image_by_a_guess(tmp_path: Path, jpeg: bytes) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/0.jpg").write_bytes(jpeg)
    names = ["/home/me/a/0.jpg", "/home/me/b/0.jpg"]
    images = [{**IMAGE, "id": n, "file_name": name} for n, name in enumerate(names)]
    file = write(tmp_path / "a.json", images=images, annotations=[])
    line = file.read_text().splitlines().index('"id": 1,')
    expected = f"photos/0.jpg: '{names[0]}' and '{names[1]}' would both be photos/0.jpg"
    assert said(lambda: read(Coco(tmp_path))) == f"{file}:{line}: {expected}"


GROUP = {"id": 0, "name": "animals", "supercategory": "none"}
CATS = {"id": 3, "name": "cat", "supercategory": "animals"}
DOGS = {"id": 4, "name": "dog", "supercategory": "animals"}


@pytest.mark.parametrize(
    ("categories", "category", "classes"),
    [
        ([GROUP, CATS, DOGS], 3, ["cat", "dog"]),
        ([GROUP, CATS, DOGS], 0, ["animals", "cat", "dog"]),  # it has a box
        ([GROUP, CATS, {**DOGS, "supercategory": "pets"}], 3, ["animals", "cat", "dog"]),
        ([{**GROUP, "supercategory": "animals"}, CATS], 3, ["animals", "cat"]),
        ([{**CATS, "id": 0, "supercategory": "cat"}], 0, ["cat"]),
        ([{**GROUP, "name": "cat"}, {**CATS, "supercategory": "cat"}], 3, ["cat"]),
    ],
)
def test_roboflows_category_0(
    categories: list[dict[str, Any]], category: int, classes: list[str], root: Path
) -> None:
    write(root / "a.json", categories=categories, annotations=[{**BOX, "category_id": category}])
    source = Coco(root)
    source.items()
    assert source.classes == classes
    dropped = len(categories) - len(classes)
    if categories[0]["name"] == "cat":
        dropped = len(categories) - 1
    assert [found.kind for found in source.findings] == ["group"] * dropped


def test_categories_of_one_name_are_said(root: Path) -> None:
    write(root / "a.json", categories=[CATS, {**DOGS, "name": "cat"}])
    source = Coco(root)
    (line,) = faults(source, "are both")
    assert line == f"{root}/a.json: categories 3 and 4 are both 'cat'"


def outline(*polygons: list[float]) -> dict[str, Any]:
    return {**BOX, "bbox": [], "segmentation": [*polygons]}


def run_lengths(text: bool) -> dict[str, Any]:
    pixels = np.zeros((48, 64), np.uint8, order="F")
    pixels[5:25, 4:20] = 1
    counts: Any = mask.encode(pixels)["counts"].decode()
    if not text:
        # Columns of 48 pixels: 4 columns and 5 rows above the mask, 28 between its columns.
        counts = [4 * 48 + 5, *[20, 28] * 15, 20, 48 * 48 - 48 * 4 - 25]
        counts[-1] = 48 * 64 - sum(counts[:-1])
    return {**BOX, "bbox": None, "segmentation": {"size": [48, 64], "counts": counts}}


@pytest.mark.parametrize(
    ("annotation", "what"),
    [
        (outline([4, 5, 20, 5, 20, 25, 4, 25]), "outline"),
        (outline([4, 5, 10, 9], [20, 25, 7, 7.5, 9, 9]), "outline"),
        ({**BOX, "bbox": None, "segmentation": [4, 5, 20, 25]}, "outline"),
        (run_lengths(text=True), "mask"),
        (run_lengths(text=False), "mask"),
    ],
)
def test_outlines_without_a_box(annotation: dict[str, Any], what: str, root: Path) -> None:
    write(root / "a.json", annotations=[{k: v for k, v in annotation.items() if v is not None}])
    source = Coco(root)
    assert read(source) == {"0.jpg": [CAT]}
    (line,) = faults(source, "the box around it")
    assert line.endswith(f"(0.jpg): {what}: the box around it is taken")


def test_a_box_wins_over_its_outline(root: Path) -> None:
    write(root / "a.json", annotations=[{**BOX, "segmentation": [[1, 1, 9, 9, 1, 9]]}])
    source = Coco(root)
    assert read(source) == {"0.jpg": [CAT]}
    assert faults(source, "the box around it") == []


NO_MASK = "no bbox, and segmentation is no mask with size and counts"


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[1, 2, 3]], "no bbox, and segmentation has [1, 2, 3], not [x, y, x, y, …]"),
        ([["a"]], 'no bbox, and segmentation has ["a"], not [x, y, x, y, …]'),
        ("abc", 'no bbox, and segmentation has "abc", not [x, y, x, y, …]'),
        ({"size": [48, 64]}, NO_MASK),
        ({"size": [48], "counts": [1]}, NO_MASK),
        ({"size": [48, 64], "counts": [-1, 5]}, NO_MASK),
        ({"size": [48, 64], "counts": "0o"}, NO_MASK),  # it breaks off within a number
        ({"size": [48, 64], "counts": "é"}, NO_MASK),
        (
            {"size": [48, 64], "counts": [0, 99999]},
            "no bbox, and the mask of segmentation is larger than its size",
        ),
    ],
)
def test_bad_outlines(segmentation: Any, message: str, root: Path) -> None:
    annotation = {k: v for k, v in BOX.items() if k != "bbox"} | {"segmentation": segmentation}
    file = write(root / "a.json", annotations=[annotation])
    line = file.read_text().splitlines().index('"id": 11,')
    assert said(lambda: read(Coco(root))) == f"{file}:{line}: 0.jpg: annotation 11: {message}"


@pytest.mark.parametrize(
    "given",
    [
        "https://host.org/bucket/set/a.jpg?token=1/2",
        "..\\..\\set\\a.jpg",
        "C:\\photos\\set\\a.jpg",
        "/data/local-files/?d=set/a.jpg",
        "/home/me/set/a.jpg",
        "set%2Fa.jpg",
        "s3://bucket/a.jpg",
    ],
)
def test_paths_of_another_machine(given: str, tmp_path: Path, jpeg: bytes) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(jpeg)
    write(tmp_path / "a.json", images=[{**IMAGE, "file_name": given}])
    source = Coco(tmp_path)
    assert read(source) == {"photos/a.jpg": [CAT]}
    (line,) = faults(source, "is taken")
    assert line.endswith(": photos/a.jpg is taken")


def test_capitals_of_another_system(tmp_path: Path, jpeg: bytes) -> None:
    (tmp_path / "images").mkdir()
    for name in ("0.jpg", "A.JPG", "b.Jpg", "B.jpg"):
        (tmp_path / "images" / name).write_bytes(jpeg)
    names = ["0.jpg", "a.jpg", "b.jpg"]
    images = [{**IMAGE, "id": n, "file_name": name} for n, name in enumerate(names)]
    write(tmp_path / "a.json", images=images, annotations=[])
    source = Coco(tmp_path)
    assert list(read(source)) == ["images/0.jpg", "images/A.JPG", "images/b.jpg"]
    (line,) = faults(source, "is taken")
    assert line.endswith("'a.jpg': images/A.JPG is taken")


def test_a_crowd_may_be_a_text(root: Path) -> None:
    texts = [{**BOX, "iscrowd": crowd} for crowd in ("0", "1", 0, 1, True, "")]
    write(root / "a.json", annotations=texts)
    (found,) = read(Coco(root)).values()
    assert [difficult for _, difficult, *_ in found] == [False, True, False, True, True, False]


def test_lvis_has_urls_alone(root: Path) -> None:
    image = {"id": 7, "coco_url": "http://images.cocodataset.org/train/0.jpg"}
    write(root / "a.json", images=[image])
    source = Coco(root)
    assert read(source) == {"train/0.jpg": [CAT]}
    assert check(source).report.counts().get("note", {}).keys() == {"unannotated"}


def test_a_name_alone_does_not_lead_into_another_split(tmp_path: Path, jpeg: bytes) -> None:
    """val has an image of the name that train lacks."""
    for path in ("train/0.jpg", "val/1.jpg"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_bytes(jpeg)
    images = [{**IMAGE, "id": n, "file_name": f"{n}.jpg"} for n in range(2)]
    write(tmp_path / "train.json", images=images, annotations=[])
    assert read(Coco(tmp_path)) == {"train/0.jpg": [], "train/1.jpg": []}
    assert check(Coco(tmp_path)).report.counts()["error"]["image-missing"] == 1


@pytest.mark.parametrize("given", ["http://[x", "http://[x/9.jpg?", "s3://b", "?d=", "//x", "a:/b"])
def test_names_that_are_no_paths(given: str, root: Path) -> None:
    """They are faults of their image alone."""
    write(root / "a.json", images=[IMAGE, {**IMAGE, "id": 8, "file_name": given}])
    found = check(Coco(root))
    assert found.objects == {"cat": 1}
    assert found.report.counts()["error"]["image-missing"] == 1


def test_images_that_are_nowhere_come_with_a_hint(tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", images=[{**IMAGE, "file_name": "/home/me/a.jpg"}])
    assert said(lambda: read(Coco(tmp_path))) == (
        f"{file}:3: a.jpg: '/home/me/a.jpg' is not on this machine, and no image of that"
        f" name is in {tmp_path} (--images FOLDER says where it is)"
    )


def test_images_says_where_they_are(tmp_path: Path, jpeg: bytes) -> None:
    for path in ("set/0.jpg", "elsewhere/0.jpg"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_bytes(jpeg)
    write(tmp_path / "set/a.json")
    assert read(open_source("coco", tmp_path / "set")) == {"0.jpg": [CAT]}
    elsewhere = tmp_path / "elsewhere"
    found = read(open_source("coco", tmp_path / "set", images=elsewhere))
    assert found == {f"{elsewhere}/0.jpg": [CAT]}
    write(tmp_path / "set/a.json", images=[{**IMAGE, "file_name": "/home/me/0.jpg"}])
    assert read(open_source("coco", tmp_path / "set", images=elsewhere)) == found


def test_results_are_no_annotations(
    root: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = root / "x.json"
    file.write_text(json.dumps([{**BOX, "score": 0.5}]))
    told = refused(capsys, "coco", root, "--out", out)
    assert told.startswith(f"{file}:1: these are detections (COCO's results), not annotations")
    file.write_text(json.dumps([BOX]))
    told = refused(capsys, "coco", root, "--out", out)
    assert told == (
        f"{file}:1: a JSON list where COCO has an object with 'images', 'annotations' and"
        " 'categories'"
    )
    file.write_text(json.dumps([{"image": "0.jpg", "annotations": []}]))
    told = refused(capsys, "coco", root, "--out", out)
    assert told.endswith(f"(looks like: data_prep createml {root})")


def test_a_selection_passes_findings_on(root: Path) -> None:
    write(root / "a.json", annotations=[BOX, {**BOX, "image_id": 99}])
    source = select(open_source("coco", root), classes=["cat"])
    assert check(source).report.counts()["warning"] == {"stray": 1}


@pytest.mark.parametrize("images", ["img", "imgs", "data"])
@pytest.mark.parametrize("folder", ["ann", "anns", "annotation", "annotations"])
def test_splits_in_the_folders_of_other_tools(
    folder: str, images: str, tmp_path: Path, jpeg: bytes
) -> None:
    for x, split in enumerate(("train", "val")):
        write(tmp_path / folder / f"{split}.json", annotations=[{**BOX, "bbox": [x, 2, 3, 4]}])
        (tmp_path / images / split).mkdir(parents=True)
        (tmp_path / images / split / "0.jpg").write_bytes(jpeg)
    source = Coco(tmp_path)
    assert read(source, "train") == {f"{images}/train/0.jpg": [("cat", False, 0, 2, 3, 6)]}
    assert read(source, "val") == {f"{images}/val/0.jpg": [("cat", False, 1, 2, 4, 6)]}
