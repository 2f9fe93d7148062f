"""Reads a training log in glog's format, netrun's or Caffe's: losses, rates and scores."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ssd_common.errors import CaffeError
from ssd_common.files import PathLike, read_text

_NUMBER = r"([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf))"
_ITERATION = re.compile(r"\] Iteration (\d+)")
# Later versions of Caffe put their speed in brackets.
_LOSS = re.compile(r"\] Iteration (\d+) ?(?:\([^)]*\))?, loss = " + _NUMBER)
_RATE = re.compile(r"\] Iteration (\d+), lr = " + _NUMBER)
_TESTING = re.compile(r"\] Iteration (\d+), Testing net \(#(\d+)\)")
_TEST_COMMAND = re.compile(r"\] Running for \d+ iterations\.")
_TEST_OUTPUT = re.compile(r"\] +Test net output #\d+: (\S+) = " + _NUMBER)

Curve = dict[int, float]


@dataclass(frozen=True)
class LoggedScore:
    """One number of a test net.

    output: the net's blob, preceded by the net's number if there are several test nets.
    iteration: the weights' iteration; None from the `test` command, which does not log it.
    """

    output: str
    iteration: int | None
    value: float


@dataclass
class RunLog:
    """The contents of a log, by iteration.

    loss, rate: the displayed values.
    tests: a curve for each output, named as in LoggedScore.
    scores: the same numbers in the log's order, those of the `test` command included.
    latest: the last iteration that the log names; None without one.

    A run that resumes at an iteration removes what the killed run had logged from there on.
    """

    loss: Curve = field(default_factory=dict)
    rate: Curve = field(default_factory=dict)
    tests: dict[str, Curve] = field(default_factory=dict)
    scores: list[LoggedScore] = field(default_factory=list)
    latest: int | None = None
    _testing: int = 0
    _test_net: str = "0"
    _by_command: bool = False

    def read_line(self, line: str) -> None:
        """Read the next line of the log."""
        self._follow(line)
        if match := _LOSS.search(line):
            self.loss[int(match[1])] = float(match[2])
        elif match := _RATE.search(line):
            self.rate[int(match[1])] = float(match[2])
        elif match := _TESTING.search(line):
            self._testing = int(match[1])
            self._test_net = match[2]
            self._by_command = False
        elif _TEST_COMMAND.search(line):
            self._by_command = True
        elif match := _TEST_OUTPUT.search(line):
            self._add_score(match[1], float(match[2]))

    def _follow(self, line: str) -> None:
        """Update `latest`. An earlier iteration means that a run was resumed."""
        match = _ITERATION.search(line)
        if not match:
            return
        iteration = int(match[1])
        if self.latest is not None and iteration < self.latest:
            self._forget_from(iteration)
        self.latest = iteration

    def _add_score(self, blob: str, value: float) -> None:
        output = blob
        if self._test_net != "0":
            output = f"#{self._test_net} {blob}"
        self.tests.setdefault(output, {})[self._testing] = value
        iteration = None
        if not self._by_command:
            iteration = self._testing
        self.scores.append(LoggedScore(output, iteration, value))

    def _forget_from(self, iteration: int) -> None:
        """Forget all values from this iteration on, and scores of the `test` command."""
        for curve in [self.loss, self.rate, *self.tests.values()]:
            for logged in list(curve):
                if logged >= iteration:
                    del curve[logged]
        kept = []
        for score in self.scores:
            if score.iteration is not None and score.iteration < iteration:
                kept.append(score)
        self.scores[:] = kept


def read(path: PathLike) -> RunLog:
    """Read a log that has at least one loss or score.

    Raises CaffeError where the file cannot be read, or has no iteration.
    """
    log = read_lines(read_text(path, "replace").splitlines())
    if not log.loss and not log.tests:
        lacks = "no iteration of a training log in it (netrun writes one with --log)"
        raise CaffeError(f"{path}: {lacks}")
    return log


def read_growing(path: PathLike) -> RunLog:
    """Read a log that a process may be writing, without an incomplete last line.

    Raises CaffeError where the file cannot be read.
    """
    whole, _, _ = read_text(path, "replace").rpartition("\n")
    return read_lines(whole.splitlines())


def read_lines(lines: list[str]) -> RunLog:
    """Read lines of a log, and ignore all other lines."""
    log = RunLog()
    for line in lines:
        log.read_line(line)
    return log
