"""Text files of a data set that cannot be read: each one line that names the file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from data_prep.cli import main
from data_prep.sources import csv_lists, csv_rows, image_lists, text_file
from data_prep.sources.open_images import read_names
from data_prep.sources.yaml_file import YamlFile
from ssd_common.command import run_command
from ssd_common.errors import CaffeError
from tests.data_prep.conversions import convert
from tests.data_prep.support import refused, voc_folder

LONG = "x" * 200_000  # csv takes cells of 131,072 characters
SPOILT = [b"\xff\xfe\x00\xdc", b"\xff\xfea", b"caf\xe9\n"]  # half a pair, half a letter, Latin-1
READERS = {
    "a list": lambda path: list(image_lists.read_lines(path, "a list")),
    "a list ": csv_lists.read_list,
    "a table": lambda path: list(csv_rows.read_rows(path)),
    "a table of classes' names": lambda path: read_names([path]),
    "a YAML file": YamlFile,
}
# What a folder has in place of a file, by kind.
ANNOTATIONS = {
    "kitti": "label_2/1.txt",
    "cvat": "annotations.xml",
    "via": "via.json",
    "coco": "annotations/instances_all.json",
    "createml": "_annotations.createml.json",
    "labelstudio": "project.json",
    "visdrone": "annotations/1.txt",
}


@pytest.mark.parametrize("data", SPOILT)
@pytest.mark.parametrize("what", READERS)
def test_what_is_no_text_is_refused(what: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(CaffeError) as caught:
        READERS[what](path)
    assert str(caught.value) == f"{path}: not {what.strip()}: {text_file.NO_TEXT}"


def test_a_cell_longer_than_csv_takes(
    tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    root = convert("csv", voc_folder(tmp_path / "voc", jpeg), tmp_path / "csv")
    path = tmp_path / "list.csv"
    path.write_text(f"0.jpg\n{LONG}\n")
    said = refused(capsys, "csv", root, "--list", path, "--out", tmp_path / "out")
    assert said == f"{path}: not a list: field larger than field limit (131072)"


@pytest.mark.parametrize("kind", ANNOTATIONS)
def test_a_pipe_in_place_of_annotations_is_refused(
    kind: str, tmp_path: Path, jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Opened as a file is, it would wait for its other end."""
    root = convert(kind, voc_folder(tmp_path / "voc", jpeg), tmp_path / kind)
    path = root / ANNOTATIONS[kind]
    path.unlink()
    os.mkfifo(path)
    assert run_command("data_prep", main, ["check", kind, str(root)]) == 1
    assert f"{path}: not a regular file" in "".join(capsys.readouterr())


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no /proc")
def test_a_fault_of_the_disk_names_the_file() -> None:
    with pytest.raises(OSError, match="Input/output error") as caught:
        list(image_lists.read_lines(Path("/proc/self/mem"), "a list"))
    assert caught.value.filename == "/proc/self/mem"
