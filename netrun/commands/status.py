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
    parser.add_argument(
        "folder",
        metavar="RUN",
        help="folder with solver.prototxt, snapshots/ and train.log",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--json", action="store_true", help="as JSON, all displayed scores included")
    kind.add_argument(
        "--print",
        dest="key",
        choices=KEYS,
        metavar="KEY",
        help=f"only this value, an empty line where it is not there yet: {', '.join(KEYS)}",
    )


def run(args: argparse.Namespace) -> int:
    """Show a run's status. Raises CaffeError for a folder without a run."""
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
    """A status as a JSON object. NaN and infinity, which JSON lacks, become null."""
    losses = []
    for iteration, loss in found.losses.items():
        losses.append({"iteration": iteration, "loss": _finite(loss)})
    scores = []
    for score in found.scores:
        scores.append(
            {
                "output": score.output,
                "iteration": score.iteration,
                "value": _finite(score.value),
            }
        )
    single = {name: _finite(value) for name, value in _values(found).items()}
    return {**single, "losses": losses, "scores": scores}


def _values(found: RunStatus) -> dict[str, Any]:
    """The single values by key."""
    values = {key: getattr(found, key) for key in KEYS}
    if found.score is not None:
        values["score"] = found.score.value
    return values


def _finite(value: Any) -> Any:
    """The value; None instead of a number that is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _word(value: Any) -> str:
    """A value as text for a shell: a number as in the log, true or false, empty for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def _lines(found: RunStatus) -> list[str]:
    """The status for people: a line for each value that exists."""
    lines = {"run": found.run, "iteration": str(found.iteration)}
    if found.max_iter is not None:
        lines["iteration"] += f" of {found.max_iter}"
    if found.weights:
        lines["weights"] = found.weights
    if found.state:
        lines["state"] = found.state
    if found.first_loss is not None:
        last = max(found.losses)
        lines["loss"] = f"{found.first_loss:g} -> {found.loss:g} at iteration {last}"
    for score in _last_of_each(found):
        lines[score.output] = f"{score.value:g}"
        if score.iteration is not None:
            lines[score.output] += f" at iteration {score.iteration}"
    lines["process"] = "not running"
    if found.pid is not None:
        lines["process"] = str(found.pid)
    return aligned(lines.items(), left=2)


def _last_of_each(found: RunStatus) -> list[LoggedScore]:
    """The last score of each output."""
    return list({score.output: score for score in found.scores}.values())
