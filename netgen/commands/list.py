"""`netgen list`: name the detectors of the zoo."""

from __future__ import annotations

import argparse

from netgen.commands import flags
from ssd_common.arguments import Parser
from ssd_common.tables import aligned

HELP = "every detector of the zoo"
EXAMPLES = """
netgen list
netgen list 'dssd*' '*_coco'
"""


def add_flags(parser: Parser) -> None:
    """Add the patterns and --plugin."""
    what = "list only matching ids, such as 'dssd*' (default: all)"
    parser.add_argument("patterns", nargs="*", default=[], metavar="PATTERN", help=what)
    flags.add_plugin(parser)


def run(args: argparse.Namespace) -> None:
    """Print one line per detector: id, input size, and the first line of its docstring.

    Raises CaffeError for a pattern that matches no id.
    """
    from caffe_ir.rules import shape_text
    from netgen.zoo.registry import detectors

    flags.load_plugins(args)
    rows = [("id", "input", "what")]
    for entry in detectors(*args.patterns):
        size = shape_text(entry.recipe().image_size)
        rows.append((entry.id, size, entry.title))
    print(*aligned(rows, left=3), sep="\n")
