"""How far a run is, from its folder: solver.prototxt, snapshots/ and train.log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.training import processes, run_log
from netrun.training.run_log import Curve, LoggedScore, RunLog
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike

SOLVER, SNAPSHOTS, LOG = "solver.prototxt", "snapshots", "train.log"
LAST_LOSSES = 10
_WEIGHTS = ("caffemodel", "caffemodel.h5")
_STATES = ("solverstate", "solverstate.h5")


@dataclass(frozen=True)
class RunStatus:
    """How far a run is.

    run: its folder.
    iteration: the last that the log names, or that of the newest weights where that is later.
    max_iter: iterations that the solver asks for; None without solver.prototxt.
    weights, weights_iteration: the newest .caffemodel; None before the first.
    state: the newest .solverstate, from which training resumes; None before the first.
    first_loss: the earliest that was displayed; None before it.
    losses: the last ten displayed losses by iteration.
    scores: every test score, in the log's order.
    ap_version: which average precision the solver asks for; None without solver.prototxt.
    pid: the process that trains the run now; None without one, and where the system is not Linux.
    """

    run: str
    iteration: int
    max_iter: int | None
    weights: str | None
    weights_iteration: int | None
    state: str | None
    first_loss: float | None
    losses: Curve
    scores: tuple[LoggedScore, ...]
    ap_version: str | None
    pid: int | None

    @property
    def loss(self) -> float | None:
        """The last displayed loss."""
        return next(reversed(self.losses.values()), None)

    @property
    def score(self) -> LoggedScore | None:
        """The last test score: a detector's mAP."""
        return self.scores[-1] if self.scores else None

    @property
    def tested(self) -> bool:
        """Whether training itself scored the newest weights."""
        if self.weights_iteration is None:
            return False
        return any(score.iteration == self.weights_iteration for score in self.scores)


@dataclass(frozen=True)
class _Snapshot:
    iteration: int
    path: Path


def status(run: PathLike) -> RunStatus:
    """How far the run in this folder is. Parts of it that are not there yet are None or empty.

    Raises CaffeError where there is no such folder, where the folder has none of a run's files,
    and where its solver or its log cannot be read.
    """
    folder = Path(run)
    if not folder.is_dir():
        raise CaffeError(f"{run}: no such folder")
    solver = _solver(folder)
    weights, state = _newest(folder, solver, _WEIGHTS), _newest(folder, solver, _STATES)
    log_file = folder / LOG
    if solver is None and weights is None and state is None and not log_file.is_file():
        raise CaffeError(f"{run}: not a run's folder: it has no {SOLVER}, {SNAPSHOTS}/ or {LOG}")
    log = run_log.read_growing(log_file) if log_file.is_file() else RunLog()
    losses = list(log.loss.items())
    return RunStatus(
        run=str(run),
        iteration=max(log.latest or 0, weights.iteration if weights else 0),
        max_iter=solver.max_iter if solver is not None else None,
        weights=str(weights.path) if weights else None,
        weights_iteration=weights.iteration if weights else None,
        state=str(state.path) if state else None,
        first_loss=losses[0][1] if losses else None,
        losses=dict(losses[-LAST_LOSSES:]),
        scores=tuple(log.scores),
        ap_version=solver.ap_version if solver is not None else None,
        pid=processes.trainer_of(folder, log_file),
    )


def _solver(folder: Path) -> pb.SolverParameter | None:
    """The solver; of a schedule of several, solver.prototxt is the last."""
    path = folder / SOLVER
    return text.read_solver(path) if path.is_file() else None


def _newest(
    folder: Path, solver: pb.SolverParameter | None, suffixes: tuple[str, ...]
) -> _Snapshot | None:
    """The snapshot of the highest iteration in the run's folder, or where the solver puts them."""
    name = r".+"
    place = folder / SNAPSHOTS
    if solver is not None and solver.snapshot_prefix:
        prefix = Path(solver.snapshot_prefix)
        name = re.escape(prefix.name)
        if not place.is_dir():
            place = _existing(prefix.parent, folder)
    ends = "|".join(map(re.escape, suffixes))
    pattern = re.compile(rf"{name}_iter_(\d+)\.(?:{ends})")
    found = []
    if place.is_dir():
        for path in place.iterdir():
            match = pattern.fullmatch(path.name)
            if match and path.is_file():
                found.append(_Snapshot(int(match[1]), path))
    return max(found, key=lambda snapshot: snapshot.iteration, default=None)


def _existing(place: Path, folder: Path) -> Path:
    """A folder that the solver names: as Caffe takes it, else within the run's own folder."""
    return place if place.is_dir() else folder / place
