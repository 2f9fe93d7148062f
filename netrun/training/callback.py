"""What a solver calls in every iteration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from netrun.training.solver import Solver


class Callback(Protocol):
    """What a solver calls in every iteration.

    Data parallelism is such a callback (netrun.training.distributed): it averages gradients among
    the processes.
    """

    def on_start(self, solver: Solver) -> None:
        """The solver calls this before the iteration's first pass."""

    def on_gradients_ready(self, solver: Solver) -> None:
        """The solver calls this when it has all gradients and has changed no weight yet."""
