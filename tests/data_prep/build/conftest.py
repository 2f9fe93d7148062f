"""A folder of many images, for builds that take several commits."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep.build import lmdb_writer
from tests.data_prep.build.many import COMMIT, COUNT
from tests.data_prep.support import XML, voc_folder


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 60 different images; LMDBs are written in commits of 10."""
    monkeypatch.setattr(lmdb_writer, "COMMIT_RECORDS", COMMIT)
    root = voc_folder(tmp_path / "voc", b"", COUNT)
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        pixels = cv2.resize(rng.integers(0, 256, (3 + i % 20, 4, 3), np.uint8), (64, 48))
        (root / f"JPEGImages/{i}.jpg").write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
        (root / f"Annotations/{i}.xml").write_text(XML.format(name=("cat", "dog")[i % 2]))
    return root
