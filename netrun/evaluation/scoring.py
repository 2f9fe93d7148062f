"""Scores a test net: by the mean of its outputs, or a detection net by average precision.

A detection net's outputs are DetectionEvaluate's rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from netrun.engine.engine import Engine
from netrun.evaluation.voc import AP_VERSIONS, DetectionMetric
from netrun.runtime import log
from ssd_common.errors import CaffeError

# Of DetectionEvaluate's rows, where the solver does not say that they are.
NO_MEAN = 'DetectionEvaluate\'s rows have no mean; set eval_type: "detection"'

__all__ = ["AP_VERSIONS", "Score", "numbers", "report", "score", "weighted"]


@dataclass
class Score:
    """The result of a test.

    loss: the mean over the batches.
    means: the output, loss weight and mean of every number in a classification net's outputs.
    metrics: a detection net's metrics, by output.
    tables: outputs of DetectionEvaluate that were scored as a classification net's: they have no
        mean, and the fork prints one for each of their numbers.
    """

    loss: float = 0.0
    means: list[tuple[str, float, float]] = field(default_factory=list)
    metrics: dict[str, DetectionMetric] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)


def numbers(net: Engine, outputs: Mapping[str, Tensor]) -> Iterator[tuple[str, float, float]]:
    """List every number in a net's outputs, as Caffe does.

    Yields output, loss weight and value.
    """
    for name, tensor in outputs.items():
        weight = net.blobs[name].loss_weight
        for value in tensor.detach().reshape(-1).tolist():
            yield name, weight, value


def weighted(value: float, weight: float) -> str:
    """A value as Caffe prints it, with its share of the loss if it has one."""
    text = log.number(value)
    if not weight:
        return text
    share = log.number(weight * value)
    return f"{text} (* {log.number(weight)} = {share} loss)"


@torch.no_grad()
def score(
    net: Engine,
    iterations: int,
    eval_type: str,
    go_on: Callable[[], bool] = lambda: True,
    on_batch: Callable[[int, Mapping[str, Tensor]], None] = lambda i, outputs: None,
) -> Score | None:
    """Score a test net on this number of batches.

    eval_type: "classification" or "detection".
    go_on: called before every batch; False stops the test.
    on_batch: called after every batch with its number and its outputs.
    Returns None where go_on stopped the test.
    Raises CaffeError where eval_type is "detection" and the net's output is not
    DetectionEvaluate's, and where the number of outputs differs between batches.
    """
    result = Score()
    for i in range(iterations):
        if not go_on():
            return None
        outputs = net.run()
        result.loss += float(net.loss.detach()) / iterations
        if eval_type == "detection":
            _add_detections(result, net, outputs)
        else:
            _add_means(result, net, outputs, i, iterations)
        on_batch(i, outputs)
    return result


def _add_detections(
    result: Score,
    net: Engine,
    outputs: Mapping[str, Tensor],
) -> None:
    """Add a batch of a detection net to its metrics."""
    for name, rows in outputs.items():
        columns = rows.shape[-1]
        if columns != 5:
            has = f"output '{name}' has rows of {columns} numbers"
            takes = "eval_type 'detection' takes DetectionEvaluate's 5"
            raise CaffeError(f"net '{net.name}': {has} where {takes}")
        metric = result.metrics.setdefault(name, DetectionMetric())
        metric.update(rows.cpu().numpy())


def _add_means(
    result: Score,
    net: Engine,
    outputs: Mapping[str, Tensor],
    batch: int,
    iterations: int,
) -> None:
    """Add a batch of a classification net to its means.

    batch: the batch's number, from 0.
    """
    result.tables = [name for name in outputs if _maker(net, name) == "DetectionEvaluate"]
    of_means = {name: outputs[name] for name in outputs if name not in result.tables}
    found = list(numbers(net, of_means))
    if batch == 0:
        result.means = [(name, weight, 0.0) for name, weight, _ in found]
    if len(found) != len(result.means):
        counts = f"{len(found)} outputs in batch {batch}, {len(result.means)} before"
        raise CaffeError(f"net '{net.name}': {counts}: they have no mean{_advice(net, of_means)}")
    means = []
    for (name, weight, value), (_, _, before) in zip(found, result.means, strict=True):
        means.append((name, weight, before + value / iterations))
    result.means = means


def _advice(net: Engine, outputs: Iterable[str]) -> str:
    """What to do for a score where outputs are detections; "" where none is."""
    found = [name for name in outputs if _maker(net, name) == "DetectionOutput"]
    if not found:
        return ""
    return f"; for average precision, add a DetectionEvaluate layer that reads '{found[0]}'"


def _maker(net: Engine, blob: str) -> str:
    """The type of the layer that makes a blob."""
    return net.layer_list[net.graph.last[blob].layer].type


def report(result: Score, param: pb.SolverParameter) -> None:
    """Log a score in Caffe's words: every mean, or every output's mAP.

    param: the solver; it gives the ap_version, and says whether to log each class first.
    """
    for i, (name, weight, mean) in enumerate(result.means):
        value = weighted(mean, weight)
        log.info(f"    Test net output #{i}: {name} = {value}", at="solver.cpp:425")
    for name in result.tables:
        log.warning(f"{name}: {NO_MEAN}")
    for i, (name, metric) in enumerate(result.metrics.items()):
        found = metric.compute(param.ap_version)
        for line in found.warnings:
            log.warning(line)
        if param.show_per_class_result:
            for label, ap in found.per_class.items():
                log.info(f"class{label}: {log.number(ap)}", at="solver.cpp:540")
        value = log.number(found.mean_ap)
        log.info(f"    Test net output #{i}: {name} = {value}", at="solver.cpp:546")
