"""Some of a set's classes, renamed or not, and the images that then have no object."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map as label_maps
from data_prep.cli import main
from data_prep.sources import label_map
from data_prep.sources.selection import read_map
from ssd_common.errors import CaffeError
from tests.data_prep.conversions import convert, said
from tests.data_prep.support import XML, build, records, refused

EMPTY = "<annotation><size><width>64</width><height>48</height></size></annotation>"


@pytest.fixture
def animals(folder: Path) -> Path:
    """0 a cat, 1 a dog, 2 nothing."""
    (folder / "Annotations/1.xml").write_text(XML.format(name="dog"))
    (folder / "Annotations/2.xml").write_text(EMPTY)
    return folder


def labels(found: dict[bytes, bytes]) -> dict[str, list[int]]:
    """Image -> label of each group."""
    result = {}
    for key, value in found.items():
        groups = pb.AnnotatedDatum.FromString(value).annotation_group
        result[Path(key.decode()).stem] = [group.group_label for group in groups]
    return result


def names(out: Path) -> list[str]:
    return [i.name for i in label_maps.read(out.with_name("labelmap.prototxt")).item][1:]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], {"0": [1], "1": [2], "2": []}),
        (["--drop-empty"], {"0": [1], "1": [2]}),
        # 2 had no objects before, as in the fork's sets.
        (["--classes", "dog"], {"1": [1], "2": []}),
        (["--classes", "dog", "--keep-empty"], {"0": [], "1": [1], "2": []}),
        (["--classes", "dog", "--drop-empty"], {"1": [1]}),
        (["--classes", "dog,cat"], {"0": [2], "1": [1], "2": []}),
    ],
)
def test_classes(
    animals: Path, out: Path, flags: list[str], expected: dict[str, list[int]]
) -> None:
    assert labels(build(animals, out, *flags)) == expected
    assert names(out) == {"dog": ["dog"], "dog,cat": ["dog", "cat"]}.get(
        flags[1] if len(flags) > 1 else "", ["cat", "dog"]
    )
    assert len(out.with_name("train.txt").read_text().splitlines()) == len(expected)


def test_map_renames_and_leaves_out(animals: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "map.txt").write_text("0,0,background\ncat,2,pet\nwolf,1,wild\n")
    assert labels(build(animals, out, "--map", tmp_path / "map.txt")) == {"0": [2], "2": []}
    assert names(out) == ["wild", "pet"]
    (tmp_path / "map.txt").write_text("cat,pet\ndog,pet\n")
    other = tmp_path / "other/lmdb"
    assert labels(build(animals, other, "--map", tmp_path / "map.txt", "--classes", "pet")) == {
        "0": [1],
        "1": [1],
        "2": [],
    }


def test_a_map_by_labels(animals: Path, out: Path, tmp_path: Path) -> None:
    """As the fork's data/VOC0712/coco_voc_map.txt.

    `16,8,cat` is COCO's label 16, the cat, not its id 16, the bird.
    """
    root = convert("coco", animals, tmp_path / "coco")  # ids: cat 3, dog 5; labels: cat 1, dog 2
    (tmp_path / "coco_voc_map.txt").write_text("0,0,background\n9,1,aeroplane\n2,2,dog\n")
    main(
        [
            "coco",
            str(root),
            "--map",
            str(tmp_path / "coco_voc_map.txt"),
            "--labelmap",
            "voc",
            "--out",
            str(out),
        ]
    )
    voc = {i.name: i.label for i in label_maps.read(label_map.find("voc")).item}
    assert labels(records(out)) == {"1": [voc["dog"]], "2": []}
    (tmp_path / "coco_voc_map.txt").write_text("2,1,cat\n")
    with pytest.raises(
        CaffeError, match="--map: label 2 is 'dog', and 'cat' is a class of its own"
    ):
        main(
            [
                "coco",
                str(root),
                "--map",
                str(tmp_path / "coco_voc_map.txt"),
                "--out",
                str(out.with_name("other")),
            ]
        )


BAD = {
    "a,b,c,d\n": "FILE:1: 'a,b,c,d' where 'name,label,new name' or 'name,new name' should be",
    "a,one,b\n": "FILE:1: label 'one' is not a number",
    f"a,{'9' * 5000},b\n": f"FILE:1: label '{'9' * 60}…' is not a number",
    "a,1,b\na,1,b\n": "FILE:2: 'a' is there twice",
    "a,1,b\nc,2,b\n": "FILE:2: 'b' as label 2 contradicts a line above",
    "a,1,b\nc,1,d\n": "FILE:2: 'd' as label 1 contradicts a line above",
    "a,2,b\n": "FILE: labels should count from 1 without gaps, not 2",
    "a,0,b\n": "FILE: labels should count from 1 without gaps, not none",
}


@pytest.mark.parametrize("content", BAD)
def test_bad_map(content: str, tmp_path: Path) -> None:
    (tmp_path / "map.txt").write_text(content)
    assert said(lambda: read_map(tmp_path / "map.txt")) == BAD[content].replace(
        "FILE", str(tmp_path / "map.txt")
    )


def test_bad_flags(
    animals: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*flags: object, status: int = 1) -> str:
        return refused(capsys, "voc", animals, "--out", out, *flags, status=status)

    assert told("--classes", "cta") == "--classes: no object of class 'cta' (did you mean 'cat'?)"
    assert (
        told("--classes", "cat,,dog", status=2)
        == "--classes cat,,dog: class names with commas between them, each once;"
        " see data_prep voc --help"
    )
    assert (
        told("--classes", "zebra", "--drop-empty")
        == f"{animals}: no image has an object of zebra (--keep-empty keeps them all)"
    )
    (tmp_path / "map.txt").write_text("cat,pet\n")
    assert (
        told("--map", tmp_path / "map.txt", "--classes", "pets")
        == "--classes: --map gives no class 'pets' (did you mean 'pet'?)"
    )
    assert told("--keep-empty", "--drop-empty", status=2).startswith(
        "argument --drop-empty: not allowed with argument --keep-empty"
    )
    assert not out.parent.exists()


def test_voc_classes_of_coco() -> None:
    renaming = read_map(label_map.find_map("coco_voc"))
    assert (
        list(renaming.values()) == [i.name for i in label_maps.read(label_map.find("voc")).item][1:]
    )
    assert set(renaming) <= {i.display_name for i in label_maps.read(label_map.find("coco")).item}
    assert {k: v for k, v in renaming.items() if k != v} == {
        "airplane": "aeroplane",
        "dining table": "diningtable",
        "motorcycle": "motorbike",
        "potted plant": "pottedplant",
        "couch": "sofa",
        "tv": "tvmonitor",
    }
