"""Every package tells this project's version."""

from __future__ import annotations

import importlib
import re

import pytest

from ssd_common.version import __version__


@pytest.mark.parametrize("package", ["netgen", "data_prep", "netrun"])
def test_packages_and_programs_tell_it(package: str, capsys) -> None:
    assert importlib.import_module(package).__version__ == __version__
    assert importlib.import_module(f"{package}.cli").main(["--version"]) == 0
    assert capsys.readouterr().out == f"{package} {__version__}\n"
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_pycaffes_users_see_caffes() -> None:
    assert importlib.import_module("netrun.pycaffe").__version__ == "1.0.0-rc3"
