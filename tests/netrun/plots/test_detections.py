"""Files of drawn detections: their names, their list, and what cannot be written."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from netrun.data.pictures import Picture
from netrun.evaluation.detect import DetectedPicture
from netrun.plots.detections import DrawnDetections, write_sheet
from ssd_common.errors import CaffeError
from ssd_common.pictures import Box


def seen(name: str, *boxes: Box) -> DetectedPicture:
    return DetectedPicture(Picture(name, np.full((20, 40, 3), 90, np.uint8)), list(boxes))


def test_each_image_has_a_file_of_its_own(tmp_path: Path) -> None:
    """Named after its path where that is relative, after its stem else, with its number where that
    name is taken.
    """
    drawn = DrawnDetections(tmp_path / "out")
    for name in ("a/b.jpg", "a_b.png", "/far/away/c.jpg", "c.jpg", "00000001_d.e", "0"):
        drawn.add(seen(name))
    drawn.write_list()
    listed = json.loads((tmp_path / "out/detections.json").read_text())
    assert [entry["drawn"] for entry in listed] == [
        "a_b.png",
        "a_b_1.png",
        "c.png",
        "c_3.png",
        "00000001_d.png",
        "0.png",
    ]
    assert all((tmp_path / "out" / entry["drawn"]).is_file() for entry in listed)


def test_the_list_has_boxes_in_pixels(tmp_path: Path) -> None:
    """0.1 and 0.5 of 40 pixels, 0.2 and 0.51 of 20."""
    drawn = DrawnDetections(tmp_path)
    drawn.add(seen("a.jpg", Box([0.1, 0.2, 0.5, 0.51], 3, "ring", 0.123456)))
    drawn.write_list()
    [entry] = json.loads((tmp_path / "detections.json").read_text())
    assert entry["detections"] == [
        {"label": 3, "name": "ring", "score": 0.1235, "box": [4.0, 4.0, 20.0, 10.2]}
    ]


def test_no_image_no_folder(tmp_path: Path) -> None:
    DrawnDetections(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_sheet_compares_where_the_truth_is_known(tmp_path: Path) -> None:
    """Alone, two images stand below each other's corner; with a truth they take four columns."""
    plain = [seen("a"), seen("b")]
    assert not write_sheet(tmp_path / "deep/plain.png", plain)
    picture = Picture("c", plain[0].picture.image, (Box([0, 0, 1, 1], 1, "ring"),))
    assert write_sheet(tmp_path / "compared.png", [plain[0], DetectedPicture(picture, [])])
    widths = [
        cv2.imread(str(tmp_path / name)).shape[1] for name in ("deep/plain.png", "compared.png")
    ]
    assert widths == [10 + 2 * 330, 10 + 4 * 330]


def test_a_suffix_that_no_format_has(tmp_path: Path) -> None:
    with pytest.raises(
        CaffeError, match=r"a.pong: no image format has this suffix; use .png or .jpg$"
    ):
        write_sheet(tmp_path / "a.pong", [seen("a")])
