"""Which files are read as Python 2: the script, its modules and Python layers, each by itself."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.cli import entry
from netrun.pycaffe.python2 import reader
from ssd_common.errors import CaffeError


@pytest.mark.parametrize(
    "lines",
    [
        "print 1",
        "from __future__ import print_function\nx = 1",
        "try: pass\nexcept ValueError, e: pass",
        "x = `1`",
        "x = 1 <> 2",
        "x = 0777",
        "raise ValueError, 'x'",
        "exec 'x = 1'",
        "import sys\nprint >>sys.stderr, 'x'",
        "print -1",
        "print",
        "print ('%d') % 3",
        "print ('x').upper()",
        "for i in xrange(3): pass",
        "x = {}\nfor k, v in x.iteritems(): pass",
        "import cPickle",
        "from __future__ import print_function\nfrom io import open\nopen('x', encoding='utf-8')",
        "from caffe.model_libs import *\nfor i in xrange(3): pass",
        "def f():\n    from math import *",
        "from __future__ import print_function\ndef f(**named): print(dict(**named))",
        "x = 1\nglobal x",
        "f = lambda (a, b): a",
        "if 1:\n\tx = 1\n        y = 1",
    ],
)
def test_marks_of_python_2(lines: str) -> None:
    assert reader.code(lines, "script.py") is not None


@pytest.mark.parametrize(
    "lines",
    [
        "print('x')",
        "x = 7 / 2",
        "from __future__ import division, print_function\nx = 1",
        "from __future__ import print_function\nx = f'{1}'",
        "from __future__ import print_function\ndef f(x: int): pass",
        "try:\n    xrange\nexcept NameError:\n    xrange = range\nfor i in xrange(3): pass",
        "import sys\nif sys.version_info[0] > 2:\n    unicode = str\nx = unicode('a')",
        "try:\n    import cPickle as pickle\nexcept ImportError:\n    import pickle",
        "import six\nfor k in six.iteritems({}): pass\nx = {}.iteritems",
        "print('a') if 1 else None",
        "print('a'), print('b')",
        "def reduce(x): pass\nreduce(1)",
        "# print x\ns = '''\nprint x\n'''",
        "match = 1\nprint(match)",
        "x = (",
        "from __future__ import print_function\nprint('x', flush=True)",
        "from __future__ import print_function\nimport pathlib",
        "from __future__ import print_function\nopen('x', encoding='utf-8')",
        "from __future__ import print_function\nimport os\nos.makedirs('x', exist_ok=True)",
        "from functools import *\nreduce(max, [1])",
        "import pandas as pd\nfor k, v in pd.DataFrame().iteritems(): pass",
        "print f'{1}'",
    ],
)
def test_no_marks_of_python_2(lines: str) -> None:
    assert reader.code(lines, "script.py") is None


def call(lines: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run these lines by `netrun python` in this folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("script.py").write_text(lines)
    monkeypatch.setattr(sys, "argv", ["netrun", "python", *(words or ["script.py"])])
    try:
        return entry()
    finally:
        forget_modules(tmp_path)


def forget_modules(folder: Path) -> None:
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(folder)):
            del sys.modules[name]


def test_each_file_is_read_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script of Python 3 has a module of Python 2, which has one of Python 3."""
    (tmp_path / "old_one.py").write_text("import new_one\nprint 7 / 2, new_one.HALF, zip([1], [2])")
    (tmp_path / "new_one.py").write_text("HALF = 7 / 2\nLAZY = type(zip()).__name__")
    lines = "import old_one, new_one, builtins\n"
    lines += "print(7 / 2, new_one.LAZY, hasattr(builtins, 'xrange'))\n"
    assert call(lines, tmp_path, monkeypatch) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == ["3 3.5 [(1, 2)]", "3.5 zip False"]
    assert said.err.count("is read as Python 2") == 1
    assert "old_one.py is read as Python 2 (line 2: print statement)" in said.err
    assert "new_one.py has no mark of Python 2, so in line 1 7 / 2 is 3.5" in said.err


def test_a_module_that_runs_as_the_main_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "package_m"
    package.mkdir()
    (package / "__init__.py").write_text("print 'package'")
    (package / "__main__.py").write_text(
        "import sys, beside_m\nprint __name__, sys.argv[1:], 7 / 2"
    )
    (package / "beside_m.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert call("", tmp_path, monkeypatch, "-m", "package_m", "x") == 0
    assert capsys.readouterr().out.splitlines() == ["package", "__main__ ['x'] 3"]


LMDB = """
import caffe, lmdb
from caffe.proto import caffe_pb2

env = lmdb.open('db', map_size=10 ** 7)
with env.begin(write=True) as txn:
    for i in range(3):
        datum = caffe_pb2.Datum(label=i / 2)
        key = '{:08}'.format(i)
        txn.put(key.encode('ascii'), datum.SerializeToString())
        txn.put('x' + key, 'text')
with env.begin() as txn:
    print txn.get('x00000001') == 'text', txn.get('none')
    for key, value in txn.cursor():
        if not key.startswith('x'):
            datum.ParseFromString(value)
            print key, datum.label
open('datum', 'w').write(datum.SerializeToString())
print caffe_pb2.Datum.FromString(open('datum').read()) == datum, input('> '), raw_input()
"""


def test_databases_and_messages_take_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("9 / 2\nline\n"))
    assert call(LMDB, tmp_path, monkeypatch) == 0
    assert capsys.readouterr().out.splitlines() == [
        "True None",
        *("00000000 0", "00000001 0", "00000002 1"),
        "> True 4 line",
    ]


def test_a_package_of_python_2_imports_its_own_modules_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "package_2"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("import other, os\nfrom other import WHO\nprint WHO, other, os")
    (package / "other.py").write_text("WHO = 'own'")
    (tmp_path / "other.py").write_text("WHO = 'beside'")
    assert call("import package_2.one", tmp_path, monkeypatch) == 0
    assert capsys.readouterr().out.startswith("own <module 'package_2.other'")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("print 'a'\nx = (1\nif x:\n", "netrun: error: script.py:2: '\\(' was never closed"),
        ("print 1\nimport caffe\ncaffe.Net('none.prototxt', 1)", "script.py:3: none.prototxt"),
    ],
)
def test_an_error_names_the_line_of_the_fault(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lines: str,
    message: str,
) -> None:
    assert call(lines, tmp_path, monkeypatch) == 1
    assert re.search(message, capsys.readouterr().err)


def test_a_traceback_has_the_users_lines_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "faulty.py").write_text("print 'x'\n\ndef f(x):\n    return 7 / x\n")
    assert call("import faulty\nprint faulty.f(\n   0)", tmp_path, monkeypatch) == 1
    err = capsys.readouterr().err.splitlines()
    steps = [line.split(", in ")[0] for line in err if line.startswith("  File")]
    assert steps == ['  File "script.py", line 2', f'  File "{tmp_path}/faulty.py", line 4']
    assert err[-1] == "ZeroDivisionError: integer division or modulo by zero"
    assert not any("^" in line for line in err)


def test_blobs_and_parameters_of_a_net(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } }\n'
        'layer { name: "f" type: "InnerProduct" bottom: "x" top: "f"\n'
        "  inner_product_param { num_output: 2 } }\n"
    )
    lines = (
        "import caffe\nnet = caffe.Net('net.prototxt', caffe.TEST)\n"
        "for name, blob in net.blobs.iteritems(): print name, blob.data.shape\n"
        "print net.params.keys()[-1], net.params.has_key('f'), net.blobs.values()[0].count / 2\n"
    )
    assert call(lines, tmp_path, monkeypatch) == 0
    assert capsys.readouterr().out.splitlines() == ["x (1, 3)", "f (1, 2)", "f True 1"]


OLD_LAYER = """
import caffe
import old_helper

class Half(caffe.Layer):
    def setup(self, bottom, top):
        print 'in', len(bottom)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = old_helper.half(bottom[0].num)
"""


def test_a_python_layer_and_the_module_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old_layer.py").write_text(OLD_LAYER)
    (tmp_path / "old_helper.py").write_text("print 1\ndef half(n):\n    return n / (3 - n / 2)\n")
    monkeypatch.syspath_prepend(tmp_path)
    net = netrun.Net(
        text.parse(
            'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 5 } } }\n'
            'layer { name: "h" type: "Python" bottom: "x" top: "h"\n'
            '  python_param { module: "old_layer" layer: "Half" } }\n',
            pb.NetParameter,
        ),
        netrun.TEST,
    )
    assert net.forward()["h"].tolist() == [5] * 5
    net.blobs["x"].reshape(6)
    with pytest.raises(CaffeError, match=r"Half\.forward failed at .*old_helper\.py:3: ZeroDiv"):
        net.forward()
    forget_modules(tmp_path)
