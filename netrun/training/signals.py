"""Signals as Caffe takes them: SIGINT stops a run with a snapshot, SIGHUP only takes a snapshot.

Caffe dies of SIGTERM. Here it stops a run like SIGINT: clusters (Slurm, Kubernetes) send it before
they take a machine away.
"""

from __future__ import annotations

import signal
from types import FrameType

from netrun.training.actions import EFFECTS, Action

# Exit status of a run that SIGTERM stopped; 0 would tell a cluster that the run is done.
TERMINATED = 128 + signal.SIGTERM


class Signals:
    """While entered, notes signals; action() hands their effects to the solver at its next pause.

    A second SIGINT before the first was obeyed is a KeyboardInterrupt: whoever presses Ctrl-C
    twice wants to leave now.

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
        """The effect of the oldest signal not obeyed yet; Action.NONE without one."""
        if not self._received:
            return Action.NONE
        number = self._received.pop(0)
        return self.effects[signal.Signals(number)]
