"""`data_prep shapes`: draws a small data set."""

from __future__ import annotations

import argparse

from data_prep.commands import flags
from ssd_common.arguments import at_least, positive

HELP = "draw a small data set of shapes and build its LMDBs"
EXAMPLES = "data_prep shapes --out data/shapes"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add flags for the folder, and for the number and size of images."""
    flags.add_out(parser, "DIR", "folder to make")
    add = parser.add_argument
    add("--train", type=positive, default=300, metavar="N", help="training images (default: 300)")
    add("--test", type=positive, default=60, metavar="N", help="test images (default: 60)")
    add(
        "--size",
        type=positive,
        default=300,
        metavar="PIXELS",
        help="side of an image, at least 64 (default: 300)",
    )
    add("--seed", type=at_least(0), default=0, help="another seed, other images (default: 0)")
    flags.add_overwrite(parser)


def run(args: argparse.Namespace) -> None:
    """Draw the data set, build its LMDBs, and print what they hold."""
    from data_prep.shapes.shapes import shapes

    parts = shapes(
        args.out,
        train=args.train,
        test=args.test,
        size=args.size,
        seed=args.seed,
        overwrite=args.overwrite,
    )
    print(*parts, sep="\n")
