"""A scenario of netgen: a net's files, in place of others."""

from __future__ import annotations

from tests.faults.runs import Runner
from tests.faults.scenario import Scenario

_FOLDER = "prototxt/fssd_tiny_shapes"


def written_files(_: Runner) -> Scenario:
    """A prototxt and a launch script: one is new, one replaces another."""
    before: dict[str, bytes | None] = {
        "prototxt": None,
        _FOLDER: None,
        f"{_FOLDER}/train.sh": b"old\n",
    }
    return Scenario(("netgen", "build", "fssd_tiny_shapes"), before, ("two_files",))
