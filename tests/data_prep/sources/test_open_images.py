"""Open Images as it is downloaded, and as FiftyOne lays it out."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.sources.csv import Csv
from tests.data_prep.conversions import read
from tests.data_prep.support import refused

HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
    "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
)
ROW = "0001eeaf,xclick,/m/0k4j,1,0.25,0.5,0.25,0.75,1,1,0,0,0\n"
GROUP = "0001eeaf,xclick,/m/0199g,1,0,1,0,1,0,0,1,0,0\n"
NAMES = "/m/0k4j,Car\n/m/0199g,Bicycle\n"
BOXES = [("Car", False, 16, 12, 32, 36), ("Bicycle", True, 0, 0, 64, 48)]
OTHER_TABLES = (
    "class-descriptions.csv",
    "train-annotations-human-imagelabels-boxable.csv",
    "train-images-boxable-with-rotation.csv",
    "oidv6-train-annotations-vrd.csv",
    "train-annotations-object-segmentation.csv",
)


def lay_out(root: Path, jpeg: bytes, table: str, images: str, names: str) -> Path:
    for path in (table, f"{images}/0001eeaf.jpg", names):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / table).write_text(HEADER + ROW + GROUP)
    (root / images / "0001eeaf.jpg").write_bytes(jpeg)
    (root / names).write_text(NAMES)
    return root


@pytest.mark.parametrize("prefix", ["", "oidv6-"])
def test_as_downloaded(prefix: str, tmp_path: Path, jpeg: bytes) -> None:
    for split in ("train", "validation"):
        table = f"{prefix}{split}-annotations-bbox.csv"
        lay_out(tmp_path, jpeg, table, split, "class-descriptions-boxable.csv")
    for name in OTHER_TABLES:
        (tmp_path / name).write_text("/m/0k4j,Wagon\n/m/1,Other\n")
    source = Csv(tmp_path)
    assert source.sets() == ["train", "validation"]
    assert read(source, "train") == {"train/0001eeaf.jpg": BOXES}
    assert read(source, table) == {"validation/0001eeaf.jpg": BOXES}
    assert read(Csv(tmp_path / table)) == {"validation/0001eeaf.jpg": BOXES}


def test_a_name_of_two_identifiers_joins_no_classes(tmp_path: Path, jpeg: bytes) -> None:
    lay_out(tmp_path, jpeg, "train-annotations-bbox.csv", "train", "class-descriptions.csv")
    header = "LabelName,DisplayName\n"
    (tmp_path / "class-descriptions.csv").write_text(f"{header}/m/0k4j,Car\n/m/0199g,Car\n")
    (found,) = read(Csv(tmp_path)).values()
    assert [name for name, *_ in found] == ["/m/0k4j", "/m/0199g"]


def test_fiftyones_folders(tmp_path: Path, jpeg: bytes) -> None:
    for split in ("train", "validation"):
        folder = tmp_path / split
        lay_out(folder, jpeg, "labels/detections.csv", "data", "metadata/classes.csv")
    source = Csv(tmp_path)
    assert source.sets() == ["train", "validation"]
    assert read(source, "train") == {"train/data/0001eeaf.jpg": BOXES}
    assert read(Csv(tmp_path / "train")) == {"data/0001eeaf.jpg": BOXES}
    assert read(Csv(tmp_path / "train/labels/detections.csv")) == {"data/0001eeaf.jpg": BOXES}


def test_confined_names(
    tmp_path: Path, jpeg: bytes, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A link could name the classes by a file from elsewhere."""
    folder = tmp_path / "set"
    names = "class-descriptions-boxable.csv"
    lay_out(folder, jpeg, "train-annotations-bbox.csv", "train", names)
    (folder / names).rename(tmp_path / "names.csv")
    (folder / names).symlink_to(tmp_path / "names.csv")
    assert refused(capsys, "csv", folder, "--confine", "--out", out) == (
        f"{folder / names}: is outside {folder}; it names the classes"
    )
