"""Files that only Python 2 runs because they take an iterator for a list."""

from __future__ import annotations

import pytest

from netrun.pycaffe.python2 import reader

LISTS = {
    "zip(a, b)[0]": 1,
    "x = zip(a, b)\nx.sort()": 2,
    "x = y = map(int, a)\nprint(len(y))": 2,
    "x = filter(None, a)\nz = x + [1]": 2,
    "r = range(3)\nr.append(1)": 2,
    "r = range(3)\nr[0] = 1": 2,
    "r = [0] + range(3)": 1,
    # What gen.py of MobileNet-SSD does, in small.
    "class G():\n"
    "    def __init__(self):\n"
    "        self.anchors = sizes()\n"
    "    def box(self):\n"
    "        return self.anchors[0]\n"
    "def sizes():\n"
    "    return zip([1, 2], [3, 4])\n"
    "print(G().box())": 5,
}
NOT_LISTS = [
    "r = range(3)\nr[0], len(r), r.index(1)",
    "x = zip(a, b)\nx = list(x)\nx[0]",
    "x, y = zip(a, b)\nx[0]",
    "x = zip(a, b)\nx += [1]",
    "def zip(a): return a\nzip([1])[0]",
    "from compat import zip\nzip(a)[0]",
    "from compat import *\nzip(a)[0]",
    "def f(x):\n    return x[0]\nx = zip(a)",
    "x = zip(a)\nfor x in b:\n    x[0]",
    "x = zip(a)\nwith b as x:\n    x[0]",
    "x = zip(a)\ntry:\n    b()\nexcept ValueError as x:\n    pass\nx[0]",
    "x = zip(a)\ntry:\n    x[0]\nexcept TypeError:\n    next(x)",
    "self.x = zip(a)\nother.x = []\nself.x[0]",
    "class A:\n    x = []\n    def f(self):\n        self.x = zip(a)\nA().x[0]",
    "def f():\n    yield 1\n    return zip(a)\nf()[0]",
    "import sys\nif sys.version_info[0] == 2:\n    zip(a)[0]",
    "x: list = []\nzip(a)[0]",
]


@pytest.mark.parametrize(("lines", "row"), LISTS.items())
def test_a_list_of_python_2(
    lines: str, row: int, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert reader.code(lines, f"{row} {lines}") is not None
    assert f"line {row}: takes what zip or its like return for a list" in caplog.text


@pytest.mark.parametrize("lines", NOT_LISTS)
def test_no_list_of_python_2(lines: str) -> None:
    assert reader.code(lines, "script.py") is None
