"""Every kind of data set: the same images and boxes in another form give the same records."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_ir import caffe_ir_pb2 as pb
from data_prep.cli import main
from tests.data_prep.conversions import WRITERS, convert
from tests.data_prep.support import BCCD, XML, build, records
from tests.support import needs_shared

MORE = {"kitti": ["--level", "all"]}


def boxes(found: dict[bytes, bytes]) -> dict[str, list[tuple]]:
    """Image name -> label, instance, box, difficult of every box, and the image itself."""
    result = {}
    for key, value in found.items():
        record = pb.AnnotatedDatum.FromString(value)
        result[Path(key.decode().partition("_")[2]).stem] = [
            (
                g.group_label,
                a.instance_id,
                a.bbox.xmin,
                a.bbox.ymin,
                a.bbox.xmax,
                a.bbox.ymax,
                a.bbox.difficult,
            )
            for g in record.annotation_group
            for a in g.annotation
        ] + [record.datum.data]
    return result


@needs_shared
@pytest.mark.parametrize("kind", WRITERS)
def test_same_boxes_as_from_voc(kind: str, tmp_path: Path) -> None:
    expected = build(BCCD, tmp_path / "voc/lmdb", "--list", "test")
    root = convert(kind, BCCD, tmp_path / kind, "test")
    main([kind, str(root), "--out", str(tmp_path / "out/lmdb"), *MORE.get(kind, [])])
    found = records(tmp_path / "out/lmdb")
    assert boxes(found) == boxes(expected)
    assert (tmp_path / "out/labelmap.prototxt").read_text() == (
        tmp_path / "voc/labelmap.prototxt"
    ).read_text()


@pytest.mark.parametrize("kind", WRITERS)
def test_the_list_beside_an_lmdb_builds_it_again(kind: str, folder: Path, tmp_path: Path) -> None:
    (folder / "Annotations/1.xml").write_text(XML.format(name="dog"))
    root = convert(kind, folder, tmp_path / kind)
    found = []
    for number, flags in enumerate(([], ["--list", str(tmp_path / "0/train.txt")])):
        main(
            [
                kind,
                str(root),
                "--out",
                str(tmp_path / f"{number}/train_lmdb"),
                *flags,
                *MORE.get(kind, []),
            ]
        )
        found.append(records(tmp_path / f"{number}/train_lmdb"))
    assert len(found[0]) == 3
    assert found[0] == found[1]
