"""The wheel, used outside the checkout: what a stranger gets from `pip install`."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ssd_common import installation
from ssd_common.version import __version__
from tests.packaging.environment import PACKAGES, Environment
from tests.support import ROOT

SHAPES = ("--out", "shapes", "--train", "4", "--test", "2", "--size", "96")
RUN = ("--dataset", "shapes/dataset.json", "--iters", "2", "--batch", "2", "--gpus", "cpu")


def test_from_drawn_shapes_to_detections(whole: Environment, tmp_path: Path) -> None:
    """Shapes → LMDB, nets, two iterations by the written launcher, test, detect."""

    def out(*command: str) -> str:
        return whole.out(*command, cwd=tmp_path)

    place = out("python", "-c", "import netrun; print(netrun.__file__)").strip()
    assert Path(place).parent == whole.packages / "netrun"
    out("data_prep", "shapes", *SHAPES)
    out("netgen", "build", "fssd_tiny_shapes", *RUN, "--out", "runs/tiny")
    run = tmp_path / "runs/tiny"
    out(str(run / "train.sh"), "--log", "train.log")
    [weights] = run.glob("snapshots/*_iter_2.caffemodel")
    given = ("--weights", str(weights), "--cpu")
    assert "\nmAP " in out("netrun", "test", "--model", str(run / "test.prototxt"), *given)
    deploy = str(run / "deploy.prototxt")
    out("netrun", "detect", "--model", deploy, *given, "--out", "seen", "shapes/test_lmdb")
    assert (tmp_path / "seen/detections.json").is_file()


def test_generators_need_numpy_and_protobuf_alone(generators: Environment, tmp_path: Path) -> None:
    assert "fssd300_voc0712" in generators.out("netgen", "list", cwd=tmp_path)
    generators.out("netgen", "build", "fssd300", cwd=tmp_path)
    for name in ("train.prototxt", "test.prototxt", "deploy.prototxt", "solver.prototxt"):
        path = Path("prototxt/fssd300_voc0712") / name
        assert (tmp_path / path).read_bytes() == (ROOT / path).read_bytes()


def test_files_of_a_launcher_come_with_it(generators: Environment, tmp_path: Path) -> None:
    """PPN's launcher puts its own folder on PYTHONPATH: Caffe needs the layer in Python there."""
    generators.out("netgen", "build", "ppn300_coco", cwd=tmp_path)
    folder = tmp_path / "prototxt/ppn300_coco"
    assert "PYTHONPATH=" in (folder / "train.sh").read_text()
    modules = re.findall(r'module: "(\w+)"', (folder / "train.prototxt").read_text())
    assert modules
    for module in modules:
        assert (folder / f"{module}.py").is_file()


def test_what_a_launcher_says_to_read_comes_with_it(
    generators: Environment, tmp_path: Path
) -> None:
    said = generators.out("netgen", "build", "ssd300", cwd=tmp_path)
    assert ", train.sh, models/README.md (" in said
    script = (tmp_path / "prototxt/ssd300_voc0712/train.sh").read_text()
    [guide] = re.findall(r"\((\S+) says where it is from\)", script)
    [weights] = re.findall(r"models/(\w+\.caffemodel)", script)
    assert f"| `{weights}` |" in (tmp_path / guide).read_text()


def test_every_file_of_the_packages_is_installed(generators: Environment) -> None:
    missing = []
    for name in PACKAGES:
        for path in (ROOT / name).rglob("*"):
            installed = generators.packages / path.relative_to(ROOT)
            if path.is_file() and "__pycache__" not in path.parts and not installed.is_file():
                missing.append(path.relative_to(ROOT))
    assert not missing


def test_netgen_is_not_the_extra_run(generators: Environment, tmp_path: Path) -> None:
    """That environment lacks what it should: else the tests here show nothing."""
    assert generators.run("python", "-c", "import torch", cwd=tmp_path).returncode == 1


@pytest.mark.parametrize("program", ["netgen", "netrun", "data_prep"])
def test_help_needs_no_extra(program: str, generators: Environment, tmp_path: Path) -> None:
    assert program in generators.out(program, "--help", cwd=tmp_path)


@pytest.mark.parametrize("program", ["netgen", "netrun", "data_prep"])
def test_version_needs_no_extra(program: str, generators: Environment, tmp_path: Path) -> None:
    said = generators.out(program, "--version", cwd=tmp_path)
    assert said == f"{program} {__version__}\n"


@pytest.mark.parametrize(
    ("program", "arguments"),
    [("netrun", "test --model a.prototxt --weights b"), ("data_prep", "verify c")],
)
def test_a_missing_package_is_one_line(
    program: str, arguments: str, generators: Environment, tmp_path: Path
) -> None:
    done = generators.run(program, *arguments.split(), cwd=tmp_path)
    assert done.returncode == 1
    wanted = rf"{program}: error: {program} needs \w+: pip install 'ssd-zoo\[run\]'\n"
    assert re.fullmatch(wanted, done.stderr)


@pytest.mark.parametrize("program", ["netrun", "data_prep"])
def test_another_projects_netgen_is_refused(
    program: str, generators: Environment, tmp_path: Path
) -> None:
    """netgen-mesher installs a package of that name. It is not imported: this one would say so."""
    stranger = tmp_path / "netgen/__init__.py"
    stranger.parent.mkdir()
    stranger.write_text("raise SystemExit('imported')\n")
    done = generators.run(program, "--version", cwd=tmp_path, path=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{program}: error: {stranger} is not ssd-zoo's netgen: ")
    assert "pip uninstall netgen-mesher" in done.stderr
    assert done.stderr.count("\n") == 1


SCRIPT = """\
import netgen, netrun
net = netrun.Net(netgen.build("fssd300_voc0712", "deploy"), netrun.TEST)
print(netgen.build(300, "deploy").name)
netgen.write("ssd300", gpus=[0], size=(300, 500))
netgen.write("ssd300", gpu=[0])
netgen.solver("ssd300", batch="8")
"""
# Lines of SCRIPT that are wrong, and why.
WRONG = {
    3: 'Argument 1 to "build" has incompatible type "int"; expected "str"',
    5: 'Unexpected keyword argument "gpu" for "write"; did you mean "gpus"?',
    6: 'Argument "batch" to "solver" has incompatible type "str"; expected "int | None"',
}


def test_mypy_checks_a_users_script(generators: Environment, tmp_path: Path) -> None:
    """py.typed: mypy says why lines are wrong, misspelt options of a detector among them."""
    pytest.importorskip("mypy")
    (tmp_path / "script.py").write_text(SCRIPT)
    options = ["--python-executable", str(generators.python), "--cache-dir", str(tmp_path / "mypy")]
    command = [sys.executable, "-m", "mypy", *options, "script.py"]
    unset = ("PYTHONPATH", "MYPYPATH")
    env = {key: value for key, value in os.environ.items() if key not in unset}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(lines) == len(WRONG)
    for line, (number, why) in zip(lines, WRONG.items(), strict=True):
        assert line.startswith(f"script.py:{number}: error: {why}")


def requirements(installed: Environment) -> dict[str, set[str]]:
    """Packages that the wheel asks for, by extra; "" for those of every installation."""
    [folder] = installed.packages.glob("ssd_zoo-*.dist-info")
    found: dict[str, set[str]] = {}
    for line in importlib.metadata.Distribution.at(folder).requires or []:
        extra = re.search(r'extra == "(\w+)"', line)
        name = re.split(r"[<>=;\[ ]", line)[0]
        found.setdefault(extra[1] if extra else "", set()).add(name)
    return found


def test_every_package_of_the_extra_run_has_its_line(generators: Environment) -> None:
    modules = {"opencv-python-headless": "cv2", "pyyaml": "yaml"}
    run = {modules.get(name, name) for name in requirements(generators)["run"]}
    assert run <= set(installation._OF_RUN)


def test_every_requirement_is_pinned(generators: Environment) -> None:
    constraints = (ROOT / "constraints.txt").read_text()
    pinned = set(re.findall(r"^([\w-]+)==", constraints.lower(), re.MULTILINE))
    wanted = set.union(*requirements(generators).values()) - {"ssd-zoo"}
    assert wanted <= pinned
