"""dataset.json: what is written reads back, with the classes of the label map beside it.

What is refused: tests/netgen/test_datasets.py.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from caffe_ir import dataset_file, label_map
from caffe_ir.dataset_file import DatasetFile
from ssd_common.errors import ParseError

ABOUT = DatasetFile(
    name="mine",
    labelmap=label_map.FILE_NAME,
    train_lmdb="train_lmdb",
    test_lmdb="test_lmdb",
    name_size="test_name_size.txt",
    train_images=30,
    test_images=6,
)
TEXT = """{
  "name": "mine",
  "labelmap": "labelmap.prototxt",
  "train_lmdb": "train_lmdb",
  "test_lmdb": "test_lmdb",
  "name_size": "test_name_size.txt",
  "train_images": 30,
  "test_images": 6
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ABOUT.labelmap).write_text('item { label: 0 } item { label: 3 name: "c" }')
    return tmp_path


def test_what_is_written_reads_back(folder: Path) -> None:
    assert dataset_file.dumps(ABOUT) == TEXT
    file = folder / dataset_file.FILE_NAME
    file.write_text(TEXT)
    assert (
        dataset_file.read(file) == dataset_file.read(str(folder)) == replace(ABOUT, num_classes=4)
    )


def test_force_color_is_written_where_it_is_set(folder: Path) -> None:
    grey = replace(ABOUT, force_color=True)
    assert json.loads(dataset_file.dumps(grey)) == json.loads(TEXT) | {"force_color": True}
    (folder / dataset_file.FILE_NAME).write_text(dataset_file.dumps(grey))
    assert dataset_file.read(folder).force_color


@pytest.mark.parametrize("count", ["train_images", "test_images"])
def test_both_parts_have_images(folder: Path, count: str) -> None:
    (folder / dataset_file.FILE_NAME).write_text(dataset_file.dumps(replace(ABOUT, **{count: 0})))
    with pytest.raises(ParseError, match="count at least one image each"):
        dataset_file.read(folder)


def test_a_label_map_that_is_missing(folder: Path) -> None:
    (folder / dataset_file.FILE_NAME).write_text(TEXT)
    (folder / ABOUT.labelmap).unlink()
    with pytest.raises(ParseError, match=r"labelmap\.prototxt: No such file"):
        dataset_file.read(folder)
