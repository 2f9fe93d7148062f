"""`netgen summary`: describe one net in figures."""

from __future__ import annotations

import argparse

from netgen.commands import flags
from ssd_common.arguments import Parser

HELP = "source maps, boxes, parameters and multiply-adds of a net"
EXAMPLES = "netgen summary fssd300 --phase train"


def add_flags(parser: Parser) -> None:
    """Add the net, its phase and target, --plugin and --layers."""
    flags.add_detector(parser, "net", "zoo id or prototxt", metavar="ID|FILE")
    flags.add_phase(parser)
    flags.add_target(parser, "Caffe build that an id is written for")
    flags.add_plugin(parser)
    parser.add_argument("--layers", action="store_true", help="list every layer, too")


def run(args: argparse.Namespace) -> None:
    """Print the summary. Raises CaffeError for an unknown id or an unreadable file."""
    from netgen.reports.summary import summary

    flags.load_plugins(args)
    print(summary(args.net, args.phase, args.target, layers=args.layers))
