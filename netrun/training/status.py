"""Finds a run's progress from its folder: solver.prototxt, snapshots/ and train.log."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.training import processes, run_log
from netrun.training.run_log import Curve, LoggedScore, RunLog
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike

# Names in a run's folder.
SOLVER = "solver.prototxt"
SNAPSHOTS = "snapshots"
LOG = "train.log"

LAST_LOSSES = 10


@dataclass(frozen=True)
class Snapshot:
    """A file that training wrote.

    iteration: the number of updates before it.
    """

    path: str
    iteration: int


@dataclass(frozen=True)
class RunStatus:
    """The progress of a run.

    run: the run's folder.
    solver: its solver prototxt; in a schedule of several, the last. None without one.
    newest_weights: the .caffemodel of the highest iteration; None before the first.
    newest_state: the .solverstate of the highest iteration; None before the first.
    log: the contents of train.log; empty without one.
    pid: the process that now trains the run; None without one, and on systems other than Linux.
    """

    run: str
    solver: pb.SolverParameter | None = field(repr=False)
    newest_weights: Snapshot | None
    newest_state: Snapshot | None
    log: RunLog
    pid: int | None

    @property
    def iteration(self) -> int:
        """The last iteration that the log or the newest weights name."""
        return max(self.log.latest or 0, self.weights_iteration or 0)

    @property
    def max_iter(self) -> int | None:
        """How many iterations the solver asks for; None without a solver."""
        if self.solver is None:
            return None
        return self.solver.max_iter

    @property
    def ap_version(self) -> str | None:
        """The version of average precision that the solver asks for; None without a solver."""
        if self.solver is None:
            return None
        return self.solver.ap_version

    @property
    def weights(self) -> str | None:
        """The newest .caffemodel; None before the first."""
        if self.newest_weights is None:
            return None
        return self.newest_weights.path

    @property
    def weights_iteration(self) -> int | None:
        """The iteration of the newest weights; None before the first."""
        if self.newest_weights is None:
            return None
        return self.newest_weights.iteration

    @property
    def state(self) -> str | None:
        """The newest .solverstate, from which training resumes; None before the first."""
        if self.newest_state is None:
            return None
        return self.newest_state.path

    @property
    def first_loss(self) -> float | None:
        """The earliest displayed loss; None before it."""
        return next(iter(self.log.loss.values()), None)

    @property
    def losses(self) -> Curve:
        """The last ten displayed losses by iteration."""
        return dict(list(self.log.loss.items())[-LAST_LOSSES:])

    @property
    def loss(self) -> float | None:
        """The last displayed loss; None before the first."""
        return next(reversed(self.log.loss.values()), None)

    @property
    def scores(self) -> tuple[LoggedScore, ...]:
        """Every test score, in the log's order."""
        return tuple(self.log.scores)

    @property
    def score(self) -> LoggedScore | None:
        """The last test score, for a detector its mAP; None before the first."""
        if not self.scores:
            return None
        return self.scores[-1]

    @property
    def tested(self) -> bool:
        """Whether training itself scored the newest weights."""
        if self.weights_iteration is None:
            return False
        return any(score.iteration == self.weights_iteration for score in self.scores)


def status(run: PathLike) -> RunStatus:
    """Find the progress of the run in this folder.

    Returns None or empty values for files that do not exist yet.
    Raises CaffeError where the folder does not exist or has none of a run's files, and where its
    solver or its log cannot be read.
    """
    folder = Path(run)
    if not folder.is_dir():
        raise CaffeError(f"{run}: no such folder")
    solver = _solver(folder)
    weights = _newest(folder, solver, "caffemodel")
    state = _newest(folder, solver, "solverstate")
    log_file = folder / LOG
    has_log = log_file.is_file()
    empty = solver is None and weights is None and state is None
    if empty and not has_log:
        lacks = f"it has no {SOLVER}, {SNAPSHOTS}/ or {LOG}"
        raise CaffeError(f"{run}: not a run's folder: {lacks}")
    log = RunLog()
    if has_log:
        log = run_log.read_growing(log_file)
    return RunStatus(
        run=str(run),
        solver=solver,
        newest_weights=weights,
        newest_state=state,
        log=log,
        pid=processes.trainer_of(folder, log_file),
    )


def _solver(folder: Path) -> pb.SolverParameter | None:
    """The solver; in a schedule of several, solver.prototxt is the last."""
    path = folder / SOLVER
    if not path.is_file():
        return None
    return text.read_solver(path)


def _newest(
    folder: Path,
    solver: pb.SolverParameter | None,
    kind: str,
) -> Snapshot | None:
    """The file of the highest iteration in the run's folder, or where its solver puts them."""
    name = ".+"
    place = folder / SNAPSHOTS
    if solver is not None and solver.snapshot_prefix:
        parent, prefix = os.path.split(solver.snapshot_prefix)
        name = re.escape(prefix)
        if not place.is_dir():
            place = _existing(Path(parent), folder)
    if not place.is_dir():
        return None
    pattern = re.compile(rf"{name}_iter_(\d+)\.{kind}(?:\.h5)?")
    found = []
    for path in place.iterdir():
        match = pattern.fullmatch(path.name)
        if match and path.is_file():
            found.append(Snapshot(str(path), int(match[1])))
    return max(found, key=lambda snapshot: snapshot.iteration, default=None)


def _existing(place: Path, folder: Path) -> Path:
    """Find a folder that the solver names: as Caffe does, or else within the run's own folder."""
    if place.is_dir():
        return place
    return folder / place
