"""Fixtures: a small VOC-style folder and where its LMDB shall be."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.data_prep.support import voc_folder


@pytest.fixture
def jpeg() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


@pytest.fixture
def folder(tmp_path: Path, jpeg: bytes) -> Path:
    return voc_folder(tmp_path / "voc", jpeg)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out" / "train_lmdb"


@pytest.fixture
def root(tmp_path: Path, jpeg: bytes) -> Path:
    """A folder with the images 0.jpg, 1.jpg and 2.jpg (64x48), also in each layout's folders."""
    for folder in ("", "images", "images/train", "image_2", "train"):
        (tmp_path / folder).mkdir(exist_ok=True)
        for i in range(3):
            (tmp_path / folder / f"{i}.jpg").write_bytes(jpeg)
    return tmp_path
