"""Tables, counts in words, cores."""

from __future__ import annotations

import os

import pytest

from ssd_common.machine import cores
from ssd_common.tables import aligned
from ssd_common.words import counted, memory_size


def test_columns_are_aligned() -> None:
    rows = [("layer", "what", "n"), ("conv1", "Convolution", "1,792"), ("x", "", "64")]
    assert aligned(rows, left=2) == [
        "layer  what             n",
        "conv1  Convolution  1,792",
        "x                      64",
    ]
    assert aligned([("a", "b"), ("cc", "")], left=2) == ["a   b", "cc"]
    assert aligned([]) == []


def test_rows_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        aligned([("a", "b"), ("c",)])


def test_bytes_in_words() -> None:
    """1023.6 MiB is rounded, and stays in MiB: 2**30 is where GiB begin."""
    assert [
        memory_size(count) for count in (0, 300 << 20, (1 << 30) - 400_000, 1 << 30, 3 << 29)
    ] == [
        "0 MiB",
        "300 MiB",
        "1024 MiB",
        "1.0 GiB",
        "1.5 GiB",
    ]


@pytest.mark.parametrize(("count", "said"), [(0, "0 images"), (1, "1 image"), (2, "2 images")])
def test_counts(count: int, said: str) -> None:
    assert counted(count, "image") == said


def test_cores_are_those_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores() == 8
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1
