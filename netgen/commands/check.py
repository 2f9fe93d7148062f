"""`netgen check`: prove nets and solvers sound."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ssd_common.arguments import Parser
from ssd_common.errors import CaffeError
from ssd_common.tables import aligned

HELP = "check nets and solvers: fields, shapes, heads against boxes, a solver's nets"
EXAMPLES = "netgen check runs/mine/*.prototxt"


def add_flags(parser: Parser) -> None:
    """Add the files."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="a net's or a solver's prototxt")


def run(args: argparse.Namespace) -> int:
    """Print one line per file, nets first, and what may give a wrong result.

    Returns 1 if a file is unsound, else 0.
    """
    from netgen.reports.checks import COLUMNS, CheckedNet, check

    nets: list[Sequence[str]] = []
    solvers: list[Sequence[str]] = []
    failed = 0
    cautions: dict[str, None] = {}  # a net's may come from its solver, too
    for file in args.files:
        try:
            found = check(file)
        except CaffeError as error:
            failed = 1
            sys.stderr.write(f"netgen: error: {error}\n")
            continue
        cautions |= dict.fromkeys(found.cautions)
        if isinstance(found, CheckedNet):
            nets.append(found.row())
        else:
            solvers.append(found.row())
    if nets:
        print(*aligned([COLUMNS, *nets], left=2), sep="\n")
    if solvers:
        print(*aligned(solvers, left=2), sep="\n")
    for caution in cautions:
        sys.stderr.write(f"netgen: warning: {caution}\n")
    return failed
