"""The script that trains a detector: the shell templates, filled in."""

from __future__ import annotations

import os
import string
import textwrap
from pathlib import Path
from shlex import quote

from netgen.run import Run

LAUNCHER = "train.sh"
GUIDE = "models/README.md"  # says where published weights are from
_TEMPLATES = Path(__file__).with_name("templates")
_CONDITION = "  #: "
_INCLUDE = "@@include "


class _Template(string.Template):
    """A shell script with `@@name` where a value goes, so that the template is valid shell too."""

    delimiter = "@@"


def solver_names(run: Run) -> list[str]:
    """Return the solvers' file names: solver_1.prototxt, … where there are several.

    The last one is always solver.prototxt.
    """
    count = len(run.solvers())
    width = len(str(count - 1))
    numbered = [f"solver_{number:0{width}}.prototxt" for number in range(1, count)]
    return [*numbered, "solver.prototxt"]


def launcher(run: Run, *, python_layers: bool = False) -> str:
    """Return the Bash script that trains with netrun, or with the Caffe in CAFFE_ROOT.

    The script goes on from the latest snapshot.

    python_layers: some layers are Python files beside the nets, which Caffe has to find.
    """
    body = "train.sh"
    if len(run.solvers()) > 1:
        body = "chain.sh"
    script = keep_lines(template(body), _conditions(run, python_layers))
    return _Template(script).substitute(_values(run))


def template(name: str) -> str:
    """Return a template's text.

    A line `@@include NAME` stands for the template of that name, and indents it as the line is.
    """
    text = ""
    for line in (_TEMPLATES / name).read_text(encoding="utf-8").splitlines(keepends=True):
        indent, included, part = line.partition(_INCLUDE)
        if included:
            text += textwrap.indent(template(part.strip()), indent)
        else:
            text += line
    return text


def keep_lines(script: str, conditions: set[str]) -> str:
    """Return a template with only those lines whose condition holds.

    A line without a condition stays. `  #: condition` at the end of a line is cut off.

    conditions: the ones that hold.
    """
    kept = []
    for line in script.splitlines():
        code, marked, condition = line.partition(_CONDITION)
        if not marked or condition in conditions:
            kept.append(f"{code}\n")
    return "".join(kept)


def _conditions(run: Run, python_layers: bool) -> set[str]:
    """Return the conditions of the templates' lines that hold for a run."""
    found = set()
    if python_layers:
        found.add("python_layers")
    if not run.weights:
        return found
    source, missing = "file", "optional_weights"
    if run.start_snapshots:
        source = "run"
    if run.recipe.needs_weights:
        missing = "needed_weights"
    return found | {"weights", source, missing}


def _values(run: Run) -> dict[str, str]:
    """Return the values of the templates' placeholders by name, quoted for the shell."""
    folder = run.net_folder
    return {
        "id": run.id,
        "plan": str(run.plan),
        "root": _root(folder),
        "folder": quote(folder),
        "prefix": quote(run.snapshot_prefix),
        "weights": quote(run.weights),
        "start": quote(run.start_snapshots),
        "source": _source(run),
        "solver": quote(f"{folder}/solver.prototxt"),
        "gpus": _gpus(run.devices),
        "links": _links(run),
    }


def _root(folder: str) -> str:
    """Return the directory that paths in the nets are relative to.

    It is relative to the script, so that both can move, unless `folder` is absolute.
    """
    if Path(folder).is_absolute():
        return quote(os.getcwd())
    back = quote(os.path.relpath(".", folder))
    return f'"$(dirname "${{BASH_SOURCE[0]}}")"/{back}'


def names_guide(run: Run) -> bool:
    """Return whether the run's script sends readers to `GUIDE` for its weights."""
    return run.weights.startswith("models/")


def _source(run: Run) -> str:
    """Return a hint on where to find missing published weights."""
    if names_guide(run):
        return f" ({GUIDE} says where it is from)"
    return ""


def _gpus(devices: tuple[int, ...]) -> str:
    """Return the flag that names the GPUs; "" for the CPU."""
    if not devices:
        return ""
    return f" --gpu={','.join(map(str, devices))}"


def _links(run: Run) -> str:
    """Return one line per solver of a chain: the iteration that it ends at, and its file."""
    lines = []
    for solver, name in zip(run.solvers(), solver_names(run), strict=True):
        stem = name.removesuffix(".prototxt")
        lines.append(f"  {solver.max_iter}:{quote(stem)}")
    return "\n".join(lines)
