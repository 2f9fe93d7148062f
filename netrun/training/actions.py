"""The actions that a signal handler, or a caller in another thread, can ask of a running solver."""

from __future__ import annotations

import enum


class Action(enum.Enum):
    """What a solver should do after the current iteration."""

    NONE = 0
    STOP = 1
    SNAPSHOT = 2


EFFECTS = {"stop": Action.STOP, "snapshot": Action.SNAPSHOT, "none": Action.NONE}
