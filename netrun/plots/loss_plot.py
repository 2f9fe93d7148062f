"""Draws a training log: loss, learning rate and test scores over the iterations."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from netrun.training import run_log
from netrun.training.run_log import RunLog
from ssd_common.errors import UsageError
from ssd_common.files import PathLike, write_atomic


def plot(log: PathLike, out: PathLike = "loss.png", title: str = "") -> RunLog:
    """Draw the curves of a training log, netrun's or Caffe's, into an image file.

    log: the log file, in glog's format.
    out: the image file, png, pdf or svg; its folder is made.
    title: a line above the curves.
    Returns the contents of the log.
    Raises CaffeError for a log without an iteration, and for an image that cannot be written.
    """
    found = run_log.read(log)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    draw(found, out, title)
    return found


def draw(log: RunLog, path: PathLike, title: str = "") -> None:
    """Draw loss, learning rate and test scores over the iterations into an image file.

    path: the image file, png, pdf or svg; written atomically.
    title: a line above the curves.
    Raises UsageError for a suffix that no format has, CaffeError where the file cannot be written.
    """
    import matplotlib  # noqa: PLC0415 - slow to import, and needed nowhere else

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    rows = 1
    height = 4.5  # inches
    if log.tests:
        rows = 2
        height = 7.0
    figure, axes = pyplot.subplots(
        rows,
        sharex=True,
        figsize=(8, height),
        squeeze=False,
    )
    _draw_training(axes[0, 0], log, title)
    if log.tests:
        _draw_tests(axes[1, 0], log)
    axes[-1, 0].set_xlabel("iteration")
    figure.tight_layout()
    buffer = io.BytesIO()
    kind = Path(path).suffix.lstrip(".").lower() or "png"
    try:
        figure.savefig(buffer, format=kind, dpi=120)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None
    finally:
        pyplot.close(figure)
    write_atomic(path, buffer.getvalue())


def _draw_training(axes: Any, log: RunLog, title: str) -> None:
    losses = list(log.loss.values())
    axes.plot(
        list(log.loss),
        losses,
        color="tab:blue",
        linewidth=1.2,
        label="loss",
    )
    axes.set_ylabel("training loss", color="tab:blue")
    axes.grid(alpha=0.3)
    if title:
        axes.set_title(title)
    if not log.rate:
        return
    right = axes.twinx()
    rates = list(log.rate.values())
    right.step(
        list(log.rate),
        rates,
        where="post",
        color="tab:orange",
        linewidth=1.2,
    )
    right.set_ylabel("learning rate", color="tab:orange")
    if min(rates) > 0:
        right.set_yscale("log")


def _draw_tests(axes: Any, log: RunLog) -> None:
    for name, curve in log.tests.items():
        axes.plot(
            list(curve),
            list(curve.values()),
            marker="o",
            markersize=3,
            label=name,
        )
    score = "test score"
    if len(log.tests) == 1 and "eval" in next(iter(log.tests)):
        score = "mAP"  # the output of DetectionEvaluate
    axes.set_ylabel(score)
    axes.legend(loc="best", fontsize="small")
    axes.grid(alpha=0.3)
