"""A wheel of this checkout, and virtual environments outside it that have the wheel installed.

Nothing is downloaded: packages that the wheel asks for are those of the Python that runs the tests.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT

PACKAGES = ("ssd_common", "caffe_ir", "netgen", "netrun", "data_prep")


@dataclass(frozen=True)
class Environment:
    """A virtual environment. root: its folder."""

    root: Path

    @property
    def python(self) -> Path:
        return self.root / "bin/python"

    @property
    def packages(self) -> Path:
        [folder] = self.root.glob("lib/python*/site-packages")
        return folder

    def run(
        self, *command: str, cwd: Path, path: Path | None = None
    ) -> subprocess.CompletedProcess:
        """Run a command of this environment. path: a folder that Python looks into first."""
        foreign = ("PYTHON", "CAFFE", "SHARED")
        env = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        env["PATH"] = f"{self.root / 'bin'}:{env['PATH']}"
        if path is not None:
            env["PYTHONPATH"] = str(path)
        return subprocess.run(
            command, cwd=cwd, env=env, capture_output=True, text=True, check=False
        )

    def out(self, *command: str, cwd: Path) -> str:
        """What a command says, which must succeed."""
        done = self.run(*command, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def build_wheel(folder: Path) -> Path:
    """The wheel, built in `folder` from a copy of this checkout, which so stays as it is."""
    source = folder / "ssd-zoo"
    source.mkdir()
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    [wheel] = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Environment:
    """A new environment in `folder` with the wheel and nothing else."""
    venv.create(folder, with_pip=False, symlinks=True)
    made = Environment(folder)
    options = ("--no-deps", "--no-index", "--no-compile")
    _pip("--python", str(made.python), "install", *options, str(wheel))
    return made


def show_all_packages(environment: Environment) -> None:
    """Let it import every package of the Python that runs the tests.

    A .pth file names their folders, and Python does not read the .pth files there: an editable
    install of this checkout stays out of sight.
    """
    folders = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (environment.packages / "packages_of_the_tests.pth").write_text("\n".join(folders) + "\n")


def show_package(environment: Environment, module: str) -> None:
    """Let it import one package of the Python that runs the tests."""
    for place in _places(module):
        (environment.packages / place.name).symlink_to(place)


def _places(module: str) -> Iterator[Path]:
    """A package's folders, and beside them those of its shared libraries."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    for place in spec.submodule_search_locations or []:
        yield Path(place)
        libraries = Path(f"{place}.libs")
        if libraries.is_dir():
            yield libraries


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    subprocess.run(command, check=True, capture_output=True, text=True)
