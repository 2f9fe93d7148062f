"""The measurements of one contender."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass
class Measured:
    """The measurements of one contender.

    name: of the contender.
    options: those that it ran with; "images", or else "batch", is the number of images in a turn.
    seconds: one entry per turn.
    facts: its other replies: "macs", "needed", "by_type", "first", "parts".
    memory: peak bytes above those of the process before its net was built; 0 where unknown.
    failed: its last words if it failed, else "".
    """

    name: str
    options: dict[str, Any]
    seconds: list[float] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    memory: int = 0
    failed: str = ""

    @property
    def median(self) -> float:
        """The median of its turns in seconds; nan if it made none."""
        if not self.seconds:
            return float("nan")
        return median(self.seconds)

    @property
    def rate(self) -> float:
        """Images a second."""
        images = self.options.get("images", self.options.get("batch", 1))
        return images / self.median


Found = dict[str, dict[str, Measured]]  # part of the benchmark → contender's name → measurements
