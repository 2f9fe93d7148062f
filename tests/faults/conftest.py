"""One server for all tests here."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.faults.runs import Runner, compiler


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Commands run with the shim in them."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the shim is for Linux")
    if not compiler():
        pytest.skip("no C compiler for the shim: install gcc or clang as cc")
    runner = Runner(tmp_path_factory.mktemp("shim"))
    yield runner
    runner.close()
