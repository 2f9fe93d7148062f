"""Measures how long a model's passes and its layers take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.phase import filter_net
from netrun.engine.engine import Engine
from netrun.layers.registry import Layer
from netrun.runtime import log
from netrun.runtime.options import DEFAULTS, RunOptions
from ssd_common.files import PathLike

PIXELS = 128  # the highest value of a picture less its mean


@dataclass(frozen=True)
class LayerTime:
    """Mean milliseconds of a layer's passes."""

    name: str
    forward: float
    backward: float


@dataclass(frozen=True)
class Timing:
    """How long a model's passes take, in milliseconds.

    iterations: how many passes forward and backward were timed.
    layers: the means of each layer.
    forward, backward: the means of whole passes.
    total: the time of all iterations together.
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

    The backward pass starts from the net's loss, in TEST as in TRAIN; a log line says so where no
    layer has a loss.

    model: net prototxt.
    weights: trained weights (default: the fillers').
    phase: pb.TRAIN or pb.TEST.
    iterations: how many forward and backward passes to time, after one that is not timed.
    level, stages: select layers by include and exclude rules.
    device: as PyTorch names it (default: the CPU).
    options: precision and strict count here.

    Raises CaffeError for a net, data or weights that cannot be used.
    """
    device = torch.device(device or "cpu")
    _warn_of_left_out(model, phase, level, stages)
    net = Engine(
        model,
        phase,
        weights,
        level=level,
        stages=stages,
        device=device,
        options=options,
    )
    net.record_backward()
    watch = _Stopwatch(device)
    try:
        _warm_up(net)
        net.watch(watch.layer_forward)
        total = _measure(net, watch, iterations)
        net.log_faults()
    finally:
        net.close()
    result = Timing(
        iterations=iterations,
        layers=_layer_times(net, watch, iterations),
        forward=watch.passes.get(FORWARD, 0.0) / iterations,
        backward=watch.passes.get(BACKWARD, 0.0) / iterations,
        total=total,
    )
    _log(result)
    return result


def _warn_of_left_out(model: PathLike, phase: int, level: int, stages: Iterable[str]) -> None:
    """Warn where TRAIN leaves out layers of a net that is for TEST, such as suppression."""
    net = text.read_net(model)
    stages = list(stages)
    if phase != pb.TRAIN or len(filter_net(net, pb.TEST, level, stages).layer) < len(net.layer):
        return
    kept = {layer.name for layer in filter_net(net, phase, level, stages).layer}
    left = [layer.name for layer in net.layer if layer.name not in kept]
    if left:
        names = ", ".join(left)
        log.warning(f"{model}: phase TRAIN leaves out {names}; --phase TEST times all layers")


# Keys of _Stopwatch.passes.
FORWARD = "forward pass"
BACKWARD = "backward pass"


class _Stopwatch:
    """Adds up milliseconds by name.

    On a GPU it waits for all launched kernels, so that their time counts for the layer that
    launched them.

    device: the device that computes.
    passes: times of whole passes.
    forward, backward: of each layer.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.passes: dict[str, float] = {}
        self.forward: dict[str, float] = {}
        self.backward: dict[str, float] = {}
        # The layer in its backward now, and the time when that began.
        self._under_way: tuple[str, float] | None = None

    def now(self) -> float:
        """The time in milliseconds, once the device has finished its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return perf_counter() * 1e3

    def timed(
        self,
        name: str,
        call: Callable[[], object],
        times: dict[str, float],
    ) -> None:
        """Add the time of a call to `times`."""
        start = self.now()
        call()
        times[name] = times.get(name, 0.0) + self.now() - start

    def layer_forward(self, layer: Layer, bottoms: list[Tensor]) -> list[Tensor]:
        """Compute a layer's tops, and time its forward and backward.

        Its backward begins when a top has its gradient, and ends when the next layer's begins.
        """
        tops: list[Tensor] = []
        self.timed(layer.name, lambda: tops.extend(layer.forward(bottoms)), self.forward)
        for top in tops:
            if top.requires_grad:
                top.register_hook(lambda _: self._begin_backward(layer.name))
        return tops

    def _begin_backward(self, name: str) -> None:
        """Note that a layer's backward begins, and so the previous one ends."""
        now = self.now()
        self._end_backward(now)
        self._under_way = (name, now)

    def _end_backward(self, now: float) -> None:
        if self._under_way is not None:
            name, since = self._under_way
            self.backward[name] = self.backward.get(name, 0.0) + now - since
        self._under_way = None

    def forward_pass(self, net: Engine) -> None:
        """Run a forward pass, timed as a whole and layer by layer."""
        self.timed(FORWARD, net.run, self.passes)

    def backward_pass(self, loss: Tensor) -> None:
        """Run a backward pass from `loss`, timed as a whole and layer by layer."""

        def whole() -> None:
            loss.backward()
            self._end_backward(self.now())

        self.timed(BACKWARD, whole, self.passes)


def _fill_with_noise(net: Engine) -> None:
    """Give inputs that hold pictures noise: zeros hide what denormal weights cost.

    Other inputs, such as labels, keep their zeros, which every layer takes.
    """
    draws = torch.Generator().manual_seed(0)
    for name in net.inputs:
        blob = net.blobs[name]
        if len(blob.shape) == 4 and min(blob.shape[2:]) > 1:
            values = torch.rand(blob.shape, generator=draws) * 2 - 1
            with torch.no_grad():
                blob.tensor.copy_(values * PIXELS)


def _warm_up(net: Engine) -> None:
    """Run a first forward and backward pass, which is not timed."""
    _fill_with_noise(net)
    log.info("Performing Forward", at="caffe.cpp:355")
    net.run()
    loss = float(net.loss.detach())
    log.info(f"Initial loss: {log.number(loss)}", at="caffe.cpp:360")
    log.info("Performing Backward", at="caffe.cpp:361")
    if net.loss.requires_grad:
        net.loss.backward()
        return
    phase = pb.Phase.Name(net.phase)
    lacks = "layer has a loss with a gradient"
    log.info(f"No {lacks} in {phase}: there is no backward pass to time, and its times are 0.")


def _measure(net: Engine, watch: _Stopwatch, iterations: int) -> float:
    """Run the forward and backward passes to time. Returns their total time in milliseconds."""
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


def _layer_times(
    net: Engine,
    watch: _Stopwatch,
    iterations: int,
) -> list[LayerTime]:
    found = []
    for layer in net.layer_list:
        name = layer.name
        if name in watch.forward:
            forward = watch.forward[name] / iterations
            backward = watch.backward.get(name, 0.0) / iterations
            found.append(LayerTime(name, forward, backward))
    return found


def _log(found: Timing) -> None:
    log.info("Average time per layer: ", at="caffe.cpp:401")
    for layer in found.layers:
        forward = log.number(layer.forward)
        backward = log.number(layer.backward)
        log.info(f"{layer.name:>10}\tforward: {forward} ms.", at="caffe.cpp:404")
        log.info(f"{layer.name:>10}\tbackward: {backward} ms.", at="caffe.cpp:407")
    both = log.number(found.total / found.iterations)
    log.info(f"Average Forward pass: {log.number(found.forward)} ms.", at="caffe.cpp:412")
    log.info(f"Average Backward pass: {log.number(found.backward)} ms.", at="caffe.cpp:414")
    log.info(f"Average Forward-Backward: {both} ms.", at="caffe.cpp:416")
    log.info(f"Total Time: {log.number(found.total)} ms.", at="caffe.cpp:418")
    log.info("*** Benchmark ends ***", at="caffe.cpp:419")
