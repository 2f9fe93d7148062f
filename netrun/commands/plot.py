"""`netrun plot`: a training log's curves."""

from __future__ import annotations

import argparse

HELP = "draw loss, learning rate and test scores of a training log, netrun's or Caffe's"
EXAMPLES = "netrun plot runs/mine/train.log --out loss.png"
HEAVY = ("netrun.plots.loss_plot",)
LEAST_MEMORY = 1 << 28  # without PyTorch


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add this command's flags."""
    parser.add_argument("file", metavar="LOG", help="training log in glog's format")
    parser.add_argument(
        "--out",
        metavar="FILE",
        default="loss.png",
        help="image to write: png, pdf or svg (default: loss.png)",
    )
    parser.add_argument("--title", default="", help="a line above it")


def run(args: argparse.Namespace) -> int:
    """Draw the log, and print its last and its highest values. Raises CaffeError."""
    from netrun.plots.loss_plot import plot

    found = plot(args.file, args.out, args.title)
    line = f"{args.out}: {len(found.loss)} losses"
    if found.loss:
        last = max(found.loss)
        line += f", the last {found.loss[last]:g} at iteration {last}"
    print(line)
    for name, curve in found.tests.items():
        best = max(curve, key=curve.__getitem__)
        last, value = list(curve.items())[-1]
        print(f"{name}: {value:g} at iteration {last}, highest {curve[best]:g} at {best}")
    return 0
