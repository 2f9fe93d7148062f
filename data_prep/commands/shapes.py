"""`data_prep shapes`."""

from __future__ import annotations

import argparse

from data_prep.commands import flags
from data_prep.shapes import shapes

HELP = "draw a small data set of shapes and build its LMDBs"
EPILOG = "example:\n  data_prep shapes --out data/shapes"


def add_flags(parser: argparse.ArgumentParser) -> None:
    flags.add_out(parser, "DIR", "folder to make")
    parser.add_argument("--train", type=flags.count, default=300, metavar="N", help="training images (default: 300)")
    parser.add_argument("--test", type=flags.count, default=60, metavar="N", help="test images (default: 60)")
    parser.add_argument("--size", type=flags.count, default=300, metavar="PIXELS", help="side of an image, at least 64 (default: 300)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other images (default: 0)")
    flags.add_overwrite(parser)


def run(args: argparse.Namespace) -> None:
    print(*shapes.build(args.out, train=args.train, test=args.test, size=args.size, seed=args.seed, overwrite=args.overwrite), sep="\n")
