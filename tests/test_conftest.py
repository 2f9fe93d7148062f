"""What the suite itself says."""

from __future__ import annotations

import pytest

from tests.conftest import skips_by_reason
from tests.support import ROOT


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


def test_no_folder_of_tests_is_left_out(pytestconfig: pytest.Config) -> None:
    """Pytest's own list of folders that it passes over has `build`, which data_prep has, too."""
    passed_over = pytestconfig.getini("norecursedirs")
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    for folder in folders:
        assert not any(folder.match(pattern) for pattern in passed_over), folder
