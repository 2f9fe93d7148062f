"""The wheel, built and used outside the checkout: what a stranger gets from `pip install`.

Nothing is downloaded. Two environments see the wheel and, of the packages of the Python that runs the tests, either all (by a .pth
file, which leaves out this checkout's own editable install) or no more than NumPy and protobuf.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ssd_common import installation
from ssd_common.version import __version__
from tests.support import ROOT

pytest.importorskip("pip", reason="the wheel is built and installed by pip")

PACKAGES = ("ssd_common", "caffe_ir", "netgen", "netrun", "data_prep")
GENERATORS_NEED = ("numpy", "google")


@dataclass(frozen=True)
class Environment:
    """A virtual environment. root: its folder."""

    root: Path

    @property
    def packages(self) -> Path:
        [folder] = self.root.glob("lib/python*/site-packages")
        return folder

    def run(self, *command: str, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
        """A command of this environment. path: a folder that Python looks into first."""
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "CAFFE", "SHARED"))}
        env["PATH"] = f"{self.root / 'bin'}:{env['PATH']}"
        if path is not None:
            env["PYTHONPATH"] = str(path)
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)

    def out(self, *command: str, cwd: Path) -> str:
        """What a command says, which must succeed."""
        done = self.run(*command, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments], check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of this checkout, which so stays as it is."""
    source = tmp_path_factory.mktemp("source") / "ssd-zoo"
    source.mkdir()
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(source.parent), str(source))
    [built] = source.parent.glob("*.whl")
    return built


def environment(folder: Path, wheel: Path) -> Environment:
    """A new environment with the wheel and nothing else."""
    venv.create(folder, with_pip=False, symlinks=True)
    pip("--python", str(folder / "bin/python"), "install", "--quiet", "--no-deps", "--no-index", "--no-compile", str(wheel))
    return Environment(folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    """As after `pip install 'ssd-zoo[run]'`."""
    made = environment(tmp_path_factory.mktemp("whole") / "venv", wheel)
    folders = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (made.packages / "packages_of_the_tests.pth").write_text("\n".join(folders) + "\n")
    return made


@pytest.fixture(scope="module")
def generators(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    """As after `pip install ssd-zoo`."""
    made = environment(tmp_path_factory.mktemp("generators") / "venv", wheel)
    for name in GENERATORS_NEED:
        for folder in places(name):
            (made.packages / folder.name).symlink_to(folder)
    return made


def places(module: str) -> Iterator[Path]:
    """The folders of a module of the running Python, and beside it that of its shared libraries."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    for place in spec.submodule_search_locations or []:
        yield Path(place)
        libraries = Path(f"{place}.libs")
        if libraries.is_dir():
            yield libraries


def test_what_is_written_trained_and_detected_from_the_wheel(whole: Environment, tmp_path: Path) -> None:
    """Shapes → LMDB, nets, two iterations by the written launcher, test, detect."""
    source = whole.out("python", "-c", "import netrun, os; print(os.path.dirname(netrun.__file__))", cwd=tmp_path).strip()
    assert Path(source) == whole.packages / "netrun"
    whole.out("data_prep", "shapes", "--out", "shapes", "--train", "4", "--test", "2", "--size", "96", cwd=tmp_path)
    options = ("--dataset", "shapes/dataset.json", "--iters", "2", "--batch", "2", "--gpus", "cpu", "--out", "runs/tiny")
    whole.out("netgen", "build", "fssd_tiny_shapes", *options, cwd=tmp_path)
    run = tmp_path / "runs/tiny"
    whole.out(str(run / "train.sh"), "--log", "train.log", cwd=tmp_path)
    [weights] = run.glob("snapshots/*_iter_2.caffemodel")
    files = ("--weights", str(weights), "--cpu")
    assert "\nmAP " in whole.out("netrun", "test", "--model", str(run / "test.prototxt"), *files, cwd=tmp_path)
    whole.out("netrun", "detect", "--model", str(run / "deploy.prototxt"), *files, "--out", "seen", "shapes/test_lmdb", cwd=tmp_path)
    assert (tmp_path / "seen/detections.json").is_file()


def test_generators_need_numpy_and_protobuf_alone(generators: Environment, tmp_path: Path) -> None:
    assert "fssd300_voc0712" in generators.out("netgen", "list", cwd=tmp_path)
    generators.out("netgen", "build", "fssd300", cwd=tmp_path)
    for name in ("train.prototxt", "test.prototxt", "deploy.prototxt", "solver.prototxt", "train.sh"):
        committed = ROOT / "prototxt/fssd300_voc0712" / name
        assert (tmp_path / "prototxt/fssd300_voc0712" / name).read_bytes() == committed.read_bytes()


def test_files_of_a_launcher_come_out_of_the_wheel(generators: Environment, tmp_path: Path) -> None:
    """PPN's launcher puts its own folder, with the layer in Python that Caffe needs, on PYTHONPATH."""
    generators.out("netgen", "build", "ppn300_coco", cwd=tmp_path)
    folder = tmp_path / "prototxt/ppn300_coco"
    assert "PYTHONPATH=" in (folder / "train.sh").read_text()
    modules = re.findall(r'module: "(\w+)"', (folder / "train.prototxt").read_text())
    assert modules
    for module in modules:
        assert (folder / f"{module}.py").is_file()


def test_the_wheel_has_every_file_of_the_packages(generators: Environment) -> None:
    missing = []
    for name in PACKAGES:
        for path in (ROOT / name).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and not (generators.packages / path.relative_to(ROOT)).is_file():
                missing.append(str(path.relative_to(ROOT)))
    assert not missing


@pytest.mark.parametrize("program", ["netrun", "data_prep"])
def test_a_missing_package_is_one_line(program: str, generators: Environment, tmp_path: Path) -> None:
    command = {"netrun": ("test", "--model", "a.prototxt", "--weights", "b"), "data_prep": ("verify", "c")}[program]
    done = generators.run(program, *command, cwd=tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(rf"{program}: error: {program} needs \w+: pip install 'ssd-zoo\[run\]'\n", done.stderr)


@pytest.mark.parametrize("program", ["netgen", "netrun", "data_prep"])
def test_help_needs_no_extra(program: str, generators: Environment, tmp_path: Path) -> None:
    assert program in generators.out(program, "--help", cwd=tmp_path)


@pytest.mark.parametrize("program", ["netrun", "data_prep"])
def test_version_needs_no_extra(program: str, generators: Environment, tmp_path: Path) -> None:
    assert generators.out(program, "--version", cwd=tmp_path) == f"{program} {__version__}\n"


@pytest.mark.parametrize("program", ["netrun", "data_prep"])
def test_another_projects_netgen_is_refused(program: str, generators: Environment, tmp_path: Path) -> None:
    """netgen-mesher installs a package of our name. It is not imported: this one would say so."""
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
"""


def test_mypy_checks_a_users_script_against_the_wheel(generators: Environment, tmp_path: Path) -> None:
    """py.typed: of three lines the last is wrong, and mypy says what an id is."""
    pytest.importorskip("mypy")
    (tmp_path / "script.py").write_text(SCRIPT)
    python = str(generators.root / "bin/python")
    command = [sys.executable, "-m", "mypy", "--python-executable", python, "--cache-dir", str(tmp_path / "cache"), "script.py"]
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MYPYPATH")}
    said = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False).stdout
    assert said.startswith('script.py:3: error: Argument 1 to "build" has incompatible type "int"; expected "str"')
    assert "Found 1 error in 1 file" in said


def requirements(installed: Environment) -> dict[str, set[str]]:
    """Names of the packages that the wheel asks for, by extra; "" for those of every installation."""
    [folder] = installed.packages.glob("ssd_zoo-*.dist-info")
    found: dict[str, set[str]] = {}
    for line in importlib.metadata.Distribution.at(folder).requires or []:
        extra = re.search(r'extra == "(\w+)"', line)
        name = re.split(r"[<>=;\[ ]", line)[0]
        found.setdefault(extra[1] if extra else "", set()).add(name)
    return found


def test_every_package_of_the_extra_run_has_its_line_where_it_is_missing(generators: Environment) -> None:
    modules = {"opencv-python-headless": "cv2"}
    assert {modules.get(name, name) for name in requirements(generators)["run"]} <= set(installation._OF_RUN)


def test_every_requirement_is_pinned(generators: Environment) -> None:
    pinned = set(re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    wanted = set.union(*requirements(generators).values()) - {"ssd-zoo"}
    assert wanted <= pinned
