"""Time a model's forward and backward passes, and its layers' forward passes one by one."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from netrun import device, fitting, log
from netrun.commands import flags
from netrun.layers.registry import Layer
from netrun.net import Net


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, metavar="FILE", help="net prototxt")
    parser.add_argument("--weights", metavar="FILE", help="trained weights (default: the fillers')")
    parser.add_argument("--phase", choices=("TRAIN", "TEST"), default="TRAIN", help="default: TRAIN, as Caffe")
    parser.add_argument("--iterations", type=flags.positive, default=50, metavar="N", help="default: 50, as Caffe")
    flags.add_device(parser)
    flags.add_state(parser)
    flags.add_log(parser)


class _Clock:
    """Milliseconds by name. On a GPU it waits for what has been launched, so that the work is counted where it belongs."""

    def __init__(self, where: torch.device) -> None:
        self.where = where
        self.spent: dict[str, float] = {}

    def now(self) -> float:
        if self.where.type == "cuda":
            torch.cuda.synchronize(self.where)
        return time.perf_counter() * 1e3

    def timed(self, name: str, call: Callable[[], object]) -> None:
        start = self.now()
        call()
        self.spent[name] = self.spent.get(name, 0.0) + self.now() - start

    def watch(self, layer: Layer) -> None:
        """Time this layer's forward from now on."""
        forward = layer.forward

        def watched(bottoms: list[Tensor]) -> list[Tensor]:
            tops: list[Tensor] = []
            self.timed(layer.name, lambda: tops.extend(forward(bottoms)))
            return tops

        layer.forward = watched  # type: ignore[method-assign]


def run(args: argparse.Namespace) -> int:
    flags.set_up(args)
    where = device.choose(args.gpu, args.cpu)
    how = {"level": args.level, "stages": flags.stages(args), "where": where, "precision": args.precision}
    return fitting.advised(lambda: _time(args, where), lambda: fitting.advise_running(args.model, getattr(pb, args.phase), **how))


def _time(args: argparse.Namespace, where: torch.device) -> int:
    options = {"level": args.level, "stages": flags.stages(args), "device": where, "precision": args.precision}
    net = Net(args.model, getattr(pb, args.phase), args.weights, **options)
    clock = _Clock(where)
    try:
        log.info("Performing Forward", at="caffe.cpp:355")
        net.run()
        log.info(f"Initial loss: {log.number(float(net.loss.detach()))}", at="caffe.cpp:360")
        for layer in net.layer_list:
            if layer.type != "Input":  # nothing is computed there
                clock.watch(layer)
        log.info("*** Benchmark begins ***", at="caffe.cpp:369")
        log.info(f"Testing for {args.iterations} iterations.", at="caffe.cpp:370")
        start = clock.now()
        for i in range(args.iterations):
            began = clock.now()
            clock.timed("forward pass", net.run)
            if net.loss.requires_grad:
                clock.timed("backward pass", net.loss.backward)
            log.info(f"Iteration: {i + 1} forward-backward time: {log.number(clock.now() - began)} ms.", at="caffe.cpp:398")
        total = clock.now() - start
    finally:
        net.close()
    log.info("Average time per layer: ", at="caffe.cpp:401")
    each = {name: log.number(spent / args.iterations) for name, spent in clock.spent.items()}
    for layer in net.layer_list:
        if layer.name in each:
            log.info(f"{layer.name:>10}\tforward: {each[layer.name]} ms.", at="caffe.cpp:404")
    log.info(f"Average Forward pass: {each['forward pass']} ms.", at="caffe.cpp:412")
    log.info(f"Average Backward pass: {each.get('backward pass', '0')} ms.", at="caffe.cpp:414")
    log.info(f"Average Forward-Backward: {log.number(total / args.iterations)} ms.", at="caffe.cpp:416")
    log.info(f"Total Time: {log.number(total)} ms.", at="caffe.cpp:418")
    log.info("*** Benchmark ends ***", at="caffe.cpp:419")
    return 0
