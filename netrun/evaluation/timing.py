"""How long a model's passes take, and its layers one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from netrun.engine.engine import Engine
from netrun.layers.registry import Layer
from netrun.runtime import log
from netrun.runtime.options import DEFAULTS, RunOptions
from ssd_common.files import PathLike


@dataclass(frozen=True)
class LayerTime:
    """Mean milliseconds of a layer's passes."""

    name: str
    forward: float
    backward: float


@dataclass(frozen=True)
class Timing:
    """Milliseconds of a model.

    iterations: over which the others are. layers: each one's mean.
    forward, backward: means of whole passes. total: of all iterations together.
    """

    iterations: int
    layers: list[LayerTime]
    forward: float
    backward: float
    total: float


def time(
    model: PathLike,
    weights: PathLike | None = None,
    *,
    phase: int = pb.TRAIN,
    iterations: int = 50,
    level: int = 0,
    stages: Iterable[str] = (),
    device: torch.device | str | None = None,
    options: RunOptions = DEFAULTS,
) -> Timing:
    """Time a model's passes and layers, and log it as Caffe does.

    model: net prototxt. weights: trained ones (default: the fillers').
    phase: pb.TRAIN or pb.TEST. iterations: passes forward and backward, after one that counts
    for nothing. level, stages: for include and exclude rules.
    device: as PyTorch names it (default: the CPU). options: precision and strict count here.

    Raises CaffeError for a net, data or weights that cannot be used.
    """
    where = torch.device(device or "cpu")
    net = Engine(
        model, phase, weights, level=level, stages=stages, device=where, options=options
    )
    watch = _Stopwatch(where)
    try:
        _warm_up(net)
        for layer in net.layer_list:
            if layer.type != "Input":  # nothing is computed there
                watch.follow(layer)
        total = _measure(net, watch, iterations)
    finally:
        net.close()
    result = Timing(
        iterations,
        _layer_times(net, watch, iterations),
        watch.passes.get(FORWARD, 0.0) / iterations,
        watch.passes.get(BACKWARD, 0.0) / iterations,
        total,
    )
    _log(result)
    return result


FORWARD, BACKWARD = "forward pass", "backward pass"


class _Stopwatch:
    """Milliseconds by name.

    On a GPU it waits for what has been launched, so that the work is counted where it belongs.
    passes: of whole passes. forward, backward: of each layer that it follows.
    """

    def __init__(self, where: torch.device) -> None:
        self.where = where
        self.passes: dict[str, float] = {}
        self.forward: dict[str, float] = {}
        self.backward: dict[str, float] = {}
        # The layer whose backward is under way, and since when.
        self._going_back: tuple[str, float] | None = None

    def now(self) -> float:
        if self.where.type == "cuda":
            torch.cuda.synchronize(self.where)
        return perf_counter() * 1e3

    def timed(self, name: str, call: Callable[[], object], times: dict[str, float]) -> None:
        start = self.now()
        call()
        times[name] = times.get(name, 0.0) + self.now() - start

    def follow(self, layer: Layer) -> None:
        """Time this layer from now on.

        Its backward begins when a top's gradient is there, and ends when the next layer's begins.
        """
        forward = layer.forward

        def followed(bottoms: list[Tensor]) -> list[Tensor]:
            tops: list[Tensor] = []
            self.timed(layer.name, lambda: tops.extend(forward(bottoms)), self.forward)
            for top in tops:
                if top.requires_grad:
                    top.register_hook(lambda _: self._go_back(layer.name))
            return tops

        layer.forward = followed  # type: ignore[method-assign]

    def _go_back(self, name: str | None) -> None:
        now = self.now()
        if self._going_back is not None:
            before, since = self._going_back
            self.backward[before] = self.backward.get(before, 0.0) + now - since
        self._going_back = (name, now) if name is not None else None

    def forward_pass(self, net: Engine) -> None:
        """A forward pass, timed as a whole and layer by layer."""
        self.timed(FORWARD, net.run, self.passes)

    def backward_pass(self, loss: Tensor) -> None:
        """A backward pass from `loss`, timed as a whole and layer by layer."""

        def whole() -> None:
            loss.backward()
            self._go_back(None)

        self.timed(BACKWARD, whole, self.passes)


def _warm_up(net: Engine) -> None:
    log.info("Performing Forward", at="caffe.cpp:355")
    net.run()
    log.info(f"Initial loss: {log.number(float(net.loss.detach()))}", at="caffe.cpp:360")
    log.info("Performing Backward", at="caffe.cpp:361")
    if net.loss.requires_grad:
        net.loss.backward()


def _measure(net: Engine, watch: _Stopwatch, iterations: int) -> float:
    """Run so many passes forward and backward; return the milliseconds of all together."""
    log.info("*** Benchmark begins ***", at="caffe.cpp:369")
    log.info(f"Testing for {iterations} iterations.", at="caffe.cpp:370")
    start = watch.now()
    for i in range(iterations):
        began = watch.now()
        watch.forward_pass(net)
        if net.loss.requires_grad:
            watch.backward_pass(net.loss)
        took = f"{log.number(watch.now() - began)} ms."
        log.info(f"Iteration: {i + 1} forward-backward time: {took}", at="caffe.cpp:398")
    return watch.now() - start


def _layer_times(net: Engine, watch: _Stopwatch, iterations: int) -> list[LayerTime]:
    found = []
    for layer in net.layer_list:
        name = layer.name
        if name in watch.forward:
            forward = watch.forward[name] / iterations
            found.append(LayerTime(name, forward, watch.backward.get(name, 0.0) / iterations))
    return found


def _log(found: Timing) -> None:
    log.info("Average time per layer: ", at="caffe.cpp:401")
    for layer in found.layers:
        forward, backward = log.number(layer.forward), log.number(layer.backward)
        log.info(f"{layer.name:>10}\tforward: {forward} ms.", at="caffe.cpp:404")
        log.info(f"{layer.name:>10}\tbackward: {backward} ms.", at="caffe.cpp:407")
    both = log.number(found.total / found.iterations)
    log.info(f"Average Forward pass: {log.number(found.forward)} ms.", at="caffe.cpp:412")
    log.info(f"Average Backward pass: {log.number(found.backward)} ms.", at="caffe.cpp:414")
    log.info(f"Average Forward-Backward: {both} ms.", at="caffe.cpp:416")
    log.info(f"Total Time: {log.number(found.total)} ms.", at="caffe.cpp:418")
    log.info("*** Benchmark ends ***", at="caffe.cpp:419")
