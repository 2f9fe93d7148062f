"""Who may import whom: the rooms meet only through Caffe's own files."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

# room -> what it may import beside the standard library and itself; "=name" is the package's own functions, not its modules.
# data_prep asks netgen for the nets of its zoo, to hold their prior boxes against the data.
MAY_IMPORT = {
    "ssd_common": {"numpy", "cv2", "shtab"},
    "caffe_ir": {"ssd_common", "google", "numpy"},  # numpy: prior_boxes and records, which data_prep and netrun share
    "netgen": {"google", "ssd_common", "caffe_ir"},
    "netgen/python_layers": {"numpy", "caffe"},  # files that netgen writes beside nets, for pycaffe to import
    "data_prep": {
        "google",
        "ssd_common",
        "caffe_ir",
        "=netgen",
        "netgen.datasets",
        "numpy",
        "lmdb",
        "cv2",
        "tqdm",
        "matplotlib",
        "pooch",
        "requests",
        "distributed",
    },
    "netrun": {"google", "ssd_common", "caffe_ir", "numpy", "h5py", "cv2", "torch", "tqdm", "matplotlib", "pycocotools", "pydot"},
}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, at the top or inside a function; relative imports do not occur (ruff's TID252)."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            found.add(node.module or "")
    return found


def allowed(module: str, room: str) -> bool:
    top = module.split(".", maxsplit=1)[0]
    if top in sys.stdlib_module_names or top == room:
        return True
    return f"={module}" in MAY_IMPORT[room] or any(module == name or module.startswith(name + ".") for name in MAY_IMPORT[room])


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_room_imports_only_what_it_may(room: str) -> None:
    files = [f for f in sorted((ROOT / room).rglob("*.py")) if room == "netgen/python_layers" or f.parent.name != "python_layers"]
    assert files
    wrong = [f"{f.relative_to(ROOT)} imports {m}" for f in files for m in sorted(imports(f)) if not allowed(m, room)]
    assert not wrong, "\n".join(wrong)


def test_files_stay_short() -> None:
    """About 300 lines a file: one that grows past that has more than one subject."""
    long = [
        f"{f.relative_to(ROOT)}: {n} lines"
        for room in [*MAY_IMPORT, "tests", "tools", "bench"]
        for f in sorted((ROOT / room).rglob("*.py"))
        if not f.name.endswith("_pb2.py") and (n := len(f.read_text().splitlines())) > 330
    ]
    assert not long, "\n".join(long)
