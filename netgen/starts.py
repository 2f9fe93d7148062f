"""The weights that training starts from, where another detector's run makes them."""

from __future__ import annotations

import re
from pathlib import Path

from netgen.run import Run

_WEIGHTS = re.compile(r"[^.].*_iter_(\d+)\.caffemodel(\.h5)?")


def found_weights(run: Run) -> str:
    """Return the file that training starts from now; "" to train from scratch.

    Where another run makes it, this is that run's newest, or its last before there is any.
    """
    newest = run.start_snapshots and newest_weights(Path(run.start_snapshots))
    return newest or run.weights


def newest_weights(folder: Path) -> str:
    """Return the .caffemodel of most iterations in a folder of snapshots; "" without one."""
    found = []
    for path in folder.glob("*.caffemodel*"):
        match = _WEIGHTS.fullmatch(path.name)
        if match:
            found.append((int(match[1]), str(path)))
    return max(found, default=(0, ""))[1]


def start_id(run: Run) -> str:
    """Return the zoo id of the detector whose run gives the weights to start from; "" for none."""
    start = run.recipe.starts_from
    if start is not None:
        return start.id
    return run.recipe.weights_from
