"""Score a model on its test data: the mean of its outputs, or average precision if it is a detector with DetectionEvaluate.

example: netrun test --model runs/mine/test.prototxt --weights mine_iter_1000.caffemodel --ap-version MaxIntegral
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map, text
from caffe_ir.lmdb_reader import LmdbReader
from netrun.commands import flags
from netrun.engine.engine import Engine
from netrun.evaluation import scoring
from netrun.runtime import device, log
from netrun.runtime.options import RunOptions
from netrun.training import batch_size
from ssd_common.errors import CaffeError

if TYPE_CHECKING:
    from netrun.evaluation.coco import Collector


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, metavar="FILE", help="test net prototxt")
    parser.add_argument("--weights", required=True, metavar="FILE[,FILE]", help="trained weights")
    parser.add_argument("--iterations", type=flags.positive, metavar="N", help="batches (default: all images once, or 50 as Caffe)")
    parser.add_argument("--ap-version", choices=scoring.AP_VERSIONS, default="11point", help="which average precision (default: 11point)")
    parser.add_argument("--coco", action="store_true", help="COCO's twelve metrics too (a net that writes result files: netrun coco)")
    parser.add_argument("--labelmap", metavar="FILE", help="names of the classes (default: the one that the net names)")
    flags.add_suppression(parser)
    flags.add_device(parser)
    flags.add_state(parser)
    flags.add_strict(parser)
    flags.add_log(parser)


def run(args: argparse.Namespace) -> int:
    names = label_map.class_names(args.labelmap or label_map.named_by(text.read_net(args.model)))
    flags.set_up(args)
    where = device.choose(args.gpu, args.cpu)
    how = {"level": args.level, "stages": flags.stages(args), "where": where, "precision": args.precision}
    return batch_size.advised(lambda: _test(args, names, where), lambda: batch_size.advise_running(args.model, pb.TEST, **how))


def _test(args: argparse.Namespace, names: dict[int, str], where: torch.device) -> int:
    options = RunOptions(args.precision, strict=args.strict, keep_blobs=False, soft_nms=args.soft_nms)
    net = Engine(args.model, pb.TEST, level=args.level, stages=flags.stages(args), device=where, options=options)
    try:
        if net.inputs:
            log.warning(f"{args.model} has no data: its input '{net.inputs[0]}' stays as it is (netrun detect takes images)")
        for path in args.weights.split(","):
            net.copy_from(path)
        flags.check_suppression(args, net)
        iterations = args.iterations or _one_pass(net) or 50
        detection = any(layer.type == "DetectionEvaluate" for layer in net.layer_list)
        coco = _collector(net, names) if args.coco else None
        log.info(f"Running for {iterations} iterations.", at="caffe.cpp:285")

        def show(i: int, outputs: Mapping[str, Tensor]) -> None:
            if not detection:
                for name, _, value in scoring.numbers(net, outputs):
                    log.info(f"Batch {i}, {name} = {log.number(value)}", at="caffe.cpp:308")
            if coco:
                coco.take(i)
            progress.step()

        with log.Progress(0, iterations) as progress:
            result = scoring.score(net, iterations, "detection" if detection else "classification", on_batch=show)
    finally:
        net.close()
    assert result is not None
    log.info(f"Loss: {log.number(result.loss)}", at="caffe.cpp:313")
    for name, weight, mean in result.means:
        log.info(f"{name} = {scoring.weighted(mean, weight)}", at="caffe.cpp:325")
    if detection:
        scoring.report(result, pb.SolverParameter(ap_version=args.ap_version))
        _print_table(result, args.ap_version, names)
    if coco:
        print(coco.metrics().summary)
    return 0


def _collector(net: Engine, names: dict[int, str]) -> Collector:
    from netrun.evaluation.coco import Collector

    return Collector(net, names)


def _one_pass(net: Engine) -> int | None:
    """Batches that show every image of the net's LMDB once; None without one."""
    for layer in net.layer_list:
        if layer.type == "AnnotatedData":
            data = layer.param.data_param
            reader = LmdbReader(data.source)
            records = len(reader)
            reader.close()
            if records % data.batch_size:
                log.warning(f"{records} images in batches of {data.batch_size}: the last batch repeats some; they count twice")
            return -(-records // data.batch_size)
    return None


def _print_table(result: scoring.Score, version: str, names: Mapping[int, str]) -> None:
    for output, metric in result.metrics.items():
        found = metric.compute(version)
        if not found.per_class:
            raise CaffeError(f"'{output}': not one detection and so no average precision; are these the weights of this net?")
        width = max(len(names.get(label, "")) for label in found.per_class)
        for label, ap in found.per_class.items():
            print(f"{label:4d} {names.get(label, ''):{width}}  {ap:.4f}")
        others = ", ".join(f"{v} {metric.compute(v).mean_ap:.4f}" for v in scoring.AP_VERSIONS if v != version)
        print(f"mAP {found.mean_ap:.4f} ({version}; {others})")
