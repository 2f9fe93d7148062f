"""The faces of packages: one list of names, which __init__.py and type checkers read."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ssd_common.face import Face

FACES = [importlib.import_module(name) for name in ("netgen", "data_prep", "netrun")]
faces = pytest.mark.parametrize("package", FACES, ids=lambda package: package.__name__)
INIT = """
from ssd_common.face import Face
own = 1
_FACE = Face(__name__, __file__)
__all__ = list(_FACE.modules)
__getattr__ = _FACE.load
__dir__ = _FACE.directory
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A package of two names."""
    folder = tmp_path / "a_package_of_tests"
    folder.mkdir()
    (folder / "__init__.py").write_text(INIT)
    (folder / "__init__.pyi").write_text(
        "# Names:\nfrom a_package_of_tests.slow import f as f\nfrom json import dumps as dumps\n"
    )
    (folder / "slow.py").write_text("def f() -> int:\n    return 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    loaded = set(sys.modules)
    yield importlib.import_module("a_package_of_tests")
    for name in set(sys.modules) - loaded:
        del sys.modules[name]


def test_a_module_loads_when_its_name_is_asked_for(package: ModuleType) -> None:
    assert package.__all__ == ["f", "dumps"]
    assert {"f", "dumps", "own"} < set(dir(package))
    assert "a_package_of_tests.slow" not in sys.modules
    assert package.f() == 3
    assert package.dumps is importlib.import_module("json").dumps
    names: dict[str, object] = {}
    exec("from a_package_of_tests import *", names)
    assert {"f", "dumps"} < set(names)


def test_an_unknown_name_is_refused(package: ModuleType) -> None:
    message = r"^module 'a_package_of_tests' has no attribute 'g'$"
    with pytest.raises(AttributeError, match=message):
        _ = package.g


def test_a_package_without_a_stub_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Face("p", str(tmp_path / "__init__.py"))


@faces
def test_every_line_of_a_stub_is_a_name(package: ModuleType) -> None:
    """A line in another form would be a name that type checkers see and users miss."""
    stub = Path(package.__file__ or "").with_suffix(".pyi").read_text(encoding="utf-8")
    lines = [line for line in stub.splitlines() if not line.startswith("#")]
    assert [line.split()[-1] for line in lines] == package.__all__


@faces
def test_every_name_is_there(package: ModuleType) -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert {*package.__all__} <= {*dir(package)}


@faces
def test_importing_a_package_waits_for_no_library(package: ModuleType) -> None:
    slow = ("torch", "cv2", "numpy", "google.protobuf", "lmdb")
    script = (
        f"import sys, {package.__name__} as p; dir(p); p.__version__; "
        f"print([m for m in {slow} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
