"""Who may import whom: the packages meet only through Caffe's own files, rooms import downwards."""

from __future__ import annotations

import ast

import pytest

from tests.layering import PACKAGES, circles, imports, not_allowed
from tests.support import ROOT


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_it_may_and_its_rooms_only_downwards(package: str) -> None:
    found = list(imports(package))
    assert found
    wrong = [reason for one in found if (reason := not_allowed(one))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_two_folders_of_a_package_import_each_other(package: str) -> None:
    assert circles(package) == []


def test_files_beside_nets_need_numpy_and_caffe_alone() -> None:
    """netgen writes them for pycaffe to import, where none of our packages is installed."""
    for path in (ROOT / "netgen/python_layers").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = [
            a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names
        ]
        assert set(named) <= {"numpy", "caffe", "json"}, path


def test_files_stay_short() -> None:
    """A file that grows past 400 lines has more than one subject."""
    for folder in (*PACKAGES, "bench", "scripts", "tests", "tools"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            assert lines <= 400 or path.name.endswith("_pb2.py"), (
                f"{path.relative_to(ROOT)}: {lines} lines"
            )
