"""Time a model's forward and backward passes, and its layers one by one.

example: netrun time --model runs/mine/deploy.prototxt --iterations 20 --precision bf16
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from netrun.commands import flags
from netrun.engine.engine import Engine
from netrun.layers.registry import Layer
from netrun.runtime import device, log
from netrun.runtime.options import RunOptions
from netrun.training import batch_size


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, metavar="FILE", help="net prototxt")
    parser.add_argument("--weights", metavar="FILE", help="trained weights (default: the fillers')")
    parser.add_argument("--phase", choices=("TRAIN", "TEST"), default="TRAIN", help="default: TRAIN, as Caffe")
    parser.add_argument("--iterations", type=flags.positive, default=50, metavar="N", help="default: 50, as Caffe")
    flags.add_device(parser)
    flags.add_state(parser)
    flags.add_log(parser)


class _Clock:
    """Milliseconds by name. On a GPU it waits for what has been launched, so that the work is counted where it belongs.

    forward, backward: of each layer that was watched.
    """

    def __init__(self, where: torch.device) -> None:
        self.where = where
        self.spent: dict[str, float] = {}
        self.forward: dict[str, float] = {}
        self.backward: dict[str, float] = {}
        self._going_back: tuple[str, float] | None = None  # the layer whose backward is under way, and since when

    def now(self) -> float:
        if self.where.type == "cuda":
            torch.cuda.synchronize(self.where)
        return time.perf_counter() * 1e3

    def timed(self, name: str, call: Callable[[], object], spent: dict[str, float] | None = None) -> None:
        spent, start = self.spent if spent is None else spent, self.now()
        call()
        spent[name] = spent.get(name, 0.0) + self.now() - start

    def watch(self, layer: Layer) -> None:
        """Time this layer from now on: its backward begins when a top's gradient is there, and ends when the next layer's begins."""
        forward = layer.forward

        def watched(bottoms: list[Tensor]) -> list[Tensor]:
            tops: list[Tensor] = []
            self.timed(layer.name, lambda: tops.extend(forward(bottoms)), self.forward)
            for top in tops:
                if top.requires_grad:
                    top.register_hook(lambda _: self._go_back(layer.name))
            return tops

        layer.forward = watched  # type: ignore[method-assign]

    def _go_back(self, name: str | None) -> None:
        now = self.now()
        if self._going_back is not None:
            before, since = self._going_back
            self.backward[before] = self.backward.get(before, 0.0) + now - since
        self._going_back = (name, now) if name is not None else None

    def backward_pass(self, loss: Tensor) -> None:
        """A backward pass from `loss`, timed as a whole and layer by layer."""

        def whole() -> None:
            loss.backward()
            self._go_back(None)

        self.timed("backward pass", whole)


def run(args: argparse.Namespace) -> int:
    flags.set_up(args)
    where = device.choose(args.gpu, args.cpu)
    how = {"level": args.level, "stages": flags.stages(args), "where": where, "precision": args.precision}
    return batch_size.advised(lambda: _time(args, where), lambda: batch_size.advise_running(args.model, getattr(pb, args.phase), **how))


def _time(args: argparse.Namespace, where: torch.device) -> int:
    state = {"level": args.level, "stages": flags.stages(args)}
    options = RunOptions(precision=args.precision)
    net = Engine(args.model, getattr(pb, args.phase), args.weights, device=where, options=options, **state)
    clock = _Clock(where)
    try:
        log.info("Performing Forward", at="caffe.cpp:355")
        net.run()
        log.info(f"Initial loss: {log.number(float(net.loss.detach()))}", at="caffe.cpp:360")
        log.info("Performing Backward", at="caffe.cpp:361")
        if net.loss.requires_grad:
            net.loss.backward()
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
                clock.backward_pass(net.loss)
            log.info(f"Iteration: {i + 1} forward-backward time: {log.number(clock.now() - began)} ms.", at="caffe.cpp:398")
        total = clock.now() - start
    finally:
        net.close()
    log.info("Average time per layer: ", at="caffe.cpp:401")

    def mean(spent: dict[str, float], name: str) -> str:
        return log.number(spent.get(name, 0.0) / args.iterations)

    for layer in net.layer_list:
        if layer.name in clock.forward:
            log.info(f"{layer.name:>10}\tforward: {mean(clock.forward, layer.name)} ms.", at="caffe.cpp:404")
            log.info(f"{layer.name:>10}\tbackward: {mean(clock.backward, layer.name)} ms.", at="caffe.cpp:407")
    log.info(f"Average Forward pass: {mean(clock.spent, 'forward pass')} ms.", at="caffe.cpp:412")
    log.info(f"Average Backward pass: {mean(clock.spent, 'backward pass')} ms.", at="caffe.cpp:414")
    log.info(f"Average Forward-Backward: {log.number(total / args.iterations)} ms.", at="caffe.cpp:416")
    log.info(f"Total Time: {log.number(total)} ms.", at="caffe.cpp:418")
    log.info("*** Benchmark ends ***", at="caffe.cpp:419")
    return 0
