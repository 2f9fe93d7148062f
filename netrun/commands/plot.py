"""Draw loss, learning rate and test scores of a training log, netrun's or Caffe's.

example: netrun plot runs/mine/train.log --out loss.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

from netrun.plots import loss_plot
from netrun.training import run_log


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="LOG", help="training log in glog's format")
    parser.add_argument("--out", metavar="FILE", default="loss.png", help="image to write: png, pdf or svg (default: loss.png)")
    parser.add_argument("--title", default="", help="a line above it")


def run(args: argparse.Namespace) -> int:
    found = run_log.read(args.file)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    loss_plot.plot(found, args.out, args.title)
    last = max(found.loss, default=None)
    print(f"{args.out}: {len(found.loss)} losses" + (f", the last {found.loss[last]:g} at iteration {last}" if last is not None else ""))
    for name, curve in found.tests.items():
        best = max(curve, key=curve.__getitem__)
        print(f"{name}: {list(curve.values())[-1]:g} at iteration {list(curve)[-1]}, highest {curve[best]:g} at {best}")
    return 0
