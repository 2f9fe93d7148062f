"""Caffe's solver: train a net by its prototxt, test it, snapshot it, resume it.

Source: weiliu89/caffe, src/caffe/solver.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.solver_nets import NetSource, folder_of, source_of_train, sources_of_tests
from netrun.engine.engine import Engine
from netrun.runtime import log
from netrun.runtime.options import DEFAULTS, RunOptions
from netrun.training import passes, snapshot, testing
from netrun.training.actions import Action
from netrun.training.callback import Callback, Processes
from netrun.training.checks import check, check_weights, warn
from netrun.training.losses import LossWindow, NonFiniteLoss, first_non_finite, remedy
from netrun.training.lr_policy import Schedule
from netrun.training.net_builder import NetBuilder
from netrun.training.updates import Updater
from ssd_common.errors import CaffeError
from ssd_common.locks import Lock


class Solver:
    """One training run.

    param: a solver prototxt, or its message.
    path: the file of the message.
    device: where to compute (None: net_class decides; Engine: on the CPU).
    options: how the run computes; only rank 0 tests and writes snapshots. The prototxt's
        random_seed overrides the options' seed. Without either, a resumed run still repeats its
        draws (Caffe seeds by the clock).
    net_class: the class of the nets, Engine or a subclass.

    net: the train net.
    test_nets: the test nets, which use the train net's own tensors.
    iter: how often the weights have been updated.

    Raises CaffeError where the solver, its nets or their data are wrong, before it trains or writes
    anything.
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
            path = param
            param = text.read_solver(param)
        self.param = param
        self.root = options.rank == 0
        self.alone = options.world == 1
        check(param)
        self.schedule = Schedule(param)
        self._build_nets(folder_of(path), net_class, device, options)
        log.info("Solver scaffolding done.", at="solver.cpp:75")
        self.iter = 0
        self._callbacks: list[Callback] = []
        self._requested_action: Callable[[], Action] = lambda: Action.NONE
        self._processes: Processes | None = None
        self.last_snapshot: str | None = None
        self._losses = LossWindow(param.average_loss)
        self._kept_iter: int | None = None  # the last snapshot's iteration
        self._resumed = False
        self._stopping = False
        self._lock: Lock | None = None
        self._asked: list[Action] = []  # during a test; all processes must agree on these

    def _build_nets(
        self,
        folder: Path | None,
        net_class: type[Engine],
        device: torch.device | str | None,
        options: RunOptions,
    ) -> None:
        """Build the train net, its updater and, in rank 0, the test nets."""
        param = self.param
        train = source_of_train(param, folder)
        tests: list[NetSource] = []
        if self.root:
            tests = sources_of_tests(param, folder)
            parameters = text.dumps(param)
            log.info(f"Initializing solver from parameters:\n{parameters}", at="solver.cpp:63")
        if param.random_seed >= 0:
            options = replace(options, seed=param.random_seed)
        builder = NetBuilder(net_class, device, options)
        log.info(f"Creating training net from {train.origin}", at="solver.cpp:107")
        self.net = builder.build(train, debug_info=train.net.debug_info)
        self.updater = Updater(param, self.net.learnable)
        self.test_nets: Sequence[Engine] = self._build_tests(tests, builder)
        if self.root:
            # Only now, so that a net that cannot be built leaves no folder behind.
            snapshot.prepare(param, self.net)
            warn(param, train, tests)

    def _build_tests(self, tests: Sequence[NetSource], builder: NetBuilder) -> list[Engine]:
        nets = []
        for i, source in enumerate(tests):
            log.info(f"Creating test net (#{i}) specified by {source.origin}", at="solver.cpp:197")
            nets.append(builder.build(source, debug_info=self.param.debug_info))
        return nets

    # ---- who takes part

    def call(self, callback: Callback) -> None:
        """Call `callback` in every iteration."""
        self._callbacks.append(callback)

    def listen(self, requested_action: Callable[[], Action]) -> None:
        """Ask `requested_action` what to do, after each iteration and each batch of a test."""
        self._requested_action = requested_action

    def join(self, processes: Processes) -> None:
        """Be one of several processes, which average gradients and agree on actions."""
        self.call(processes)
        self._processes = processes

    def claim(self) -> None:
        """Keep other processes off snapshot_prefix, until solve() returns or close() is called.

        solve(), step() and snapshot() do it themselves.
        Raises CaffeError where another process trains to the same snapshot_prefix.
        """
        if self.root and self._lock is None:
            self._lock = snapshot.claim(self.param)

    # ---- running

    def solve(self, resume_file: str | Path | None = None) -> bool:
        """Train up to max_iter, with tests, snapshots and Caffe's final display of the loss.

        resume_file: a `.solverstate` to start from.
        Returns False where the run stopped early. Raises CaffeError, as step() and snapshot() do.
        """
        self.claim()
        try:
            return self._solve(resume_file)
        finally:
            self._lock = None

    def _solve(self, resume_file: str | Path | None) -> bool:
        log.info(f"Solving {self.net.name}", at="solver.cpp:294")
        log.info(f"Learning Rate Policy: {self.param.lr_policy}", at="solver.cpp:295")
        self._stopping = False
        if resume_file is not None:
            self.restore(resume_file)
        with log.Progress(self.iter, self.param.max_iter, show=self.root) as progress:
            self.step(self.param.max_iter - self.iter, progress.step)
        keep = self._stopping or self.param.snapshot_after_train
        if keep and self._kept_iter != self.iter:
            self.snapshot()
        if self._stopping:
            log.info("Optimization stopped early.", at="solver.cpp:316")
            return False
        if self._displays():
            self.net.run()
            self._losses.push(self.net.loss)
            loss = log.number(self._smoothed_loss())
            log.info(f"Iteration {self.iter}, loss = {loss}", at="solver.cpp:332")
        if self._test_due():
            self.test_all()
        log.info("Optimization Done.", at="solver.cpp:337")
        return True

    def step(
        self,
        iterations: int,
        progress: Callable[[], object] = lambda: None,
    ) -> None:
        """Train for this many iterations, or until stopped.

        progress: called after each iteration.
        Raises CaffeError where the loss is no longer finite, and as claim() does.
        """
        self.claim()
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
            action = self._next_action()
            if action is Action.SNAPSHOT or self._snapshot_due():
                self.snapshot()
            if action is Action.STOP:
                self._stopping = True
                break
        if self._losses.waiting:
            self._smoothed_loss()

    def _next_action(self) -> Action:
        """What to do after this iteration: several processes agree on one action."""
        action = self._own_action()
        if self._processes is None:
            return action
        return self._processes.agree(action)

    def _own_action(self) -> Action:
        """What this process was asked for."""
        if self._asked:
            return self._asked.pop()
        return self._requested_action()

    def _snapshot_due(self) -> bool:
        return bool(self.param.snapshot) and self.iter % self.param.snapshot == 0

    def _displays(self) -> bool:
        """Tell whether the solver displays this iteration."""
        return bool(self.param.display) and self.iter % self.param.display == 0

    def _iterate(self) -> None:
        """Run one iteration: iter_size forward and backward passes, then one update."""
        self.updater.clear()
        for callback in self._callbacks:
            callback.on_start()
        display = self._displays()
        show = display and self.param.debug_info and self.root
        outputs, loss = passes.run(self.net, self.param.iter_size, show)
        self._losses.push(loss)
        if self._losses.waiting >= LossWindow.PATIENCE or loss.device.type == "cpu":
            self._smoothed_loss()
        if display and self.root:
            smoothed = log.number(self._smoothed_loss())
            log.info(f"Iteration {self.iter}, loss = {smoothed}", at="solver.cpp:243")
            passes.log_outputs(self.net, outputs)
        for callback in self._callbacks:
            callback.on_gradients_ready()
        plateau_loss = 0.0
        if self.param.lr_policy == "plateau":
            plateau_loss = self._smoothed_loss()
        rate = self.schedule.rate(self.iter, plateau_loss)
        if display and self.root:
            log.info(f"Iteration {self.iter}, lr = {log.number(rate)}", at="sgd_solver.cpp:138")
        self.updater.apply(rate, self.iter)
        self.iter += 1

    def _smoothed_loss(self) -> float:
        try:
            return self._losses.value()
        except NonFiniteLoss as error:
            culprit = first_non_finite(self.net)
            iteration = self.iter - error.passes_ago
            found = f"the loss is {error.loss:g}; first non-finite blob: {culprit}"
            advice = f"{remedy(self.net, self.param.base_lr)}; {self._newest_snapshot()}"
            raise CaffeError(f"iteration {iteration}: {found}; {advice}") from None

    def _newest_snapshot(self) -> str:
        """Describe the snapshot from which a failed run can continue."""
        last = self.last_snapshot
        if not self.root:
            last = snapshot.latest(self.param.snapshot_prefix)
        if not last:
            return "this run has no snapshot yet"
        return f"the last good snapshot is {last}"

    # ---- testing

    def _test_due(self) -> bool:
        interval = self.param.test_interval
        return self.root and bool(interval) and self.iter % interval == 0

    def test_all(self) -> None:
        """Score every test net with the present weights, and log the scores as Caffe does.

        The solver obeys signals during the test. Raises CaffeError for outputs without a score.
        """
        testing.score_all(self.test_nets, self.net, self.param, self.iter, self._obey)

    def _obey(self) -> bool:
        """Between test batches, do what signals ask for; return False to stop the test.

        Other processes wait for the next update, so a run of several stops only after it.
        """
        while (action := self._requested_action()) is not Action.NONE:
            if action is Action.SNAPSHOT:
                self.snapshot()
            elif self.alone:
                self._stopping = True
            else:
                self._asked.append(action)
        return not (self._stopping or self._asked)

    # ---- on disk

    def snapshot(self) -> str | None:
        """Write the run to snapshot_prefix.

        Returns the path of the `.solverstate`, or None in a process that writes none.
        Raises CaffeError where weights are not finite, the disk refuses or memory runs out, and as
        claim() does; existing snapshots stay.
        """
        if not self.root:
            return None
        self.claim()
        if self._losses.waiting:
            self._smoothed_loss()
        kept = ""
        if self.last_snapshot:
            kept = f" (the last good snapshot is {self.last_snapshot})"
        check_weights(self.net, self.iter, self.param.base_lr, kept)
        with snapshot.errors_named(self.iter, kept):
            self.last_snapshot = self._write_snapshot()
        self._kept_iter = self.iter
        return self.last_snapshot

    def _write_snapshot(self) -> str:
        losses = None
        if self.param.lr_policy == "plateau" and self.param.average_loss > 1:
            losses = self._losses
        return snapshot.write(
            self.param,
            self.iter,
            self.net,
            self.updater.history,
            self.schedule,
            losses=losses,
        )

    def restore(self, path: str | Path) -> None:
        """Continue a run from a `.solverstate`, with the data and random draws that come next.

        Raises CaffeError where the state or its weights cannot be read, or belong to another net.
        """
        log.info(f"Restoring previous solver status from {path}", at="solver.cpp:301")
        state = snapshot.read(path)
        self.updater.restore(state.history)
        if state.model is not None:
            self.net.copy_from(state.model)
        log.info("SGDSolver: restoring history", at="sgd_solver.cpp:356")
        self.iter = state.iteration
        self.schedule.restore(state.current_step, state.minimum_loss, state.last_event)
        self._losses = LossWindow(self.param.average_loss)
        if state.losses:
            self._losses.restore(state.losses)
        self._resumed = True
        self.net.seek(self.iter * self.param.iter_size)
        self.last_snapshot = str(path)

    def copy_from(self, weights: str) -> None:
        """Start from trained weights: one `.caffemodel`, or several separated by commas.

        Raises CaffeError for files that cannot be read, do not fit or belong to another net.
        """
        paths = weights.split(",")
        copied = []
        for path in paths:
            log.info(f"Finetuning from {path}", at="caffe.cpp:155")
            copied.append(self.net.copy_layers(path))
            for net in self.test_nets:  # test nets may have layers that the train net lacks
                net.copy_layers(path)
        self.net.check_copied(copied, paths)
        for net in self.test_nets:
            net.warn_of_missing(paths, besides=self.net.params)

    def close(self) -> None:
        """Close data files, stop threads, and let other processes write to snapshot_prefix."""
        self._lock = None
        for net in [self.net, *self.test_nets]:
            net.close()
