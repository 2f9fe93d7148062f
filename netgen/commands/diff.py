"""`netgen diff`: compare two nets."""

from __future__ import annotations

import argparse

from netgen.commands import flags
from ssd_common.arguments import Parser

HELP = "how net B differs from net A; exit status 1 if it does"
EXAMPLES = "netgen diff ssd300 fssd300"


def add_flags(parser: Parser) -> None:
    """Add the two nets, their phase and target, and --plugin."""
    for name in ("a", "b"):
        flags.add_detector(parser, name, "zoo id, prototxt or caffemodel", metavar=name.upper())
    flags.add_phase(parser)
    flags.add_target(parser, "Caffe build that ids are written for")
    flags.add_plugin(parser)


def run(args: argparse.Namespace) -> int:
    """Print the differences. Returns 1 if there are any, else 0, as diff(1) does."""
    from netgen.reports.net_diff import diff

    flags.load_plugins(args)
    found = diff(args.a, args.b, args.phase, args.target)
    if not found:
        return 0
    print(found)
    return 1
