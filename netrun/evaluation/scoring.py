"""A test net's scores: the mean of its outputs, or average precision where the outputs are DetectionEvaluate's rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from netrun.engine.engine import Engine
from netrun.evaluation.voc import AP_VERSIONS, DetectionMetric
from netrun.runtime import log
from ssd_common.errors import CaffeError

__all__ = ["AP_VERSIONS", "Score", "numbers", "report", "score", "weighted"]


@dataclass
class Score:
    """loss: mean over the batches. means: (output, loss weight, mean) of every number of every output of a classification net.

    metrics: by output of a detection net.
    """

    loss: float = 0.0
    means: list[tuple[str, float, float]] = field(default_factory=list)
    metrics: dict[str, DetectionMetric] = field(default_factory=dict)


def numbers(net: Engine, outputs: Mapping[str, Tensor]) -> Iterator[tuple[str, float, float]]:
    """(output, loss weight, value) of every single number in a net's outputs, as Caffe lists them."""
    for name, tensor in outputs.items():
        weight = net.blobs[name].loss_weight
        for value in tensor.detach().reshape(-1).tolist():
            yield name, weight, value


def weighted(value: float, weight: float) -> str:
    """A value as Caffe prints it, with its share of the loss if it has one."""
    text = log.number(value)
    return f"{text} (* {log.number(weight)} = {log.number(weight * value)} loss)" if weight else text


@torch.no_grad()
def score(
    net: Engine,
    iterations: int,
    eval_type: str,
    go_on: Callable[[], bool] = lambda: True,
    on_batch: Callable[[int, Mapping[str, Tensor]], None] = lambda i, outputs: None,
) -> Score | None:
    """Run so many batches through a test net.

    go_on: asked before every batch; False: give up, and the result is None. on_batch: called after every batch with its outputs.
    Raises CaffeError where eval_type is "detection" and the net's output is not DetectionEvaluate's.
    """
    result = Score()
    for i in range(iterations):
        if not go_on():
            return None
        outputs = net.run()
        result.loss += float(net.loss.detach()) / iterations
        if eval_type == "detection":
            for name, rows in outputs.items():
                if rows.shape[-1] != 5:
                    raise CaffeError(
                        f"net '{net.name}': output '{name}' has rows of {rows.shape[-1]} numbers where eval_type 'detection' "
                        "takes DetectionEvaluate's 5"
                    )
                result.metrics.setdefault(name, DetectionMetric()).update(rows.cpu().numpy())
        else:
            found = list(numbers(net, outputs))
            if i and len(found) != len(result.means):
                raise CaffeError(
                    f"net '{net.name}': {len(found)} outputs in batch {i}, {len(result.means)} before: they have no mean "
                    '(for a detection net, set eval_type: "detection")'
                )
            before = [mean for _, _, mean in result.means] if i else [0.0] * len(found)
            result.means = [(name, w, mean + value / iterations) for (name, w, value), mean in zip(found, before, strict=True)]
        on_batch(i, outputs)
    return result


def report(result: Score, param: pb.SolverParameter) -> None:
    """Log a score in Caffe's words: every mean, or every output's mAP by the solver's ap_version, its classes before it if asked for."""
    for i, (name, weight, mean) in enumerate(result.means):
        log.info(f"    Test net output #{i}: {name} = {weighted(mean, weight)}", at="solver.cpp:425")
    for i, (name, metric) in enumerate(result.metrics.items()):
        found = metric.compute(param.ap_version)
        for line in found.warnings:
            log.warning(line)
        for label, ap in found.per_class.items():
            if param.show_per_class_result:
                log.info(f"class{label}: {log.number(ap)}", at="solver.cpp:540")
        log.info(f"    Test net output #{i}: {name} = {log.number(found.mean_ap)}", at="solver.cpp:546")
