"""`data_prep shapes`."""

from __future__ import annotations

import argparse

from data_prep.commands import flags
from ssd_common.arguments import positive

HELP = "draw a small data set of shapes and build its LMDBs"
EXAMPLES = "data_prep shapes --out data/shapes"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """How many images of which size, and where to."""
    flags.add_out(parser, "DIR", "folder to make")
    add = parser.add_argument
    add(
        "--train", type=positive, default=300, metavar="N", help="training images (default: 300)"
    )
    add("--test", type=positive, default=60, metavar="N", help="test images (default: 60)")
    add(
        "--size",
        type=positive,
        default=300,
        metavar="PIXELS",
        help="side of an image, at least 64 (default: 300)",
    )
    add("--seed", type=int, default=0, help="another seed, other images (default: 0)")
    flags.add_overwrite(parser)


def run(args: argparse.Namespace) -> None:
    """Draw and build, and say what was built."""
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
