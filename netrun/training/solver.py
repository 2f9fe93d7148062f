"""Caffe's solver: train a net by its prototxt, test it, snapshot it, resume it (weiliu89/caffe, src/caffe/solver.cpp)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.engine.engine import Engine
from netrun.evaluation import scoring
from netrun.runtime import log, memory
from netrun.runtime.options import DEFAULTS, RunOptions
from netrun.training import snapshot
from netrun.training.actions import Action
from netrun.training.losses import LossWindow, NonFiniteLoss, first_non_finite
from netrun.training.lr_policy import Schedule
from netrun.training.sources import NetBuilder, NetSource, source_of_train, sources_of_tests
from netrun.training.updates import Updater
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

EVAL_TYPES = ("classification", "detection")


class Callback(Protocol):
    """What a solver calls in every iteration.

    Data parallelism is such a callback (netrun.training.distributed): it averages gradients among
    the processes.
    """

    def on_start(self, solver: Solver) -> None:
        """Called before the iteration's first pass."""

    def on_gradients_ready(self, solver: Solver) -> None:
        """Called when all gradients are there and no weight has changed."""


class Solver:
    """One training run.

    param: a solver prototxt, or its message. path: the file that the message came from.
    device: where to compute (None: where net_class puts a net; Engine: on the CPU).
    options: how the run computes; only rank 0 tests and writes snapshots. The prototxt's
        random_seed goes before the options' seed, so that a resumed run can repeat its draws
        without either (Caffe seeds by the clock).
    net_class: what nets are made of, Engine or a class on top of it.

    net: the train net. test_nets: they use the train net's own tensors.
    iter: how often the weights have been updated.

    Raises CaffeError where the solver, its nets or their data are wrong, before anything is
    trained or written.
    """

    def __init__(
        self,
        param: pb.SolverParameter | str | Path,
        device: torch.device | str | None = None,
        path: str | Path | None = None,
        *,
        options: RunOptions = DEFAULTS,
        net_class: type[Engine] = Engine,
    ) -> None:
        if not isinstance(param, pb.SolverParameter):
            path, param = param, text.read_solver(param)
        folder = Path(path).parent if path is not None else None
        self.param = param
        self.root, self.alone = options.rank == 0, options.world == 1
        _check(param)
        self.schedule = Schedule(param)
        train = source_of_train(param, folder)
        tests = sources_of_tests(param, folder) if self.root else []
        if self.root:
            log.info(f"Initializing solver from parameters:\n{text.dumps(param)}", at="solver.cpp:63")

        if param.random_seed >= 0:
            options = replace(options, seed=param.random_seed)
        builder = NetBuilder(net_class, device, options)
        log.info(f"Creating training net from {train.origin}", at="solver.cpp:107")
        self.net = builder.build(train, debug_info=train.net.debug_info)
        self.updater = Updater(param, self.net.learnable)
        self.test_nets: Sequence[Engine] = self._built(tests, builder)
        if self.root:
            snapshot.prepare(param, self.net)  # only now: a net that cannot be built leaves no folder behind
        log.info("Solver scaffolding done.", at="solver.cpp:75")
        self.iter = 0
        self.callbacks: list[Callback] = []
        self.requested_action: Callable[[], Action] = lambda: Action.NONE
        self.agree: Callable[[Action], Action] = lambda action: action  # among processes that train together
        self.last_snapshot: str | None = None
        self._losses = LossWindow(param.average_loss)
        self._kept_iter: int | None = None
        self._resumed = False
        self._stopping = False
        self._asked: list[Action] = []  # during a test, and not for this process to decide alone

    def _built(self, tests: Sequence[NetSource], builder: NetBuilder) -> list[Engine]:
        nets = []
        for i, source in enumerate(tests):
            log.info(f"Creating test net (#{i}) specified by {source.origin}", at="solver.cpp:197")
            nets.append(builder.build(source, debug_info=self.param.debug_info))
        return nets

    # ---- running

    def solve(self, resume_file: str | Path | None = None) -> bool:
        """Train up to max_iter, with tests, snapshots and the last look at the loss that Caffe takes. False: stopped early."""
        log.info(f"Solving {self.net.name}", at="solver.cpp:294")
        log.info(f"Learning Rate Policy: {self.param.lr_policy}", at="solver.cpp:295")
        self._stopping = False
        if resume_file is not None:
            self.restore(resume_file)
        with log.Progress(self.iter, self.param.max_iter, show=self.root) as progress:
            self.step(self.param.max_iter - self.iter, progress.step)
        if self._kept_iter != self.iter and (self._stopping or self.param.snapshot_after_train):
            self.snapshot()
        if self._stopping:
            log.info("Optimization stopped early.", at="solver.cpp:316")
            return False
        if self.param.display and self.iter % self.param.display == 0:
            self.net.run()
            self._losses.push(self.net.loss)
            log.info(f"Iteration {self.iter}, loss = {log.number(self._smoothed_loss())}", at="solver.cpp:332")
        if self._test_due():
            self.test_all()
        log.info("Optimization Done.", at="solver.cpp:337")
        return True

    def step(self, iterations: int, progress: Callable[[], object] = lambda: None) -> None:
        """Train for so many iterations, or until stopped. progress: called after each of them.

        Raises CaffeError where the loss is not finite any more.
        """
        stop = self.iter + iterations
        if not self._resumed:
            self._losses = LossWindow(self.param.average_loss)
        self._resumed = False
        while self.iter < stop:
            if self._test_due() and (self.iter > 0 or self.param.test_initialization):
                self.test_all()
                if self._stopping:
                    break
            self._iterate()
            progress()
            action = self.agree(self._asked.pop() if self._asked else self.requested_action())
            if action is Action.SNAPSHOT or (self.param.snapshot and self.iter % self.param.snapshot == 0):
                self.snapshot()
            if action is Action.STOP:
                self._stopping = True
                break
        if self._losses.waiting:
            self._smoothed_loss()

    def _iterate(self) -> None:
        """One iteration: iter_size passes forward and backward, then one update."""
        self.updater.clear()
        for callback in self.callbacks:
            callback.on_start(self)
        display = bool(self.param.display) and self.iter % self.param.display == 0
        show = display and self.param.debug_info and self.root
        total: Tensor | None = None
        for _ in range(self.param.iter_size):
            outputs = self.net.run_and_show_both() if show else self._pass()
            loss = self.net.loss
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None
        self._losses.push(total / self.param.iter_size)
        if self._losses.waiting >= LossWindow.PATIENCE or total.device.type == "cpu":
            self._smoothed_loss()
        if display and self.root:
            log.info(f"Iteration {self.iter}, loss = {log.number(self._smoothed_loss())}", at="solver.cpp:243")
            for i, (name, weight, value) in enumerate(scoring.numbers(self.net, outputs)):
                log.info(f"    Train net output #{i}: {name} = {scoring.weighted(value, weight)}", at="solver.cpp:259")
        for callback in self.callbacks:
            callback.on_gradients_ready(self)
        rate = self.schedule.rate(self.iter, self._smoothed_loss() if self.param.lr_policy == "plateau" else 0.0)
        if display and self.root:
            log.info(f"Iteration {self.iter}, lr = {log.number(rate)}", at="sgd_solver.cpp:138")
        self.updater.apply(rate, self.iter)
        self.iter += 1

    def _pass(self) -> dict[str, Tensor]:
        """A pass forward and backward; the outputs."""
        outputs = self.net.run(show=False)
        loss = self.net.loss
        if loss.requires_grad:
            loss.backward()
        return outputs

    def _smoothed_loss(self) -> float:
        try:
            return self._losses.value()
        except NonFiniteLoss as error:
            culprit = first_non_finite(self.net)
            last = self.last_snapshot if self.root else snapshot.latest(self.param.snapshot_prefix)
            kept = f"the last good snapshot is {last}" if last else "this run has no snapshot yet"
            at = self.iter - error.passes_ago
            raise CaffeError(f"iteration {at}: the loss is {error.loss:g}; first non-finite blob: {culprit}; {kept}") from None

    # ---- testing

    def _test_due(self) -> bool:
        return self.root and bool(self.param.test_interval) and self.iter % self.param.test_interval == 0

    def test_all(self) -> None:
        """Score every test net with the present weights and log it as Caffe does; a signal in between is obeyed."""
        for i, (net, iterations) in enumerate(zip(self.test_nets, self.param.test_iter, strict=True)):
            where = "solver.cpp:433" if self.param.eval_type == "detection" else "solver.cpp:358"
            log.info(f"Iteration {self.iter}, Testing net (#{i})", at=where)
            net.share_from(self.net)
            result = scoring.score(net, iterations, self.param.eval_type, self._obey)
            if result is None:
                log.info("Test interrupted.", at="solver.cpp:407")
                return
            if self.param.test_compute_loss:
                log.info(f"Test loss: {log.number(result.loss)}", at="solver.cpp:412")
            scoring.report(result, self.param)

    def _obey(self) -> bool:
        """Between test batches: do what signals ask for; False to give the test up.

        Other processes wait for the next update: with them the run stops after it.
        """
        while (action := self.requested_action()) is not Action.NONE:
            if action is Action.SNAPSHOT:
                self.snapshot()
            elif self.alone:
                self._stopping = True
            else:
                self._asked.append(action)
        return not (self._stopping or self._asked)

    # ---- on disk

    def snapshot(self) -> str | None:
        """Write the run to snapshot_prefix; the path of the `.solverstate`, or None in a process that writes none.

        Raises CaffeError, and leaves what is there, where weights are not finite, the disk refuses or memory runs out.
        """
        if not self.root:
            return None
        if self._losses.waiting:
            self._smoothed_loss()
        kept = f" (the last good snapshot is {self.last_snapshot})" if self.last_snapshot else ""
        if bad := next((p for p in self.net.learnable if not p.tensor.isfinite().all()), None):
            raise CaffeError(f"iteration {self.iter}: not writing a snapshot: blob {bad.index} of layer '{bad.layer}' is not finite{kept}")
        try:
            plateau = self.param.lr_policy == "plateau" and self.param.average_loss > 1
            losses = self._losses if plateau else None
            self.last_snapshot = snapshot.write(self.param, self.iter, self.net, self.updater.history, self.schedule, losses=losses)
        except CaffeError as error:
            raise CaffeError(f"{error}{kept}") from None
        except Exception as error:
            if not memory.exhausted(error):
                raise
            raise CaffeError(f"iteration {self.iter}: out of memory while writing a snapshot, which is not there{kept}") from None
        self._kept_iter = self.iter
        return self.last_snapshot

    def restore(self, path: str | Path) -> None:
        """Continue a run from a `.solverstate`, with the data and the random draws that come next. Raises CaffeError."""
        log.info(f"Restoring previous solver status from {path}", at="solver.cpp:301")
        state = snapshot.read(path)
        self.updater.restore(state.history)
        if state.model is not None:
            self.net.copy_from(state.model)
        log.info("SGDSolver: restoring history", at="sgd_solver.cpp:356")
        self.iter = state.iteration
        self.schedule.current_step = state.current_step
        self.schedule.minimum_loss, self.schedule.last_event = state.minimum_loss, state.last_event
        self._losses = LossWindow(self.param.average_loss)
        if state.losses:
            self._losses.restore(state.losses)
        self._resumed = True
        self.net.seek(self.iter * self.param.iter_size)
        self.last_snapshot = str(path)

    def copy_from(self, weights: str) -> None:
        """Start from trained weights: one `.caffemodel`, or several separated by commas. Raises CaffeError."""
        for path in weights.split(","):
            log.info(f"Finetuning from {path}", at="caffe.cpp:155")
            for name in self.net.copy_from(path):
                log.info(f"Ignoring source layer {name}", at="net.cpp:761")
            for net in self.test_nets:  # they may have layers that the train net has not
                net.copy_from(path)

    def close(self) -> None:
        """Let go of data files and threads."""
        for net in [self.net, *self.test_nets]:
            net.close()


def _check(param: pb.SolverParameter) -> None:
    """Refuse, before a net is built, what would stop the run later."""
    snapshot.check(param)
    if param.average_loss < 1:
        raise CaffeError(f"solver: average_loss must be at least 1, not {param.average_loss}")
    if param.iter_size < 1:
        raise CaffeError(f"solver: iter_size must be at least 1, not {param.iter_size}")
    if param.eval_type not in EVAL_TYPES:
        raise CaffeError(f"solver: unknown eval_type '{param.eval_type}'{suggest(param.eval_type, EVAL_TYPES)}")
    if param.eval_type == "detection" and param.ap_version not in scoring.AP_VERSIONS:
        raise CaffeError(f"solver: unknown ap_version '{param.ap_version}'{suggest(param.ap_version, scoring.AP_VERSIONS)}")
