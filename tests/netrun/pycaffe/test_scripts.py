"""`netrun python SCRIPT`: scripts written for pycaffe, unchanged."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.cli import entry
from tests.netrun.narrow import deploy_net
from tests.support import SHARED, needs_caffe, needs_shared

FORK = Path(os.environ.get("CAFFE_ROOT", ""))

# As examples/ssd/ssd_detect.py goes about it, in Python 3.
DETECT = """
import os, sys, json
import numpy as np
caffe_root = './'
sys.path.insert(0, os.path.join(caffe_root, 'python'))
import caffe
from google.protobuf import text_format
from caffe.proto import caffe_pb2

def get_labelname(labelmap, label):
    for i in xrange(0, len(labelmap.item)):
        if label == labelmap.item[i].label:
            return labelmap.item[i].display_name

class CaffeDetection:
    def __init__(self, model_def, model_weights, labelmap_file):
        caffe.set_device(0)
        caffe.set_mode_cpu()
        self.net = caffe.Net(model_def, model_weights, caffe.TEST)
        self.transformer = caffe.io.Transformer({'data': self.net.blobs['data'].data.shape})
        self.transformer.set_transpose('data', (2, 0, 1))
        self.transformer.set_mean('data', np.array([104, 117, 123]))
        self.transformer.set_raw_scale('data', 255)
        self.transformer.set_channel_swap('data', (2, 1, 0))
        self.labelmap = caffe_pb2.LabelMap()
        text_format.Merge(str(open(labelmap_file, 'r').read()), self.labelmap)

    def detect(self, image_file):
        self.net.blobs['data'].reshape(1, 3, 64, 64)
        image = caffe.io.load_image(image_file)
        self.net.blobs['data'].data[...] = self.transformer.preprocess('data', image)
        detections = self.net.forward()['detection_out']
        conf = detections[0, 0, :, 2]
        top = [i for i, c in enumerate(conf) if c >= 0.2]
        labels = detections[0, 0, :, 1][top].tolist()
        boxes = detections[0, 0, :, 3:].tolist()
        return [(get_labelname(self.labelmap, l), float(conf[i]), boxes[i])
                for i, l in zip(top, labels)]

if __name__ == '__main__':
    found = CaffeDetection(*sys.argv[1:4]).detect(sys.argv[4])
    script = os.path.basename(__file__)
    json.dump([found, script, type(caffe.Layer).__name__], open(sys.argv[5], 'w'))
    sys.exit(7)
"""


def test_a_detection_script(tmp_path: Path) -> None:
    (tmp_path / "deploy.prototxt").write_text(deploy_net())
    (tmp_path / "map.prototxt").write_text(
        "".join(f'item {{ name: "n{i}" label: {i} display_name: "thing {i}" }}\n' for i in range(9))
    )
    (tmp_path / "detect.py").write_text(DETECT)
    image = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "image.png"), image)
    net = netrun.Net(str(tmp_path / "deploy.prototxt"), netrun.TEST, seed=4)
    net.save(tmp_path / "w.caffemodel")
    files = ["deploy.prototxt", "w.caffemodel", "map.prototxt", "image.png", "found.json"]
    command = [sys.executable, "-m", "netrun", "python", "detect.py", *files]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    found, file, kind = json.loads((tmp_path / "found.json").read_text())
    assert (file, kind) == ("detect.py", "type")
    rows = net.forward(data=(image - np.array([104.0, 117, 123])).transpose(2, 0, 1)[None])[
        "detection_out"
    ][0, 0]
    rows = rows[rows[:, 2] >= 0.2]
    assert len(rows) == len(found) > 0
    for (name, score, box), row in zip(found, rows, strict=True):
        assert name == f"thing {int(row[1])}"
        np.testing.assert_allclose([score, *box], row[2:], rtol=1e-4, atol=1e-5)


Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run these lines as a script in this process; its exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.delenv("CAFFE_ROOT", raising=False)

    def call(lines: str, *arguments: str) -> int:
        Path("script.py").write_text(lines)
        sys.argv = ["netrun", "python", *(arguments or ["script.py"])]
        return entry()

    return call


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "x = 1\nprint f'{x}'\n",
            r"script.py:2: Missing parentheses.*this is Python 2: write print\(...\)",
        ),
        ("x = (1\n", "script.py:1: '\\(' was never closed"),
        (
            "import sys\nsys.version_info\nd = {}\nfor k, v in d.iteritems(): pass\n",
            "script.py:4: .*this is Python 2: write items for iteritems",
        ),
        (
            "from caffe.proto import caffe_pb2\ncaffe_pb2.SolverParameter(max_iter=9 / 2)\n",
            "script.py:2: .*write // for a division",
        ),
        (
            "import caffe\n\ncaffe.Net('none.prototxt', caffe.TEST)\n",
            "script.py:3: none.prototxt: No such file",
        ),
        (
            "from caffe import layers as L\nL.ReLU(L.Input(), negative_slop=1).to_proto()\n",
            "script.py:2: .*did you mean 'negative_slope'",
        ),
    ],
)
def test_errors_are_one_line(
    run: Run, capsys: pytest.CaptureFixture[str], lines: str, message: str
) -> None:
    assert run(lines) == 1
    found = capsys.readouterr().err
    assert found.count("\n") == 1
    assert re.match(f"netrun: error: .*{message}", found), found


PYTHON_2 = """import sys
print "a", 1
print
x = 3; print x
if x: print 'b %d' % x  # a comment
print (1), 2
print ("x %s" %
       x), 4
print >>sys.stderr, "err", x
print >>sys.stderr
print x,
print [x,
  x]
try:
    raise ValueError("e")
except (ValueError, KeyError), e:
    print e, __name__, __file__
print {}['mine']
"""


def test_a_script_for_python_2(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """What Python 2 prints, and its own error by its line."""
    assert run(PYTHON_2) == 1
    said = capsys.readouterr()
    assert said.out == "a 1\n\n3\nb 3\n1 2\nx 3 4\n3 [3, 3]\ne __main__ script.py\n"
    first, *err = said.err.splitlines()
    assert "script.py is read as Python 2 (line 2: print statement)" in first
    assert err[:2] == ["err 3", ""]
    assert err[3] == '  File "script.py", line 18, in <module>'
    assert err[-1] == "KeyError: 'mine'"


@needs_caffe
def test_the_forks_ssd_detect_draws_what_is_found(tmp_path: Path) -> None:
    (tmp_path / "deploy.prototxt").write_text(deploy_net())
    (tmp_path / "map.prototxt").write_text(
        "".join(f'item {{ name: "n{i}" label: {i} display_name: "thing {i}" }}\n' for i in range(9))
    )
    cv2.imwrite(
        str(tmp_path / "image.png"),
        np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8),
    )
    net = netrun.Net(str(tmp_path / "deploy.prototxt"), netrun.TEST, seed=4)
    net.params["loc"][0].data[...] = 0  # boxes are the prior boxes
    net.save(tmp_path / "w.caffemodel")
    files = {
        "model_def": "deploy.prototxt",
        "model_weights": "w.caffemodel",
        "labelmap_file": "map.prototxt",
        "image_file": "image.png",
    }
    flags = [word for name, file in files.items() for word in (f"--{name}", file)]
    done = netrun_python(
        str(FORK / "examples/ssd/ssd_detect.py"), *flags, "--image_resize", "64", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "64 64\n" in done.stdout
    assert re.search(r"^\[-?\d+, -?\d+\] thing \d$", done.stdout, re.MULTILINE)
    assert cv2.imread(str(tmp_path / "detect_result.jpg")).shape == (64, 64, 3)


def test_a_scripts_own_error_is_shown_from_its_first_line_on(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("def f():\n    raise KeyError('mine')\n\nf()\n") == 1
    err = capsys.readouterr().err.splitlines()
    assert err[0] == "Traceback (most recent call last):"
    assert err[1].endswith('script.py", line 4, in <module>')
    assert err[-1] == "KeyError: 'mine'"


def test_command_lines(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    script = "import sys, beside\nprint(sys.argv, beside.here, __name__)\n"
    Path("beside.py").write_text("here = 'here'\n")
    assert run(script, "script.py", "--flag", "-x", "1") == 0
    assert capsys.readouterr().out == "['script.py', '--flag', '-x', '1'] here __main__\n"
    assert run(script, "-m", "script", "--flag") == 0
    assert capsys.readouterr().out.endswith("'--flag'] here __main__\n")
    assert run(script, "-u", "-B", "script.py", "-u") == 0
    assert capsys.readouterr().out == "['script.py', '-u'] here __main__\n"
    assert run("", "-m", "caffe.draw") == 0
    assert run("", "none.py") == 1
    assert "none.py: no such script" in capsys.readouterr().err
    assert run("", "--flog", "script.py") == 2
    assert "unknown argument --flog" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        run("import sys\nsys.exit(3)\n")
    assert left.value.code == 3
    sys.modules.pop("beside")


def test_a_forks_own_modules_are_found(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = (
        "import caffe.mine, caffe.io\nfrom caffe.mine import WHO\nprint(WHO, "
        "caffe.mine.L is caffe.layers, caffe.io.__name__)\n"
    )
    assert run(script) == 1
    assert (
        "netrun has no caffe.mine; a repository's own is python/caffe/mine.py of CAFFE_ROOT, "
        in capsys.readouterr().err
    )
    folder = tmp_path / "fork/python/caffe"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text("from caffe import layers as L\nWHO = 'fork'\n")
    (folder / "io.py").write_text("raise AssertionError('netrun has its own')\n")
    monkeypatch.setenv("CAFFE_ROOT", str(tmp_path / "fork"))
    assert run(script) == 0
    assert capsys.readouterr().out == "fork True netrun.pycaffe.io\n"
    sys.modules.pop("caffe.mine")


def netrun_python(*argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "netrun", "python", *argv],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


@needs_caffe
def test_the_forks_own_tests_of_pycaffe_pass(tmp_path: Path) -> None:
    pytest.importorskip("six", reason="the fork's tests import six")
    for file in (FORK / "python/caffe/test").glob("test_*.py"):
        if (
            sys.version_info < (3, 12) or "assertEquals" not in file.read_text()
        ):  # gone from unittest
            shutil.copy(file, tmp_path)
    done = netrun_python("-m", "unittest", "discover", cwd=tmp_path)
    assert re.search(r"Ran (2[5-9]|[34]\d) tests", done.stderr), done.stderr
    assert done.stderr.endswith("OK\n"), done.stderr


@needs_caffe
@needs_shared
def test_the_forks_ssd_pascal_writes_the_released_nets(tmp_path: Path) -> None:
    """Its paths to results begin with the home folder, which the reference leaves away.

    A link stands for the Caffe that it starts.
    """
    (tmp_path / "build/tools").mkdir(parents=True)
    (tmp_path / "build/tools/caffe").symlink_to("/bin/echo")
    done = netrun_python(str(FORK / "examples/ssd/ssd_pascal.py"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = "models/VGGNet/VOC0712/SSD_300x300"
    assert f"train --solver={folder}/solver.prototxt" in done.stdout.replace('"', "")
    for name, kind in (
        ("train", pb.NetParameter),
        ("test", pb.NetParameter),
        ("deploy", pb.NetParameter),
        ("solver", pb.SolverParameter),
    ):
        found = (
            (tmp_path / folder / f"{name}.prototxt")
            .read_text()
            .replace(f"{Path.home()}/data", "data")
        )
        assert text.parse(found, kind) == text.parse(
            (SHARED / f"reference/prototxt/ssd300_voc0712/{name}.prototxt").read_text(), kind
        )


def test_numpys_old_names_are_there_and_only_there(tmp_path: Path) -> None:
    script = tmp_path / "old.py"
    script.write_text(
        "import numpy as np\n"
        "print(np.zeros(2, dtype=np.float).dtype, np.int is int, np.array([1], np.object).dtype)\n"
        "print(np.ones(1, np.bool).dtype, np.Inf, np.product([2, 3]))\n"
        "print(np.in1d([[1], [2]], [2]), np.trapz([1, 3]), np.asscalar(np.array([4])), np.NAN)\n"
    )
    before = set(vars(np))
    command = [sys.executable, "-m", "netrun", "python", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "float64 True object",
        "bool inf 6",
        "[False  True] 2.0 4 nan",
    ]
    assert set(vars(np)) == before


@pytest.mark.parametrize(
    ("words", "given", "said"),
    [
        (
            ["-c", "import caffe, sys; print(caffe.TEST, sys.argv)", "a", "-b"],
            "",
            "1 ['-c', 'a', '-b']",
        ),
        (["-", "a"], "import caffe, sys\nprint caffe.TEST, sys.argv", "1 ['-', 'a']"),
    ],
)
def test_code_from_the_command_line_and_from_standard_input(
    words: list[str], given: str, said: str
) -> None:
    command = [sys.executable, "-m", "netrun", "python", *words]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [said]


def test_an_error_in_code_from_standard_input_names_its_line() -> None:
    command = [sys.executable, "-m", "netrun", "python", "-"]
    given = "import caffe\ncaffe.Net('none.prototxt', caffe.TEST)\n"
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "netrun: error: <stdin>:2: none.prototxt" in done.stderr
