"""`netgen card`: describe one detector in Markdown."""

from __future__ import annotations

import argparse

from netgen.commands import flags
from ssd_common.arguments import Parser

HELP = "a detector's card: paper, figures, data, schedule, boxes, costs, the command to train it"
EXAMPLES = "netgen card fssd300"


def add_flags(parser: Parser) -> None:
    """Add the detector and --plugin."""
    flags.add_detector(parser, "id", "zoo id")
    flags.add_plugin(parser)


def run(args: argparse.Namespace) -> None:
    """Print the card. Raises CaffeError for an unknown id."""
    from netgen.reports.card import card

    flags.load_plugins(args)
    print(card(args.id))
