"""The script that launches a detector's training: the shell templates, filled in."""

from __future__ import annotations

import os
import string
from pathlib import Path
from shlex import quote

from netgen.run import Run

LAUNCHER = "train.sh"
_TEMPLATES = Path(__file__).with_name("templates")
_CONDITION = "  #: "


class _Template(string.Template):
    """A shell script with `@@name` where a value goes, so that the template is valid shell too."""

    delimiter = "@@"


def solver_names(run: Run) -> list[str]:
    """solver_1.prototxt, … where a schedule takes several; the last is solver.prototxt."""
    count = len(run.solvers())
    width = len(str(count - 1))
    return [*(f"solver_{i:0{width}}.prototxt" for i in range(1, count)), "solver.prototxt"]


def launcher(run: Run, *, python_layers: bool = False) -> str:
    """The Bash script that trains with netrun, or with Caffe where CAFFE_ROOT says so.

    It goes on from the latest snapshot. python_layers: Caffe finds some layers beside the nets.
    """
    body = "train.sh" if len(run.solvers()) == 1 else "chain.sh"
    parts = [(_TEMPLATES / name).read_text(encoding="utf-8") for name in ("head.sh", body)]
    holding = _conditions(run, python_layers)
    return _Template(keep_lines("".join(parts), holding)).substitute(_values(run))


def keep_lines(script: str, holding: set[str]) -> str:
    """A template without its lines that end in `#: condition` for a condition not in `holding`.

    The conditions themselves are cut off the lines that stay.
    """
    kept = []
    for line in script.splitlines():
        code, marked, condition = line.partition(_CONDITION)
        if not marked or condition in holding:
            kept.append(f"{code}\n")
    return "".join(kept)


def _conditions(run: Run, python_layers: bool) -> set[str]:
    holding = set()
    if python_layers:
        holding.add("python_layers")
    if run.weights:
        holding.add("weights")
        holding.add("needed_weights" if run.recipe.needs_weights else "optional_weights")
    return holding


def _values(run: Run) -> dict[str, str]:
    """What stands in the templates' places, by name, quoted for the shell."""
    folder = run.net_folder
    return {
        "id": run.id,
        "plan": str(run.plan),
        "root": _root(folder),
        "folder": quote(folder),
        "prefix": quote(run.snapshot_prefix),
        "weights": quote(run.weights),
        "source": _source(run.weights),
        "solver": quote(f"{folder}/solver.prototxt"),
        "gpus": _gpus(run.devices),
        "links": _links(run),
    }


def _root(folder: str) -> str:
    """The folder that paths in the nets count from, without this machine's name where possible."""
    if Path(folder).is_absolute():
        return quote(os.getcwd())
    return f'"$(dirname "${{BASH_SOURCE[0]}}")"/{quote(os.path.relpath(".", folder))}'


def _source(weights: str) -> str:
    """Where to look for published weights that are missing."""
    if weights.startswith("models/"):
        return " (models/README.md says where it is from)"
    return ""


def _gpus(devices: tuple[int, ...]) -> str:
    """The flag that names the GPUs; none for the CPU."""
    if not devices:
        return ""
    return f" --gpu={','.join(map(str, devices))}"


def _links(run: Run) -> str:
    """A line per solver of a chain: the iteration that it ends at, and its file."""
    pairs = zip(run.solvers(), solver_names(run), strict=True)
    stems = ((solver.max_iter, name.removesuffix(".prototxt")) for solver, name in pairs)
    return "\n".join(f"  {end}:{quote(stem)}" for end, stem in stems)
