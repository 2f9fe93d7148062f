"""Handles signals as Caffe does: SIGINT stops a run with a snapshot, SIGHUP takes a snapshot only.

SIGTERM kills Caffe. Here it stops a run like SIGINT, because clusters (Slurm, Kubernetes) send it
before they take a machine away.
"""

from __future__ import annotations

import signal
from types import FrameType

from netrun.training.actions import EFFECTS, Action

# The exit status of a run stopped by SIGTERM; 0 would tell a cluster that the run is done.
TERMINATED = 128 + signal.SIGTERM


class Signals:
    """A context manager that notes signals; action() gives their effects to the solver later.

    A second SIGINT before the solver has obeyed the first is a KeyboardInterrupt: a user who
    presses Ctrl-C twice wants to leave now.

    sigint, sighup: keys of EFFECTS.
    terminated: whether SIGTERM has come.
    """

    def __init__(self, sigint: str = "stop", sighup: str = "snapshot") -> None:
        self.effects = {
            signal.SIGINT: EFFECTS[sigint],
            signal.SIGHUP: EFFECTS[sighup],
            signal.SIGTERM: Action.STOP,
        }
        self.terminated = False
        self._received: list[int] = []
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Signals:
        for number in self.effects:
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, _: FrameType | None) -> None:
        self.terminated |= number == signal.SIGTERM
        if number == signal.SIGINT and number in self._received:
            raise KeyboardInterrupt
        if self.effects[signal.Signals(number)] is not Action.NONE:
            self._received.append(number)

    def action(self) -> Action:
        """The effect of the oldest signal not yet obeyed; Action.NONE without one."""
        if not self._received:
            return Action.NONE
        number = self._received.pop(0)
        return self.effects[signal.Signals(number)]
