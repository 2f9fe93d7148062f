"""The targets of a benchmark: ratios and rates, each with a limit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.measured import Found, Measured


@dataclass(frozen=True)
class Target:
    """A ratio or a rate that should stay at or below a limit, or (above) at or over it."""

    what: str
    value: float
    limit: float
    above: bool = False

    @property
    def met(self) -> bool:
        """Whether the value keeps its limit."""
        if self.above:
            return self.value >= self.limit
        return self.value <= self.limit

    @property
    def bound(self) -> str:
        """The limit with its direction: "≤ 0.9"."""
        sign = "≤"
        if self.above:
            sign = "≥"
        return f"{sign} {self.limit:g}"

    def row(self) -> list[str]:
        """Return the target as a row of the report's table."""
        verdict = "**missed**"
        if self.met:
            verdict = "met"
        return [self.what, f"{self.value:.3g}", self.bound, verdict]


def targets(found: Found, device: str) -> list[Target]:
    """Return the targets of those parts that ran.

    device: "cpu" or "cuda"; some targets hold on one of them only.
    """
    return [
        *_inference(_ran(found, "inference"), device),
        *_training(_ran(found, "training")),
        *_loading(found, device),
    ]


def _ran(found: Found, part: str) -> dict[str, Measured]:
    """Return the contenders of a part that did not fail."""
    contenders = found.get(part, {})
    return {name: m for name, m in contenders.items() if m.seconds}


def _inference(inference: dict[str, Measured], device: str) -> Iterator[Target]:
    mine = inference.get("netrun fp32")
    if not mine:
        return
    if "OpenCV DNN" in inference and device == "cpu":
        ratio = mine.median / inference["OpenCV DNN"].median
        yield Target("SSD300 inference, 1 image: time of OpenCV's DNN", ratio, 0.9)
    seconds = mine.facts["by_type"]
    share = seconds["DetectionOutput"] / sum(seconds.values())
    yield Target("DetectionOutput: share of SSD300 inference", share, 0.05)
    what = "SSD300 inference: peak memory over weights and activations"
    yield Target(what, _excess(mine), 1.3)


def _training(training: dict[str, Measured]) -> Iterator[Target]:
    step = training.get("netrun fp32")
    if not step:
        return
    bare = [m.median for name, m in training.items() if name.startswith("PyTorch")]
    if bare:
        what = "SSD300 training step: time of PyTorch's forward and backward alone"
        yield Target(what, step.median / min(bare), 1.2)
    loss = step.facts["parts"]["MultiBoxLoss, forward and backward"]
    what = "MultiBoxLoss, forward and backward: share of an SSD300 training step"
    yield Target(what, loss / step.median, 0.05)
    what = "SSD300 training: peak memory over what weights, gradients, momentum and blobs take"
    yield Target(what, _excess(step), 1.3)


def _loading(found: Found, device: str) -> Iterator[Target]:
    loader = _ran(found, "loading").get("netrun")
    if not loader:
        return
    yield Target("loader, images a second", loader.rate, 500, above=True)
    detectors = _ran(found, "detectors").values()
    trained = [m.rate for m in detectors if "training" in m.name]
    if trained and device != "cpu":
        what = "loader: images a second over those of the fastest training"
        yield Target(what, loader.rate / max(trained), 1, above=True)


def _excess(m: Measured) -> float:
    """Return the memory that a contender used, in units of what its net cannot do without."""
    return m.memory / sum(m.facts["needed"].values())
