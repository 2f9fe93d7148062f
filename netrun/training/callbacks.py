"""What a solver calls in every iteration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from netrun.training.solver import Solver


class Callback(Protocol):
    """Called in every iteration: before its first pass, and when all gradients are there but no weight has changed.

    Data parallelism is such a callback (netrun.training.distributed): it averages gradients among the processes.
    """

    def on_start(self, solver: Solver) -> None: ...

    def on_gradients_ready(self, solver: Solver) -> None: ...


@dataclass(frozen=True)
class Calls:
    """A Callback of two functions that take nothing, as pycaffe's add_callback has them."""

    start: Callable[[], object]
    gradients_ready: Callable[[], object]

    def on_start(self, solver: Solver) -> None:
        self.start()

    def on_gradients_ready(self, solver: Solver) -> None:
        self.gradients_ready()
