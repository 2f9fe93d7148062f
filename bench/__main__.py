"""Measure netrun beside others that run the same nets; write a table, the figures as JSON, a plot.

Every contender is a process of its own. Those of one comparison wait ready while they take turns,
so that a drift of the machine's speed meets all of them alike, and the medians of their turns are
compared.
usage: python -m bench [--quick] [--parts inference,training,...] [--out DIR]
(`make bench` calls it; about six minutes)
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from bench import machine, nets, report
from bench.measured import Measured
from bench.suite import Suite
from bench.turns import compare
from ssd_common.arguments import Parser
from ssd_common.command import run_command

__all__ = ["Measured", "compare", "main"]


def _parser() -> Parser:
    device = "cpu"
    if torch.cuda.is_available():
        device = "cuda"
    parser = Parser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer turns, one detector: a look, no result")
    add(
        "--parts",
        metavar="A,B",
        help="inference, training, loading, detectors, matrices (default: all)",
    )
    add("--device", default=device, help="cpu or cuda (default: cuda where there is one)")
    add(
        "--out",
        type=Path,
        default=nets.ROOT / "bench/results",
        metavar="DIR",
        help="default: bench/results",
    )
    return parser


def main(argv: Sequence[str]) -> int:
    """Measure the parts that the flags name, and write the figures.

    Returns 1 if a contender failed, else 0. Raises CaffeError for an unknown flag or part.
    """
    parser = _parser()
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        suite = Suite(Path(folder), args.device, args.quick)
        parts = suite.parts()
        wanted = list(parts)
        if args.parts:
            wanted = args.parts.split(",")
        unknown = set(wanted) - set(parts)
        if unknown:
            parser.error(f"no part '{unknown.pop()}'; there are {', '.join(parts)}")
        found = {}
        for name in wanted:
            print(f"{name}: {parts[name].__doc__}", flush=True)
            found[name] = parts[name]()
    return report.write(args.out, args.device, machine.describe(), found)


if __name__ == "__main__":
    sys.exit(run_command("bench", main))
