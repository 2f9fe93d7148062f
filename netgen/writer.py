"""A detector's files: three nets, its solver or the chain of them, and the script that launches training."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from caffe_ir import text
from netgen.graph import PHASES
from netgen.recipe import Detector

LAUNCHER = "train.sh"
_PYTHON_LAYERS = Path(__file__).with_name("python_layers")
_LATEST = """latest=$(find "$(dirname "$prefix")" -maxdepth 1 -name "$(basename "$prefix")_iter_*.solverstate" | sort -V | tail -n 1)"""


def texts(detector: Detector, target: str = "ssd") -> dict[str, str]:
    """The text of each of a detector's files by its name in `detector.net_folder`."""
    nets = {phase: detector.build(phase, target) for phase in PHASES}
    found = {f"{phase}.prototxt": text.dumps(net) for phase, net in nets.items()}
    modules = sorted({layer.python_param.module for net in nets.values() for layer in net.layer if layer.type == "Python"})
    for module in modules:  # so that the folder is all that Caffe needs
        found[f"{module}.py"] = (_PYTHON_LAYERS / f"{module}.py").read_text(encoding="utf-8")
    for name, solver in zip(solver_names(detector), detector.solvers(), strict=True):
        found[name] = text.dumps(solver)
    if (test_solver := detector.test_solver()) is not None:
        found["test_solver.prototxt"] = text.dumps(test_solver)
    found[LAUNCHER] = launcher(detector, python_layers=bool(modules))
    return found


def solver_names(detector: Detector) -> list[str]:
    """solver_1.prototxt, … of a schedule that takes several solvers; the last, or only, one is solver.prototxt."""
    count = len(detector.solvers())
    width = len(str(count - 1))
    return [*(f"solver_{i:0{width}}.prototxt" for i in range(1, count)), "solver.prototxt"]


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


def launcher(detector: Detector, *, python_layers: bool = False) -> str:
    """A Bash script that trains with netrun, or with Caffe where CAFFE_ROOT says so, and goes on from the latest snapshot.

    python_layers: Caffe finds some layers beside the nets.
    """
    folder, quote = Path(detector.net_folder), shlex.quote
    # Paths in the nets count from where netgen was run: go back there, without naming this machine where it can be helped.
    home = quote(os.getcwd()) if folder.is_absolute() else f'"$(dirname "${{BASH_SOURCE[0]}}")"/{quote(os.path.relpath(".", folder))}'
    gpus = f" --gpu={','.join(map(str, detector.devices))}" if detector.devices else ""
    source = " (models/README.md says where it is from)" if detector.weights.startswith("models/") else ""
    without = (
        '  echo "no $weights, of which a part stays as it is: train that first" >&2\n  exit 1'
        if detector.needs_weights
        else f'  echo "no $weights{source}: training starts from random weights" >&2'
    )
    fresh = f"""elif [[ -f $weights ]]; then
  command+=("--weights=$weights")
else
{without}
fi"""
    if not detector.weights:
        fresh = "fi"
    weights = f"weights=${{WEIGHTS:-{quote(detector.weights)}}}\n" if detector.weights else ""
    path = ""
    if python_layers:
        own = quote(detector.net_folder)
        path = f"""# The loss is a Python layer: Caffe must be built with WITH_PYTHON_LAYER, and runs it on one GPU only.
if [[ -n ${{CAFFE_ROOT:-}} ]]; then export PYTHONPATH={own}:$CAFFE_ROOT/python${{PYTHONPATH:+:$PYTHONPATH}}; fi
"""
    header = f"""#!/usr/bin/env bash
# Trains {detector.id}: {detector.plan}.
# Goes on from the latest snapshot where there is one. The engine is netrun, or the Caffe in $CAFFE_ROOT where that is set;
# arguments are handed on to it.
set -euo pipefail
cd {home}
prefix={quote(detector.snapshot_prefix)}
{weights}
engine=netrun
if [[ -n ${{CAFFE_ROOT:-}} ]]; then engine=$CAFFE_ROOT/build/tools/caffe; fi
if ! type -P "$engine" >/dev/null; then
  echo "no $engine: source .venv/bin/activate, or set CAFFE_ROOT to a built Caffe" >&2
  exit 1
fi
{path}"""
    solvers = detector.solvers()
    if len(solvers) == 1:
        return f"""{header}command=("$engine" train --solver={quote(f"{detector.net_folder}/solver.prototxt")}{gpus})

mkdir -p "$(dirname "$prefix")"
{_LATEST}
if [[ -n $latest ]]; then
  command+=("--snapshot=$latest")
{fresh}
exec "${{command[@]}}" "$@"
"""
    links = "\n".join(f"  {s.max_iter}:{quote(n.removesuffix('.prototxt'))}" for s, n in zip(solvers, solver_names(detector), strict=True))
    fresh = fresh.replace("\n", "\n  ")
    return f"""{header}
# No policy of Caffe's is this schedule, so several solvers run one after the other. Iterations count from the beginning of the first:
# the one at which each ends, and its file. The next one goes on from its last snapshot, momentum included.
chain=(
{links}
)
mkdir -p "$(dirname "$prefix")"
reached=0
for link in "${{chain[@]}}"; do
  {_LATEST}
  iteration=${{latest##*_iter_}}
  iteration=${{iteration%.solverstate}}
  if (( ${{iteration:-0}} < reached )); then
    echo "stopped at iteration ${{iteration:-0}}; run this script again to go on" >&2
    exit
  fi
  reached=${{link%%:*}}
  if (( ${{iteration:-0}} >= reached )) && [[ $link != "${{chain[-1]}}" ]]; then continue; fi
  command=("$engine" train --solver={quote(detector.net_folder)}/"${{link#*:}}.prototxt"{gpus})
  if [[ -n $latest ]]; then
    command+=("--snapshot=$latest")
  {fresh}
  "${{command[@]}}" "$@"
done
"""
