"""The statistics of a training batch that golden/data/train_stats.npz records, by the formulas of
golden/how/record_data.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.netrun.data.records import layer
from tests.support import SHARED

RECORDED = SHARED / "golden" / "data" / "train_stats.npz"


def sample(source: Path, count: int, batch: int = 41, seed: int = 1) -> np.ndarray:
    """(count, 11) statistics of as many samples of SSD's full augmentation over an LMDB."""
    recorded = np.load(RECORDED)
    data_layer = layer(
        source, batch, str(recorded["transform"]), str(recorded["samplers"]), seed=seed
    )
    rows: list[list[float]] = []
    while len(rows) < count:
        data, label = (top.numpy() for top in data_layer.forward([]))
        rows += [
            _row(image, label[0, 0][label[0, 0][:, 0] == item]) for item, image in enumerate(data)
        ]
    data_layer.close()
    return np.array(rows[:count], np.float32)


def _row(image: np.ndarray, objects: np.ndarray) -> list[float]:
    low, high = objects[:, 3:5], objects[:, 5:7]
    side, middle = high - low, (low + high) / 2
    boxes = (
        [len(objects), *middle.mean(0), *side.mean(0), side.prod(1).max()]
        if len(objects)
        else [0.0] + [np.nan] * 5
    )
    return [*boxes, *image.mean((1, 2)), image.std(), (np.abs(image) <= 3).all(0).mean()]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Two-sample Kolmogorov-Smirnov distance, NaN left out."""
    a, b = np.sort(a[~np.isnan(a)]), np.sort(b[~np.isnan(b)])
    at = np.concatenate([a, b])
    return float(
        np.abs(
            np.searchsorted(a, at, "right") / len(a) - np.searchsorted(b, at, "right") / len(b)
        ).max()
    )


def distances(rows: np.ndarray) -> dict[str, float]:
    """Distance of each column to the recorded one."""
    recorded = np.load(RECORDED)
    return {
        str(name): distance(rows[:, k], recorded["rows"][:, k])
        for k, name in enumerate(recorded["columns"])
    }
