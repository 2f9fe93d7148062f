"""Runs a train net's passes forward and backward, and logs its outputs."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from netrun.engine.engine import Engine
from netrun.evaluation import scoring
from netrun.runtime import log


def run(net: Engine, count: int, show: bool) -> tuple[dict[str, Tensor], Tensor]:
    """Run forward and backward passes, and add up their gradients.

    count: how many passes, at least 1.
    show: whether to log debug_info's lines.
    Returns the outputs of the last pass, and the mean loss of all passes, shape ().
    """
    total: Tensor | None = None
    for _ in range(count):
        outputs = _pass(net, show)
        net.log_faults()
        loss = net.loss.detach()
        if total is not None:
            loss = total + loss
        total = loss
    assert total is not None
    return outputs, total / count


def _pass(net: Engine, show: bool) -> dict[str, Tensor]:
    if show:
        return net.run_and_show_both()
    outputs = net.run(show=False)
    loss = net.loss
    if loss.requires_grad:
        loss.backward()
    return outputs


def log_outputs(net: Engine, outputs: Mapping[str, Tensor]) -> None:
    """Log every number of a train net's outputs in Caffe's words."""
    for i, (name, weight, value) in enumerate(scoring.numbers(net, outputs)):
        shown = scoring.weighted(value, weight)
        log.info(f"    Train net output #{i}: {name} = {shown}", at="solver.cpp:259")
