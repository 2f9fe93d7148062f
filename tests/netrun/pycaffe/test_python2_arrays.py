"""Python 2 files may slice arrays by whole floats, and load YAML without a Loader."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from netrun.pycaffe.python2 import importing, reader


def run(lines: str) -> dict[str, Any]:
    """The names that these lines of Python 2 leave."""
    code = reader.code("from __future__ import print_function\n" + lines, "script.py")
    assert code is not None
    names: dict[str, Any] = {"__name__": "__main__"}
    importing.use(names)
    exec(code, names)
    return names


def test_slices_of_whole_floats() -> None:
    """py-faster-rcnn's proposal_target_layer goes by `start = 4 * cls`, cls a float32."""
    found = run(
        "import numpy as np\n"
        "a = np.zeros((2, 8))\n"
        "start = 4 * np.float32(1)\n"
        "end = start + 3.0\n"
        "a[0, start:end] = 1\n"
        "b = a[0][end:start:-1.0]\n"
        "c = [1, 2, 3][-2:len(a)], 'abc'[:np.round(1.2)], a[:None].shape\n"
    )
    assert found["a"].tolist() == [[0, 0, 0, 0, 1, 1, 1, 0], [0] * 8]
    assert found["b"].tolist() == [0, 1, 1]
    assert found["c"] == ([2], "a", (2, 8))


def test_a_slice_of_a_broken_number_is_an_error() -> None:
    with pytest.raises(TypeError, match="slice indices must be integers"):
        run("x = 0.5\n[1, 2][x:]")


def test_sizes_of_whole_floats() -> None:
    found = run(
        "import numpy as np, numpy.random as npr\n"
        "npr.seed(3)\n"
        "a = npr.choice(np.arange(9), size=np.float64(4), replace=False)\n"
        "b = npr.RandomState(3).choice(np.arange(9), 4.0, False)\n"
        "c = np.zeros((2.0, 3)), np.ones(shape=2.), np.linspace(0, 1, 3.)\n"
        "d = np.arange(6).reshape(np.round(2.2), -1.0), np.arange(6).reshape((3., 2.))\n"
    )
    drawn = np.random.RandomState(3).choice(np.arange(9), 4, False).tolist()
    assert found["a"].tolist() == found["b"].tolist() == drawn
    assert [one.shape for one in found["c"]] == [(2, 3), (2,), (3,)]
    assert [one.shape for one in found["d"]] == [(2, 3), (3, 2)]


def test_methods_of_other_objects_stay_theirs() -> None:
    found = run(
        "import random\n"
        "class A(object):\n"
        "    def choice(self, a, size):\n"
        "        return size\n"
        "    zeros = reshape = lambda self, size: size\n"
        "a = [A().choice(1, 2.0), A().zeros(3.0), A().reshape(4.0), random.choice([5.0])]\n"
    )
    assert list(map(type, found["a"])) == [float] * 4


def test_yaml_needs_no_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As before PyYAML 6; a stand-in for it, since netrun does without."""
    yaml = ModuleType("yaml")
    yaml.FullLoader = "full"  # type: ignore[attr-defined]
    yaml.load = lambda stream, Loader: (stream, Loader)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "yaml", yaml)
    found = run("import yaml\na = yaml.load('x: 1'), yaml.load('y', Loader='own')\n")
    assert found["a"] == (("x: 1", "full"), ("y", "own"))
