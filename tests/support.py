"""For several test modules: where shared/ and a real Caffe lie; golden cases as parameters."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("SHARED", ROOT.parent / "shared"))
NO_SHARED = f"shared reference data not found at {SHARED} (set SHARED)"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=NO_SHARED)
CAFFE = Path(os.environ.get("CAFFE_ROOT", "")) / "build/tools/caffe"
needs_caffe = pytest.mark.skipif(
    not os.environ.get("CAFFE_ROOT"), reason="needs a real Caffe, the SSD fork: set CAFFE_ROOT"
)


def caffe_environment(**more: str) -> dict[str, str]:
    """Return the environment for a Caffe whose nets have Python layers, as train.sh makes it.

    Caffe's embedded Python takes its modules from the first Python on PATH: not from the virtual
    environment that these tests run in.
    """
    folders = os.environ.get("PATH", "").split(os.pathsep)
    kept = [
        folder
        for folder in folders
        if not (Path(folder, "netrun").exists() and Path(folder, "../pyvenv.cfg").exists())
    ]
    return os.environ | {"PATH": os.pathsep.join(kept)} | more


_PROGRAMS = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
SHELLCHECK = shutil.which("shellcheck", path=_PROGRAMS) or ""
needs_shellcheck = pytest.mark.skipif(
    not SHELLCHECK, reason="no shellcheck: make install brings it on x86_64 and aarch64"
)


def shellcheck(script: str) -> None:
    """Check a Bash script's text. SC2054 takes the commas of `--gpu=0,1` for an array's."""
    command = [SHELLCHECK, "--shell=bash", "--exclude=SC2054", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def golden(pattern: str) -> list:
    """Files of shared/golden that match a glob, as pytest parameters named by stem.

    Without shared/, one skipped parameter.
    """
    files = sorted((SHARED / "golden").glob(pattern))
    if not files:
        return [pytest.param(None, marks=pytest.mark.skip(reason=NO_SHARED))]
    return [pytest.param(f, id=f.stem) for f in files]
