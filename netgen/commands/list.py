"""`netgen list`."""

from __future__ import annotations

import argparse

from ssd_common.arguments import Parser
from ssd_common.tables import aligned

HELP = "every detector of the zoo"
EXAMPLES = "netgen list"


def add_flags(parser: Parser) -> None:
    """None."""


def run(args: argparse.Namespace) -> None:
    """Print a line per detector: id, input size, and the first line of its docstring."""
    from caffe_ir.rules import shape_text
    from netgen.zoo.registry import entries

    rows = [("id", "input", "what")]
    for zoo_id, entry in entries().items():
        rows.append((zoo_id, shape_text(entry.recipe().image_size), entry.title))
    print(*aligned(rows, left=3), sep="\n")
