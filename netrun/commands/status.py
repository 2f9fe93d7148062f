"""`netrun status`: how far a run is."""

from __future__ import annotations

import argparse
import json
import math
from typing import TYPE_CHECKING, Any

from ssd_common.tables import aligned

if TYPE_CHECKING:
    from netrun.training.run_log import LoggedScore
    from netrun.training.status import RunStatus

HELP = "show how far a run is: iterations, weights, losses, scores, and whether it is being trained"
EXAMPLES = """
netrun status runs/mine
netrun status runs/mine --json
netrun status runs/mine --print weights
"""

KEYS = (
    "run",
    "iteration",
    "max_iter",
    "weights",
    "weights_iteration",
    "state",
    "first_loss",
    "loss",
    "score",
    "ap_version",
    "tested",
    "pid",
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add this command's flags."""
    about = "folder with solver.prototxt, snapshots/ and train.log"
    parser.add_argument("folder", metavar="RUN", help=about)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--json", action="store_true", help="as JSON, all displayed scores included")
    about = f"only this value, an empty line where it is not there yet: {', '.join(KEYS)}"
    kind.add_argument("--print", dest="key", choices=KEYS, metavar="KEY", help=about)


def run(args: argparse.Namespace) -> int:
    """Show a run's status. Raises CaffeError where the folder is no run's."""
    from netrun.training.status import status

    found = status(args.folder)
    if args.json:
        print(json.dumps(as_json(found), indent=2, allow_nan=False))
    elif args.key:
        print(_word(_values(found)[args.key]))
    else:
        print("\n".join(_lines(found)))
    return 0


def as_json(found: RunStatus) -> dict[str, Any]:
    """A status in JSON's terms. Numbers that are not finite, which JSON has not, are null."""
    losses = [{"iteration": i, "loss": _finite(loss)} for i, loss in found.losses.items()]
    scores = [
        {"output": score.output, "iteration": score.iteration, "value": _finite(score.value)}
        for score in found.scores
    ]
    single = {name: _finite(value) for name, value in _values(found).items()}
    return {**single, "losses": losses, "scores": scores}


def _values(found: RunStatus) -> dict[str, Any]:
    """The single values by key."""
    values = {key: getattr(found, key) for key in KEYS}
    values["score"] = found.score.value if found.score else None
    return values


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _word(value: Any) -> str:
    """A value for a shell: numbers as the log has them, true or false, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def _lines(found: RunStatus) -> list[str]:
    """The status for people: a line for each thing that is there."""
    of = f" of {found.max_iter}" if found.max_iter is not None else ""
    lines = {"run": found.run, "iteration": f"{found.iteration}{of}"}
    if found.weights:
        lines["weights"] = found.weights
    if found.state:
        lines["state"] = found.state
    if found.first_loss is not None:
        lines["loss"] = f"{found.first_loss:g} -> {found.loss:g} at iteration {max(found.losses)}"
    for score in _last_of_each(found):
        lines[score.output] = f"{score.value:g}"
        if score.iteration is not None:
            lines[score.output] += f" at iteration {score.iteration}"
    lines["process"] = "not running" if found.pid is None else str(found.pid)
    return aligned(lines.items(), left=2)


def _last_of_each(found: RunStatus) -> list[LoggedScore]:
    """The last score of each output."""
    return list({score.output: score for score in found.scores}.values())
