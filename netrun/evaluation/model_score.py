"""Scores a model on its test data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import cautions, label_map, text
from caffe_ir.lmdb_reader import LmdbReader
from caffe_ir.phase import filter_net
from netrun.engine.engine import Engine
from netrun.evaluation import scoring
from netrun.layers.annotated_data import log_coding
from netrun.runtime import log
from netrun.runtime.options import DEFAULTS, RunOptions
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike

if TYPE_CHECKING:
    from netrun.evaluation.coco import CocoMetrics, Collector

ITERATIONS = 50  # Caffe's default, for nets without an LMDB


@dataclass(frozen=True)
class AveragePrecision:
    """A detector's average precision at one output.

    mean: mAP by the requested version.
    per_class: AP by label.
    by_version: mAP by every version.
    """

    output: str
    mean: float
    per_class: dict[int, float]
    by_version: dict[str, float]


@dataclass(frozen=True)
class ModelScore:
    """A model's scores.

    loss: the mean over the batches.
    names: the classes' names by label.
    means: for a net without detections, the output, loss weight and mean of every number.
    average_precisions: for a detector, one for each DetectionEvaluate output.
    coco: COCO's metrics, if requested.
    saved: whether all result files that the net asks for were written.
    """

    loss: float
    names: dict[int, str]
    means: list[tuple[str, float, float]] = field(default_factory=list)
    average_precisions: list[AveragePrecision] = field(default_factory=list)
    coco: CocoMetrics | None = None
    saved: bool = True

    @property
    def mean_ap(self) -> float | None:
        """The mAP of a detector's first output; None for a net without detections."""
        if not self.average_precisions:
            return None
        return self.average_precisions[0].mean


def test(
    model: PathLike,
    weights: PathLike | Sequence[PathLike],
    *,
    iterations: int | None = None,
    ap_version: str = "11point",
    coco: bool = False,
    annotations: PathLike | None = None,
    labelmap: PathLike | None = None,
    level: int = 0,
    stages: Iterable[str] = (),
    device: torch.device | str | None = None,
    options: RunOptions = DEFAULTS,
) -> ModelScore:
    """Score a model on its test data, and log the scores as Caffe does.

    model: test net prototxt.
    weights: one file, or several for one net.
    iterations: how many batches (default: all images of its LMDB once, else 50 as in Caffe).
    ap_version: 11point, MaxIntegral or Integral.
    coco: whether to compute COCO's twelve metrics too.
    annotations: COCO's annotation file of the test images, whose areas make objects small, medium
        or large (default: the one that the dataset.json beside the LMDB names, else boxes' areas).
    labelmap: names of the classes (default: the one that the net names).
    level, stages: select layers by include and exclude rules.
    device: as PyTorch names it (default: the CPU).
    options: precision, strict, soft_nms and jpeg_recoding count here.

    Raises CaffeError for a net, data or weights that cannot be used, for soft_nms without a
    DetectionOutput layer, and for a detector without any detection.
    """
    names = label_map.class_names(labelmap or label_map.named_by(text.read_net(model)))
    chosen = replace(options, keep_blobs=False)
    net = Engine(
        model,
        pb.TEST,
        level=level,
        stages=stages,
        device=device,
        options=chosen,
    )
    try:
        _prepare(net, model, weights, soft_nms=options.soft_nms)
        collector = None
        if coco or annotations is not None:
            collector = _collector(net, names, annotations)
        iterations = iterations or _one_pass(net) or ITERATIONS
        _warn(filter_net(text.read_net(model), pb.TEST, level, stages), iterations)
        result = _run(net, iterations, collector)
    finally:
        net.close()
    _log(result, ap_version)
    saved = not net.log_faults()
    found = [_average_precision(output, result, ap_version) for output in result.metrics]
    metrics = None
    if collector:
        metrics = collector.metrics()
    return ModelScore(
        loss=result.loss,
        names=names,
        means=result.means,
        average_precisions=found,
        coco=metrics,
        saved=saved,
    )


def _prepare(
    net: Engine,
    model: PathLike,
    weights: PathLike | Sequence[PathLike],
    *,
    soft_nms: bool,
) -> None:
    """Load the weights, log how images are encoded, and warn about a net without data.

    Raises CaffeError for weights that do not fit, and for soft_nms without DetectionOutput.
    """
    if net.inputs:
        stays = f"its input '{net.inputs[0]}' stays as it is (netrun detect takes images)"
        log.warning(f"{model} has no data: {stays}")
    log_coding(net.layer_list)
    net.copy_from(*_as_list(weights))
    if soft_nms and not any(layer.type == "DetectionOutput" for layer in net.layer_list):
        raise CaffeError(f"--soft-nms: {model} has no DetectionOutput layer")


def _as_list(weights: PathLike | Sequence[PathLike]) -> Sequence[PathLike]:
    if isinstance(weights, (list, tuple)):
        return weights
    return [weights]  # type: ignore[list-item]


def _run(
    net: Engine,
    iterations: int,
    collector: Collector | None,
) -> scoring.Score:
    detection = any(layer.type == "DetectionEvaluate" for layer in net.layer_list)
    kind = "classification"
    if detection:
        kind = "detection"
    log.info(f"Running for {iterations} iterations.", at="caffe.cpp:285")
    with log.Progress(0, iterations) as progress:
        on_batch = _on_batch(net, detection, collector, progress)
        result = scoring.score(net, iterations, kind, on_batch=on_batch)
    assert result is not None
    return result


def _on_batch(
    net: Engine,
    detection: bool,
    collector: Collector | None,
    progress: log.Progress,
) -> Callable[[int, Mapping[str, Tensor]], None]:
    """The function to call after each batch: logs a classifier's numbers, or feeds COCO."""

    def show(i: int, outputs: Mapping[str, Tensor]) -> None:
        if not detection:
            for name, _, value in scoring.numbers(net, outputs):
                log.info(f"Batch {i}, {name} = {log.number(value)}", at="caffe.cpp:308")
        if collector:
            collector.take(i)
        progress.step()

    return show


def _log(result: scoring.Score, ap_version: str) -> None:
    log.info(f"Loss: {log.number(result.loss)}", at="caffe.cpp:313")
    for name, weight, mean in result.means:
        log.info(f"{name} = {scoring.weighted(mean, weight)}", at="caffe.cpp:325")
    if result.metrics:
        scoring.report(result, pb.SolverParameter(ap_version=ap_version))


def _average_precision(
    output: str,
    result: scoring.Score,
    ap_version: str,
) -> AveragePrecision:
    metric = result.metrics[output]
    found = metric.compute(ap_version)
    if not found.per_class:
        none = "not one detection and so no average precision"
        raise CaffeError(f"'{output}': {none}; are these the weights of this net?")
    means = {version: metric.compute(version).mean_ap for version in scoring.AP_VERSIONS}
    return AveragePrecision(output, found.mean_ap, found.per_class, means)


def _collector(net: Engine, names: dict[int, str], annotations: PathLike | None) -> Collector:
    from netrun.evaluation.coco import Collector  # noqa: PLC0415 - pycocotools takes half a second

    return Collector(net, names, annotations)


def _one_pass(net: Engine) -> int | None:
    """How many batches show every image of the net's LMDB; None without an LMDB."""
    sources = [layer for layer in net.layer_list if layer.type == "AnnotatedData"]
    if not sources:
        return None
    data = sources[0].param.data_param
    reader = LmdbReader(data.source)
    records = len(reader)
    reader.close()
    return -(-records // data.batch_size)


def _warn(net: pb.NetParameter, iterations: int) -> None:
    """Warn of what runs, but may give another score than the one meant.

    net: filtered for TEST.
    """
    for caution in cautions.of_net(net):
        log.warning(caution)
    covered = cautions.coverage(net, iterations, "--iterations {}")
    if covered and covered.caution:
        log.warning(covered.caution)
