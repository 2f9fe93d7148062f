"""What the suite itself says."""

from __future__ import annotations

import pytest

from tests.conftest import skips_by_reason


def skipped(reason: str) -> pytest.TestReport:
    return pytest.TestReport(
        "test.py::case",
        ("test.py", 1, "case"),
        {},
        "skipped",
        ("test.py", 1, f"Skipped: {reason}"),
        "setup",
    )


def test_skips_are_counted_by_reason() -> None:
    reports = [skipped("no GPU"), skipped("no Caffe"), skipped("no Caffe")]
    assert skips_by_reason(reports) == ["    2  no Caffe", "    1  no GPU"]
