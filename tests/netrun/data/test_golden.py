"""AnnotatedData against what the SSD fork read and drew (shared/golden/data)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.lmdb_reader import LmdbReader
from tests.netrun.data import statistics
from tests.netrun.data.records import bccd, layer
from tests.support import SHARED, golden, needs_shared

DATA = SHARED / "golden" / "data"
LABELMAP = f'label_map_file: "{DATA}/labelmap.prototxt"'


@pytest.mark.parametrize("case", golden("data/plain_*.npz"))
def test_without_augmentation(case: Path) -> None:
    expected = np.load(case)
    data, label = layer(
        DATA / "lmdb", 8, str(expected["transform"]), LABELMAP, phase=pb.TEST
    ).forward([])
    assert data.shape == expected["data"].shape
    difference = np.abs(data.numpy() - expected["data"])
    assert difference.max() <= 2
    assert (
        (difference > 0).mean() < 0.06
    )  # cubic: one level in one of twenty values, another OpenCV; the others have none
    np.testing.assert_allclose(label.numpy(), expected["label"], rtol=0, atol=1e-6)


@needs_shared
def test_our_records_are_the_forks(tmp_path: Path) -> None:
    """The LMDB that the statistics below come from is built as convert_annoset builds it."""
    ours, theirs = LmdbReader(bccd(tmp_path / "db", "test", 8)), LmdbReader(DATA / "lmdb")
    assert ours.keys == theirs.keys
    for number in range(8):
        expected = pb.AnnotatedDatum.FromString(theirs.value(number))
        for field in ("channels", "height", "width"):  # of an encoded image nobody reads them
            expected.datum.ClearField(field)
        assert pb.AnnotatedDatum.FromString(ours.value(number)) == expected


@needs_shared
def test_distribution_of_the_augmentation(tmp_path: Path) -> None:
    """Kolmogorov-Smirnov distance below 0.05 in every column, with as many samples as were
    recorded, 4,100.

    Two samples of that size from one distribution lie less than 1.63 * sqrt(2 / 4100) = 0.036 apart
    99 times of 100.
    """
    distances = statistics.distances(statistics.sample(bccd(tmp_path / "db", "train"), 4100))
    assert {name: d for name, d in distances.items() if d >= 0.05} == {}
