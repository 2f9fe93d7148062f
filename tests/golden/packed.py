"""Many small golden cases in one compressed file: equal arrays are kept once.

`index` (JSON) holds each case by name: its words (prototxt, phase), and under `arrays` the shape of
each array and where in `values` (float32, one row) it begins.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
Case = dict[str, Any]


def read(name: str) -> dict[str, Case]:
    """The cases of a file of this folder, by name: words as they are, arrays by their key."""
    with np.load(HERE / name) as file:
        index = json.loads(str(file["index"]))
        values = file["values"]
    for case in index.values():
        for key, (shape, start) in case.pop("arrays").items():
            case[key] = values[start : start + math.prod(shape)].reshape(shape)
    return index


def write(name: str, cases: Mapping[str, Mapping[str, Any]]) -> int:
    """Write cases (words, whole numbers, float32 arrays) to a file of this folder.

    Returns its size in bytes.
    """
    index: dict[str, Case] = {}
    pool = _Pool()
    for case_name, case in cases.items():
        entry: Case = {"arrays": {}}
        for key, value in case.items():
            if isinstance(value, np.ndarray):
                entry["arrays"][key] = [list(value.shape), pool.place(value)]
            else:
                entry[key] = value
        index[case_name] = entry
    np.savez_compressed(
        HERE / name, index=json.dumps(index, separators=(",", ":")), values=pool.values()
    )
    return (HERE / name).stat().st_size


class _Pool:
    """Arrays end to end, each distinct one once."""

    def __init__(self) -> None:
        self._starts: dict[bytes, int] = {}
        self._rows: list[np.ndarray] = []
        self._end = 0

    def place(self, array: np.ndarray) -> int:
        """Where the array begins. Raises TypeError for one that is not float32."""
        if array.dtype != np.float32:
            raise TypeError(f"expected float32, found {array.dtype}")
        key = array.tobytes()
        if key not in self._starts:
            self._starts[key] = self._end
            self._rows.append(array.reshape(-1))
            self._end += array.size
        return self._starts[key]

    def values(self) -> np.ndarray:
        """All of them, one row."""
        return np.concatenate(self._rows)
