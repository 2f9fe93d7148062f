"""What a solver calls in every iteration."""

from __future__ import annotations

from typing import Protocol

from netrun.training.actions import Action


class Callback(Protocol):
    """What a solver calls in every iteration."""

    def on_start(self) -> object:
        """The solver calls this before the iteration's first pass."""

    def on_gradients_ready(self) -> object:
        """The solver calls this when it has all gradients, before it changes any weight."""


class Processes(Callback, Protocol):
    """The processes of a run, as the solver of one of them sees them.

    As a callback it makes their gradients one. Source: netrun.training.distributed.
    """

    def agree(self, action: Action) -> Action:
        """What all processes do now. action: what this one was asked for."""
