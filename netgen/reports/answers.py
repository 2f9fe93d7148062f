"""The facts of a detector that `netgen build ID --print KEY` prints for a shell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netgen.run import Run

# Work of two processor cores in a minute or two, in GMACs of forward passes.
_TRIAL_GMACS = 1600
_SMALL_GMACS = 60  # a net below this has room for two images at a time


@dataclass(frozen=True)
class Answer:
    """The answer to one KEY.

    what: a few words for the help.
    lines: takes a run and returns the values to print, one a line.
    """

    what: str
    lines: Callable[[Run], Sequence[object]]


def trial_size(run: Run) -> tuple[int, int]:
    """Size a trial that takes two processor cores a minute or two.

    Returns the batch (images) and the iterations (2 to 20).
    """
    from netgen.reports.walks import walk_net  # noqa: PLC0415

    macs = walk_net(run.build("deploy"), "deploy").macs
    gmacs = round(macs / 1e9, 2)
    batch = 1
    if gmacs < _SMALL_GMACS:
        batch = 2
    step_gmacs = max(gmacs, 0.01) * batch
    iterations = int(_TRIAL_GMACS / step_gmacs)
    return batch, min(max(iterations, 2), 20)


def net_changed(run: Run) -> bool:
    """Return whether the run's folder holds another training net; batch sizes are not compared.

    Snapshots of another net do not fit the detector as it is now.
    """
    from caffe_ir.text import read_net  # noqa: PLC0415
    from caffe_ir.upgrade import upgrade_net  # noqa: PLC0415
    from ssd_common.errors import CaffeError  # noqa: PLC0415

    file = Path(run.net_folder) / "train.prototxt"
    if not file.exists():
        return False
    try:
        before = read_net(str(file))
    except CaffeError:
        return True
    after = run.build("train")
    upgrade_net(after)  # as the one that was read
    for net in (before, after):
        for layer in net.layer:
            layer.data_param.ClearField("batch_size")
    return before != after


def _sources(run: Run) -> list[str]:
    data = run.dataset
    return [data.path(data.train_lmdb), data.path(data.test_lmdb)]


def _weights(run: Run) -> list[str]:
    from netgen.starts import found_weights  # noqa: PLC0415

    return [found_weights(run)]


def _starts_from(run: Run) -> list[str]:
    from netgen.starts import start_id  # noqa: PLC0415

    return [start_id(run)]


def _trial(run: Run) -> list[int]:
    return list(trial_size(run))


def _changed(run: Run) -> list[str]:
    if net_changed(run):
        return ["yes"]
    return ["no"]


KEYS = {
    "id": Answer("full zoo id", lambda run: [run.id]),
    "sources": Answer("LMDBs that the nets read, to train and to test", _sources),
    "test_lmdb": Answer("the second of them", lambda run: _sources(run)[1:]),
    "weights": Answer("file that training starts from", _weights),
    "starts_from": Answer("zoo id whose run makes them, or an empty line", _starts_from),
    "max_iter": Answer("iterations", lambda run: [run.schedule.max_iter]),
    "batch": Answer("images per iteration", lambda run: [run.plan.effective]),
    "trial": Answer("batch and iterations of a trial on a CPU, two lines", _trial),
    "net_changed": Answer("yes or no: snapshots in --out are of another net", _changed),
}
