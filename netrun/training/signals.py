"""Signals as Caffe takes them: SIGINT stops a run with a snapshot, SIGHUP takes one and lets it go on.

SIGTERM, which Caffe dies of, stops like SIGINT: clusters send it before they take a machine away (Slurm, Kubernetes).
"""

from __future__ import annotations

import signal
from types import FrameType

from netrun.training.actions import EFFECTS, Action

TERMINATED = 128 + signal.SIGTERM  # exit status of a run that SIGTERM stopped; 0 would tell a cluster that it is done


class Signals:
    """While entered, notes signals and hands their effects to the solver, at its next pause, through action().

    A second SIGINT before the first was obeyed is a KeyboardInterrupt: whoever presses Ctrl-C twice wants out now.
    """

    def __init__(self, sigint: str = "stop", sighup: str = "snapshot") -> None:
        self.effects = {signal.SIGINT: EFFECTS[sigint], signal.SIGHUP: EFFECTS[sighup], signal.SIGTERM: Action.STOP}
        self.got: list[int] = []
        self.terminated = False  # whether SIGTERM has come
        self.previous: dict[int, object] = {}

    def __enter__(self) -> Signals:
        for number in self.effects:
            self.previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, _: FrameType | None) -> None:
        self.terminated |= number == signal.SIGTERM
        if number == signal.SIGINT and number in self.got:
            raise KeyboardInterrupt
        if self.effects[signal.Signals(number)] is not Action.NONE:
            self.got.append(number)

    def action(self) -> Action:
        """The effect of the oldest signal not obeyed yet; Action.NONE without one."""
        return self.effects[signal.Signals(self.got.pop(0))] if self.got else Action.NONE
