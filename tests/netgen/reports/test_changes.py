"""What `netgen build` says about options that change a detector."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import netgen
from netgen.cli import main
from netgen.reports.changes import report


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A data set of two classes and the background, in the working directory."""
    monkeypatch.chdir(tmp_path)
    items = [f'item {{ name: "c{n}" label: {n} display_name: "c{n}" }}\n' for n in range(3)]
    Path("labelmap.prototxt").write_text("".join(items))
    about = {
        "name": "mine",
        "labelmap": "labelmap.prototxt",
        "train_lmdb": "train_lmdb",
        "test_lmdb": "test_lmdb",
        "name_size": "test_name_size.txt",
        "train_images": 30,
        "test_images": 6,
    }
    Path("dataset.json").write_text(json.dumps(about))
    return "dataset.json"


def lines(zoo_id: str, **options) -> list[str]:
    return list(report(netgen.configure(zoo_id), netgen.configure(zoo_id, **options)))


def test_own_data(own: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["build", "dsod300_coco", "--dataset", own, "--out", "a"])
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == [
        "changed from dsod300_coco:",
        "  data: data/coco/coco_train_lmdb -> train_lmdb",
        "  classes with background: 81 -> 3",
        "  test images: 5,000, 2 at a time -> 6, 2 at a time",
        "  result files: COCO's, also from the deploy net -> COCO's",
        "as in dsod300_coco:",
        "  prior boxes: 21-45 45-99 99-153 153-207 207-261 261-315",
        "  difficult objects: left out",
        "  average precision: 11point",
    ]
    main(["build", "dsod300_coco", "--dataset", own, "--out", "a", "--quiet"])
    assert capsys.readouterr().out == ""


def test_what_a_flag_changes_is_said(own: str) -> None:
    said = lines("ssd300_coco", dataset=own, difficult=True, ap_version="Integral")
    assert "  difficult objects: left out -> trained on" in said
    assert "  average precision: 11point -> Integral" in said


def test_a_named_data_set_and_the_papers_own_detector_for_it() -> None:
    said = lines("fssd300", dataset="coco")
    assert "  images: read as they are -> read in colour" in said
    assert "  prior boxes: 30-60 60-111 111-162 162-213 213-264 264-315" in said
    assert said[-1] == "the papers' own fssd300_coco is another: netgen build fssd300_coco"


def test_size_backbone_and_schedule() -> None:
    said = lines("ssd300", size=512)
    assert "  input: 300x300 -> 512x512" in said
    boxes = next(line for line in said if "prior boxes" in line)
    assert boxes.split(" -> ")[1].startswith("35.84-76.8 76.8-153.6 ")
    said = lines("ssd300", backbone="resnet101")
    assert said[-1].endswith(" -> models/ResNet-101-model.caffemodel")
    said = lines("ssd300", iterations=1200, batch=8)
    assert said == [
        "changed from ssd300_voc0712:",
        "  iterations: 120,000 -> 1,200",
        "  learning rate: 0.001 -> 0.00025",
    ]


def test_nothing_changed() -> None:
    assert not lines("ssd300")
    assert not lines("ssd300", gpus=[0])


def test_snapshots_of_another_net_in_the_folder(
    own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two recipes on one data set have the same name there, and may differ in their boxes."""
    main(["build", "ssd300", "--dataset", own])
    Path("runs/ssd300_mine/snapshots").mkdir()
    Path("runs/ssd300_mine/snapshots/ssd300_mine_iter_5.solverstate").touch()
    main(["build", "ssd300", "--dataset", own, "--gpus", "0"])
    assert "snapshots" not in capsys.readouterr().err
    main(["build", "ssd300_coco", "--dataset", own])
    said = capsys.readouterr().err
    assert "the snapshots in runs/ssd300_mine/snapshots are of another net" in said
