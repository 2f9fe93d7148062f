"""Training curves out of a glog-format log, netrun's or Caffe's, and their picture."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from pathlib import Path

from ssd_common.errors import CaffeError
from ssd_common.files import write_atomic

_NUMBER = r"([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf))"
_ITERATION = re.compile(r"\] Iteration (\d+)")
_LOSS = re.compile(r"\] Iteration (\d+) ?(?:\([^)]*\))?, loss = " + _NUMBER)  # later Caffes put their speed in brackets
_RATE = re.compile(r"\] Iteration (\d+), lr = " + _NUMBER)
_TESTING = re.compile(r"\] Iteration (\d+), Testing net \(#(\d+)\)")
_TEST_OUTPUT = re.compile(r"\] +Test net output #\d+: (\S+) = " + _NUMBER)

Curve = dict[int, float]


@dataclass
class Curves:
    """Values by iteration. tests: by output name, with the net's number in front where there are several test nets.

    Where a run was resumed, an iteration's later value stands, and what a killed run had logged beyond it is gone.
    """

    loss: Curve = field(default_factory=dict)
    rate: Curve = field(default_factory=dict)
    tests: dict[str, Curve] = field(default_factory=dict)

    def _forget_from(self, iteration: int) -> None:
        for curve in [self.loss, self.rate, *self.tests.values()]:
            for later in [i for i in curve if i >= iteration]:
                del curve[later]


def read(path: str | Path) -> Curves:
    """The curves of a log. Raises CaffeError where there is no such file, or no iteration in it."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CaffeError(f"{path}: {error.strerror}") from None
    curves = Curves()
    testing, net = 0, "0"
    latest = -1
    for line in text.splitlines():
        if match := _ITERATION.search(line):
            iteration = int(match[1])
            if iteration < latest:
                curves._forget_from(iteration)
            latest = iteration
        if match := _LOSS.search(line):
            curves.loss[int(match[1])] = float(match[2])
        elif match := _RATE.search(line):
            curves.rate[int(match[1])] = float(match[2])
        elif match := _TESTING.search(line):
            testing, net = int(match[1]), match[2]
        elif match := _TEST_OUTPUT.search(line):
            name = match[1] if net == "0" else f"#{net} {match[1]}"
            curves.tests.setdefault(name, {})[testing] = float(match[2])
    if not curves.loss and not curves.tests:
        raise CaffeError(f"{path}: no iteration of a training log in it (netrun writes one with --log)")
    return curves


def plot(curves: Curves, path: str | Path, title: str = "") -> None:
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
