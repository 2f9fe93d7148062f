"""A detector's files: four prototxts and the script that launches training."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from caffe_ir import text
from netgen.detector import Detector
from netgen.graph import PHASES

LAUNCHER = "train.sh"


def texts(detector: Detector, target: str = "ssd") -> dict[str, str]:
    """The text of each of a detector's files by its name in `detector.net_folder`."""
    found = {f"{phase}.prototxt": text.dumps(detector.build(phase, target)) for phase in PHASES}
    found["solver.prototxt"] = text.dumps(detector.solver())
    found[LAUNCHER] = launcher(detector)
    return found


def write(detector: Detector, target: str = "ssd") -> list[Path]:
    """Write a detector's files below the working directory, each whole or not at all, and return those that changed.

    Everything is made before anything is written. Raises CaffeError where the folder cannot be written.
    """
    folder = Path(detector.net_folder)
    made = texts(detector, target)
    folder.mkdir(parents=True, exist_ok=True)
    changed = [folder / name for name, content in made.items() if not holds(folder / name, content)]
    for path in changed:
        text.write_atomic(path, made[path.name])
    (folder / LAUNCHER).chmod(0o755)
    return changed


def holds(path: Path, content: str) -> bool:
    """Whether a file is there with just this content."""
    try:
        return path.read_bytes() == content.encode()
    except OSError:
        return False


def launcher(detector: Detector) -> str:
    """A Bash script that trains with netrun, or with Caffe where CAFFE_ROOT says so, and goes on from the latest snapshot."""
    folder, quote = Path(detector.net_folder), shlex.quote
    # Paths in the nets count from where netgen was run: go back there, without naming this machine where it can be helped.
    home = quote(os.getcwd()) if folder.is_absolute() else f'"$(dirname "${{BASH_SOURCE[0]}}")"/{quote(os.path.relpath(".", folder))}'
    gpus = f" --gpu={','.join(map(str, detector.devices))}" if detector.devices else ""
    fresh = (
        """elif [[ -f $weights ]]; then
  command+=("--weights=$weights")
else
  echo "no $weights: training starts from random weights" >&2
fi"""
        if detector.weights
        else "fi"
    )
    weights = f"weights={quote(detector.weights)}\n" if detector.weights else ""
    return f"""#!/usr/bin/env bash
# Trains {detector.id}: {detector.plan}.
# Goes on from the latest snapshot where there is one. The engine is netrun, or the Caffe in $CAFFE_ROOT where that is set;
# arguments are handed on to it.
set -euo pipefail
cd {home}
prefix={quote(detector.snapshot_prefix)}
{weights}
engine=netrun
if [[ -n ${{CAFFE_ROOT:-}} ]]; then engine=$CAFFE_ROOT/build/tools/caffe; fi
command=("$engine" train --solver={quote(f"{detector.net_folder}/solver.prototxt")}{gpus})

mkdir -p "$(dirname "$prefix")"
latest=$(find "$(dirname "$prefix")" -maxdepth 1 -name "$(basename "$prefix")_iter_*.solverstate" | sort -V | tail -n 1)
if [[ -n $latest ]]; then
  command+=("--snapshot=$latest")
{fresh}
exec "${{command[@]}}" "$@"
"""
