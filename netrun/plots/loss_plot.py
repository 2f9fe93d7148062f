"""Draws a training log: loss, learning rate and test scores over the iterations."""

from __future__ import annotations

import io
from pathlib import Path

from netrun.training import run_log
from netrun.training.run_log import RunLog
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike, write_atomic


def plot(log: PathLike, out: PathLike = "loss.png", title: str = "") -> RunLog:
    """Draw the curves of a training log, netrun's or Caffe's, into an image file.

    log: in glog's format. out: png, pdf or svg; its folder is made. title: a line above it.
    Returns what the log says.
    Raises CaffeError for a log without an iteration, and for an image that cannot be written.
    """
    found = run_log.read(log)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    draw(found, out, title)
    return found


def draw(curves: RunLog, path: PathLike, title: str = "") -> None:
    """Draw loss, learning rate and test scores over the iterations into an image file, whole or not at all. Raises CaffeError."""
    import matplotlib  # noqa: PLC0415 (slow to import, and needed nowhere else)

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    kind = Path(path).suffix.lstrip(".").lower() or "png"
    figure, axes = pyplot.subplots(1 + bool(curves.tests), sharex=True, figsize=(8, 4.5 + 2.5 * bool(curves.tests)), squeeze=False)
    top = axes[0, 0]
    top.plot(list(curves.loss), list(curves.loss.values()), color="tab:blue", linewidth=1.2, label="loss")
    top.set_ylabel("training loss", color="tab:blue")
    top.grid(alpha=0.3)
    if title:
        top.set_title(title)
    if curves.rate:
        right = top.twinx()
        right.step(list(curves.rate), list(curves.rate.values()), where="post", color="tab:orange", linewidth=1.2)
        right.set_ylabel("learning rate", color="tab:orange")
        if min(curves.rate.values()) > 0:
            right.set_yscale("log")
    if curves.tests:
        for name, curve in curves.tests.items():
            axes[1, 0].plot(list(curve), list(curve.values()), marker="o", markersize=3, label=name)
        best = {name: max(curve.values()) for name, curve in curves.tests.items()}
        axes[1, 0].set_ylabel("mAP" if len(best) == 1 and "eval" in next(iter(best)) else "test score")
        axes[1, 0].legend(loc="best", fontsize="small")
        axes[1, 0].grid(alpha=0.3)
    axes[-1, 0].set_xlabel("iteration")
    figure.tight_layout()
    buffer = io.BytesIO()
    try:
        figure.savefig(buffer, format=kind, dpi=120)
    except ValueError as error:
        raise CaffeError(f"{path}: {error}") from None
    finally:
        pyplot.close(figure)
    write_atomic(path, buffer.getvalue())
