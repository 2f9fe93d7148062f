"""`netrun python`: modules of a repository's own python/caffe/ win over netrun's libraries."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netrun.pycaffe import own_modules

# What DSOD's, DSSD's and RefineDet's scripts go by, in small.
SCRIPT = """
import caffe
from caffe import layers as L
from caffe.model_libs import *

net = caffe.NetSpec()
net.data = L.Input(shape=dict(dim=[1, 3, 8, 8]))
MyBody(net, 'data')
print([(layer.name, layer.type) for layer in net.to_proto().layer])
"""
OWN = """
from caffe import layers as L, params as P
from caffe.proto import caffe_pb2
import caffe

def MyBody(net, from_layer):
    assert isinstance(net, caffe.NetSpec)
    net.mine = L.Convolution(net[from_layer], num_output=2, kernel_size=3)
"""
MINE = "[('data', 'Input'), ('mine', 'Convolution')]\n"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run files of tmp_path by `netrun python` in tmp_path/work."""
    monkeypatch.delenv("CAFFE_ROOT", raising=False)
    (tmp_path / "work").mkdir()

    def call(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "netrun", "python", *map(str, words)],
            cwd=tmp_path / "work",
            capture_output=True,
            text=True,
            check=False,
        )

    return call


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_on_sys_path(run: Run, tmp_path: Path) -> None:
    """A relative entry counts from the folder in which the script runs, as in Python."""
    own = write(tmp_path / "work/python/caffe/model_libs.py", OWN)
    write(tmp_path / "elsewhere/python/caffe/model_libs.py", "")
    lines = "import sys\nsys.path.append('./python')\n" + SCRIPT
    done = run(write(tmp_path / "elsewhere/script.py", lines))
    assert (done.returncode, done.stdout) == (0, MINE), done.stderr
    said = [line for line in done.stderr.splitlines() if "own_modules" in line]
    assert len(said) == 1
    assert said[0].endswith(f"caffe.model_libs is the repository's own, {own}")


def test_in_caffe_root(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "fork/python/caffe/model_libs.py", OWN)
    monkeypatch.setenv("CAFFE_ROOT", str(tmp_path / "fork"))
    done = run(write(tmp_path / "script.py", SCRIPT))
    assert (done.returncode, done.stdout) == (0, MINE), done.stderr


def test_in_the_scripts_repository(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "fork/python/caffe/model_libs.py", OWN)
    write(tmp_path / "python/caffe/model_libs.py", "")  # the nearest repository counts
    done = run(write(tmp_path / "fork/examples/dsod/script.py", SCRIPT))
    assert (done.returncode, done.stdout) == (0, MINE), done.stderr


def test_in_the_working_folder_for_code_without_a_file(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "work/python/caffe/model_libs.py", OWN)
    done = run("-c", SCRIPT)
    assert (done.returncode, done.stdout) == (0, MINE), done.stderr


def test_of_several_the_first_on_sys_path_counts(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "one/caffe/model_libs.py", OWN)
    write(tmp_path / "two/python/caffe/model_libs.py", "")
    monkeypatch.setenv("CAFFE_ROOT", str(tmp_path / "two"))
    lines = f"import sys\nsys.path.insert(0, {str(tmp_path / 'one')!r})\n" + SCRIPT
    done = run(write(tmp_path / "two/script.py", lines))
    assert (done.returncode, done.stdout) == (0, MINE), done.stderr


def test_modules_packages_and_relative_imports(run: Run, tmp_path: Path) -> None:
    """Also those with names that modules of netrun's have, which Caffe's users do not see."""
    package = tmp_path / "fork/python/caffe"
    write(package / "mode.py", "from .io import Transformer\nfrom . import parallel\n")
    write(package / "parallel.py", "WHO = 'mine'\n")
    write(package / "heads/__init__.py", "from caffe.heads.box import WHO\n")
    write(package / "heads/box.py", "from ..parallel import WHO\n")
    lines = """
import caffe, caffe.heads.box
from caffe import mode
print(mode.parallel.WHO, caffe.heads.WHO, mode.Transformer is caffe.io.Transformer)
"""
    done = run(write(tmp_path / "fork/script.py", lines))
    assert (done.returncode, done.stdout) == (0, "mine mine True\n"), done.stderr


def test_a_python_2_model_libs(run: Run, tmp_path: Path) -> None:
    """As every fork's is: xrange, `len > 0` of a function, `/` for a padding, keys()[-1]."""
    lines = """
import os, caffe
from caffe import layers as L

def Unpack(var, num):
    assert len > 0
    return [var for i in xrange(0, num)]

def MyBody(net, from_layer):
    pad = int((3 + (2 - 1) * 2) - 1) / 2
    height, width = Unpack(3, 2)
    net.mine = L.Convolution(net[net.keys()[-1]], num_output=2, pad=pad, kernel_h=height)
    print 'pad', pad
"""
    own = write(tmp_path / "fork/python/caffe/model_libs.py", lines)
    done = run(write(tmp_path / "fork/examples/ssd/script.py", SCRIPT))
    assert (done.returncode, done.stdout) == (0, "pad 2\n" + MINE), done.stderr
    assert f"{own} is read as Python 2 (line 13: print statement)" in done.stderr


def test_what_belongs_to_the_engine_stays_netruns(run: Run, tmp_path: Path) -> None:
    for name in ("__init__", "_caffe", "io", "net_spec", "proto", "pycaffe"):
        write(tmp_path / f"fork/python/caffe/{name}.py", "raise ImportError('needs boost')\n")
    lines = """
import sys
sys.path.insert(0, '../fork/python')
import caffe, caffe.io, caffe._caffe, caffe.net_spec, caffe.pycaffe
from caffe.proto import caffe_pb2
from caffe import Classifier, model_libs
print(caffe.Net is caffe._caffe.Net, model_libs.ConvBNLayer.__module__)
"""
    done = run(write(tmp_path / "fork/script.py", lines))
    assert (done.returncode, done.stdout) == (0, "True netrun.pycaffe.net_blocks\n"), done.stderr


@pytest.mark.parametrize(
    "lines",
    [
        "from caffe.model_libs import *\nDSOD300_V3_Body()\n",
        "from caffe.model_libs import DSOD300_V3_Body\n",
        "from caffe import model_libs as m\nm.DSOD300_V3_Body\n",
    ],
)
def test_a_missing_name_of_model_libs_says_where_they_are_looked_for(
    run: Run, tmp_path: Path, lines: str
) -> None:
    done = run(write(tmp_path / "script.py", lines))
    assert done.returncode == 1
    *_, error, advice = done.stderr.splitlines()
    assert "DSOD300_V3_Body" in error
    assert "a repository's own is python/caffe/model_libs.py of CAFFE_ROOT" in advice


def test_without_model_libs_a_missing_name_has_no_such_advice(run: Run, tmp_path: Path) -> None:
    done = run(write(tmp_path / "script.py", "import caffe\nwrong\n"))
    assert done.stderr.endswith("NameError: name 'wrong' is not defined\n")


def test_a_layer_of_the_repositorys_own(run: Run, tmp_path: Path) -> None:
    """Also where netrun train, not a script, imports it."""
    write(
        tmp_path / "work/python/caffe/double.py",
        """
import caffe

class Double(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = 2 * bottom[0].data
""",
    )
    net = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }
layer {
  name: "y" type: "Python" bottom: "x" top: "y"
  python_param { module: "caffe.double" layer: "Double" }
}
"""
    write(tmp_path / "work/net.prototxt", net)
    lines = "import netrun; print(netrun.Net('net.prototxt', netrun.TEST).forward(x=[3.])['y'])"
    done = subprocess.run(
        [sys.executable, "-c", lines],
        cwd=tmp_path / "work",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "[6.]\n"), done.stderr


def test_a_folder_of_somebody_else_is_no_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script in /tmp/mine must not run /tmp/python/caffe/model_libs.py of another user."""
    write(tmp_path / "python/caffe/model_libs.py", OWN)
    script = write(tmp_path / "mine/script.py", SCRIPT)
    finder = own_modules.OwnModules(str(script))
    assert finder.find("caffe.model_libs") is not None
    stat = Path.stat

    def owned(path: Path, **options: bool) -> os.stat_result:
        found = list(stat(path, **options))
        found[4] = 1000 + ("python" in path.parts)  # the owner
        return os.stat_result(found)

    monkeypatch.setattr(Path, "stat", owned)
    assert finder.find("caffe.model_libs") is None
