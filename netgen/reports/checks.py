"""Checks of nets and solvers; a sound one is summed up in a line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import cautions
from caffe_ir.phase import filter_net
from caffe_ir.rules import Shape, shape_text
from caffe_ir.solver_nets import source_of_train, sources_of_tests
from caffe_ir.text import read_net, read_solver
from netgen.reports.walks import image_shape, or_dash, walk_net
from ssd_common.errors import CaffeError, LayerError, ParseError
from ssd_common.files import read_text

COLUMNS = (
    "file",
    "input",
    "layers",
    "boxes",
    "parameters",
    "frozen",
    "statistics",
    "GMACs/image",
)
_SOLVER_FIELD = r"^[ \t]*(train_net|test_net|net|base_lr|lr_policy|max_iter)[ \t]*:"


@dataclass(frozen=True)
class CheckedNet:
    """A sound net.

    file: as the user named it.
    input: shape of its first image blob (N×C×H×W).
    layers: number of layers.
    boxes: number of prior boxes.
    parameters: number of values that learn.
    frozen: number of values with lr_mult 0.
    statistics: number of values that BatchNorm collects.
    macs: multiply-adds of a forward pass for one image.
    cautions: what may give another result than the one meant, a line each.
    """

    file: str
    input: Shape
    layers: int
    boxes: int
    parameters: int
    frozen: int
    statistics: int
    macs: float
    cautions: tuple[str, ...] = ()

    def row(self) -> tuple[str, ...]:
        """Return the net's row of a table headed by `COLUMNS`."""
        counts = (self.boxes, self.parameters, self.frozen, self.statistics)
        return (
            self.file,
            shape_text(self.input),
            str(self.layers),
            *map(or_dash, counts),
            f"{self.macs / 1e9:.2f}",
        )


@dataclass(frozen=True)
class CheckedSolver:
    """A sound solver whose nets are sound.

    file: as the user named it.
    max_iter: number of iterations.
    base_lr: the learning rate at the start.
    steps: the iterations at which the rate is multiplied by `gamma`.
    gamma: that factor.
    cautions: what may give another result than the one meant, a line each; its nets' too.
    """

    file: str
    max_iter: int
    base_lr: float
    steps: tuple[int, ...]
    gamma: float
    cautions: tuple[str, ...] = ()

    def row(self) -> tuple[str, str]:
        """Return the file, and the solver's schedule in words."""
        what = f"{self.max_iter:,} iterations, lr {self.base_lr:g}"
        if self.steps:
            steps = ", ".join(f"{step:,}" for step in self.steps)
            what += f" {self._fall()} at {steps}"
        return self.file, what

    def _fall(self) -> str:
        if not self.gamma:
            return "to 0"
        return f"÷{1 / self.gamma:g}"


def check(file: str) -> CheckedNet | CheckedSolver:
    """Check a net's or a solver's prototxt, and sum it up.

    Raises ParseError where the file does not parse, or a solver's nets are missing or do not suit
    it; CaffeError where a shape does not fit, or heads and boxes differ in number.
    """
    if is_solver(file):
        return check_solver(file)
    return check_net(file)


def is_solver(file: str) -> bool:
    """Return whether a prototxt has a top-level field that only solvers have.

    Raises ParseError where the file cannot be read.
    """
    content = read_text(file, "replace").replace("\r", "\n")
    return re.search(_SOLVER_FIELD, content, re.MULTILINE) is not None


def check_net(file: str) -> CheckedNet:
    """Check a net. Raises what `check` raises."""
    notes: list[str] = []
    net = read_net(file, notes)
    try:
        found = walk_net(net)
    except LayerError as error:
        raise CaffeError(f"{file}: {error}") from None
    if not found.layers:
        raise ParseError(file, "has no layers")
    shape = image_shape(found)
    images = 1
    if shape:
        images = shape[0]
    return CheckedNet(
        file=file,
        input=shape,
        layers=len(found.layers),
        boxes=found.priors,
        parameters=found.learnable - found.frozen,
        frozen=found.frozen,
        statistics=found.statistics,
        macs=found.macs / images,
        cautions=_with_file(file, [*notes, *_of_both_phases(net)]),
    )


def _of_both_phases(net: pb.NetParameter) -> list[str]:
    """The cautions about a net in TRAIN and in TEST, each once."""
    found: dict[str, None] = {}
    for phase in (pb.TRAIN, pb.TEST):
        found |= dict.fromkeys(cautions.of_net(filter_net(net, phase)))
    return list(found)


def _with_file(file: str, lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{file}: {line}" for line in lines)


def check_solver(file: str) -> CheckedSolver:
    """Check a solver and the nets that it names. Raises what `check` raises."""
    solver = read_solver(file)
    train = solver.train_net or solver.net
    inside = solver.HasField("net_param") or solver.HasField("train_net_param")
    if not train and not inside:
        raise ParseError(file, "names no net to train: train_net or net is missing")
    found: list[str] = []
    for name in filter(None, (train, *solver.test_net)):
        if not os.path.exists(name):
            problem = f"'{name}' is not there (paths count from where Caffe is started)"
            raise ParseError(file, problem)
        if is_solver(name):
            raise ParseError(file, f"names the solver '{name}' where a net should stand")
        found += check_net(name).cautions
    _check_steps(file, solver)
    _check_tests(file, solver)
    found += _with_file(file, _cautions(file, solver))
    return CheckedSolver(
        file=file,
        max_iter=solver.max_iter,
        base_lr=solver.base_lr,
        steps=tuple(solver.stepvalue),
        gamma=solver.gamma,
        cautions=tuple(found),
    )


def _cautions(file: str, solver: pb.SolverParameter) -> list[str]:
    """The cautions about a solver, beside those about its nets.

    Raises ParseError for a test that ends before it has seen every image of a detector.
    """
    try:
        train = source_of_train(solver, None).filtered()
        tests = [source.filtered() for source in sources_of_tests(solver, None)]
    except CaffeError as error:
        raise ParseError(file, str(error)) from None
    for net, passes in zip(tests, solver.test_iter, strict=False):
        covered = cautions.coverage(net, passes, "test_iter: {}")
        if covered and covered.left_out and _evaluates(net):
            raise ParseError(file, str(covered.caution))
    return cautions.of_solver(solver, train, tests)


def _evaluates(net: pb.NetParameter) -> bool:
    return any(layer.type == "DetectionEvaluate" for layer in net.layer)


def _check_steps(file: str, solver: pb.SolverParameter) -> None:
    steps = list(solver.stepvalue)
    if steps != sorted(steps):
        listed = ", ".join(map(str, steps))
        raise ParseError(file, f"stepvalue should rise: {listed}")


def _check_tests(file: str, solver: pb.SolverParameter) -> None:
    nets = len(solver.test_net)
    counts = len(solver.test_iter)
    if nets and counts != nets + len(solver.test_net_param):
        raise ParseError(file, f"{nets} test nets need as many test_iter, not {counts}")
