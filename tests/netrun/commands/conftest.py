"""A narrow detector, trained once for the tests of commands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from data_prep.cli import main as data_prep
from tests.netrun.commands.support import SOLVER, netrun
from tests.netrun.narrow import deploy_net, train_test_net


@pytest.fixture(scope="package")
def run_folder(tmp_path_factory) -> Path:
    """A folder with data, nets and a solver, trained for 8 iterations by `netrun train`."""
    folder = tmp_path_factory.mktemp("run")
    data_prep(
        ["shapes", "--out", str(folder / "data"), "--train", "8", "--test", "6", "--size", "96"]
    )
    (folder / "test.prototxt").write_text(
        train_test_net("data/train_lmdb", "data/test_lmdb", "data/labelmap.prototxt")
    )
    (folder / "deploy.prototxt").write_text(deploy_net())
    (folder / "solver.prototxt").write_text(SOLVER)
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert netrun("train", "-solver", "solver.prototxt", "--log=logs/train.log") == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def here(run_folder: Path, monkeypatch) -> Path:
    monkeypatch.chdir(run_folder)
    return run_folder
