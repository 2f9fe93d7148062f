"""The wheel and its environments, made once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packaging.environment import (
    Environment,
    build_wheel,
    install,
    show_all_packages,
    show_package,
)

Folders = pytest.TempPathFactory


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: Folders) -> Path:
    pytest.importorskip("pip", reason="pip builds and installs the wheel")
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def whole(tmp_path_factory: Folders, wheel: Path) -> Environment:
    """As after `pip install 'ssd-zoo[run]'`."""
    made = install(wheel, tmp_path_factory.mktemp("whole") / "venv")
    show_all_packages(made)
    return made


@pytest.fixture(scope="session")
def generators(tmp_path_factory: Folders, wheel: Path) -> Environment:
    """As after `pip install ssd-zoo`: NumPy and protobuf, and no other package."""
    made = install(wheel, tmp_path_factory.mktemp("generators") / "venv")
    for module in ("numpy", "google"):
        show_package(made, module)
    return made
