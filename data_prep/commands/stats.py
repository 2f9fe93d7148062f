"""`data_prep stats KIND`: counts the objects of a data set or of LMDBs."""

from __future__ import annotations

import argparse
from pathlib import Path

from data_prep.commands import flags, kinds
from data_prep.sources import KINDS
from ssd_common.command import epilog

HELP = "count classes, sizes and shapes of objects, and how well a net's prior boxes cover them"
NOTES = """
Counts LMDBs, or a data set that is not yet built. With --net it says, by the size of objects at the
net's input, which share of them a prior box overlaps by half. An object that no prior box overlaps
by half is matched to its best one only, and hardly learnt.
"""
EXAMPLES = """
data_prep stats lmdb data/shapes/train_lmdb --net ssd300_voc0712 --out stats.png
data_prep stats voc VOC2007 --list trainval --net ssd300_voc0712 --net ssd512_voc0712
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add a subcommand for LMDBs, and one for every kind of data set."""
    commands = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    below = epilog(NOTES, EXAMPLES)
    summary = "statistics of LMDBs"
    added = commands.add_parser("lmdb", help=summary, description=summary, epilog=below)
    _add_lmdbs(added)
    _add_output(added)
    for name, kind in KINDS.items():
        summary = f"statistics of {kind.title}"
        added = commands.add_parser(name, help=summary, description=summary, epilog=below)
        kinds.add_source(added, name)
        added.add_argument("--list", metavar="LIST", help="images to look at (default: all)")
        kinds.add_selection(added)
        _add_output(added)


def _add_lmdbs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "lmdb",
        metavar="LMDB",
        type=flags.lmdb,
        nargs="+",
        help="annotated LMDBs, taken together",
    )
    parser.add_argument(
        "--labelmap",
        metavar="FILE",
        help="for the names (default: labelmap.prototxt beside each LMDB)",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    flags.add_max_pixels(parser)
    parser.add_argument(
        "--net",
        metavar="ID|FILE",
        action="append",
        default=[],
        help="hold a net's prior boxes against them: a zoo id, or a prototxt; again for another"
        " net, to compare them",
    )
    parser.add_argument("--out", metavar="PNG", type=Path, help="also draw it all as a picture")


def run(args: argparse.Namespace) -> None:
    """Print the tables, and draw them where --out asks for a picture.

    Raises UsageError for another picture's name and CaffeError for a net that cannot be read,
    both before it reads any data; CaffeError for data that cannot be read.
    """
    from data_prep.statistics.prior_coverage import read_net
    from data_prep.statistics.stats import stats

    if args.out:
        # Only a picture needs matplotlib, which takes half a second to import.
        from data_prep.statistics.figure import format_of

        format_of(args.out)
    nets = [read_net(name) for name in args.net]
    if args.kind == "lmdb":
        found = stats(args.lmdb, labelmap=args.labelmap, nets=nets)
    else:
        with kinds.other_kinds_named(args, args.kind):
            found = stats(kinds.opened(args, args.kind), image_list=args.list, nets=nets)
    print(found)
    if args.out:
        found.draw(args.out)
        print(f"\n{args.out}")
