"""Label maps: names by label, the one that a net names, and how many classes one stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map
from ssd_common.errors import ParseError

CATS = 'item { name: "n1" label: 1 display_name: "cat" } item { name: "dog" label: 4 }'


@pytest.fixture
def cats(tmp_path: Path) -> str:
    file = tmp_path / label_map.FILE_NAME
    file.write_text(CATS)
    return str(file)


def test_names_are_those_that_people_read(cats: str) -> None:
    assert [item.name for item in label_map.read(cats).item] == ["n1", "dog"]
    assert label_map.class_names(cats) == {1: "cat", 4: "dog"}
    assert label_map.class_names(None) == {}
    with pytest.raises(ParseError, match="nowhere"):
        label_map.class_names("nowhere")


def test_a_nets_label_map_is_the_first_that_is_there(cats: str, tmp_path: Path) -> None:
    missing, other = str(tmp_path / "missing"), tmp_path / "other"
    other.write_text(CATS)
    net = pb.NetParameter()
    save = net.layer.add().detection_output_param.save_output_param
    assert label_map.named_by(net) is None
    save.label_map_file = str(other)
    assert label_map.named_by(net) == str(other)
    net.layer.add().annotated_data_param.label_map_file = missing
    assert label_map.named_by(net) == str(other)
    net.layer.add().annotated_data_param.label_map_file = cats
    assert label_map.named_by(net) == cats, "a data layer's comes before an output's"


def test_classes_reach_to_the_highest_label(cats: str, tmp_path: Path) -> None:
    assert label_map.count_classes(cats) == 5
    for items in ('item { name: "none" label: 0 }', "item { label: -1 } item { label: 2 }"):
        (tmp_path / "bad").write_text(items)
        with pytest.raises(ParseError, match="0 for the background and 1 and up"):
            label_map.count_classes(tmp_path / "bad")
