"""`data_prep formats`: lists every kind of data set that can be read, and those written."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator

from data_prep.sources import KINDS
from data_prep.writers.formats import FORMATS
from ssd_common.arguments import offer
from ssd_common.errors import UsageError
from ssd_common.suggest import suggest

HELP = "list all kinds of data sets that can be read: what each looks like, and a command"
NOTES = """
`data_prep check DIR` says which of them DIR looks like, and `data_prep KIND --help` all about one.
"""
EXAMPLES = """
data_prep formats
data_prep formats cvat coco
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the names of kinds."""
    action = parser.add_argument("kinds", metavar="KIND", nargs="*", default=[], help="only these")
    offer(action, lambda: KINDS, in_help=True)


def run(args: argparse.Namespace) -> None:
    """Print what each kind is, looks like, and how it is read.

    Raises UsageError for a kind that there is not.
    """
    for name in args.kinds:
        if name not in KINDS:
            raise UsageError(f"no kind '{name}'{suggest(name, KINDS)}")
    for name in args.kinds or KINDS:
        print("\n".join(_lines(name)))
    if args.kinds:
        return
    print("data_prep check DIR says which of these DIR looks like.")
    print(f"data_prep export LMDB --format {'|'.join(FORMATS)} --out DIR writes LMDBs out again.")


def _lines(name: str) -> Iterator[str]:
    """Yield the lines on a kind."""
    kind = KINDS[name]
    yield f"{name}: {kind.title}"
    yield textwrap.indent(kind.layout.strip("\n"), "    ")
    example = kind.examples.strip().splitlines()[0]
    yield f"  {example}"
    yield ""
