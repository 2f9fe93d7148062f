"""`data_prep show`."""

from __future__ import annotations

import argparse
from pathlib import Path

from data_prep import sheet
from data_prep.commands import flags

HELP = "draw images of an LMDB with their boxes as one sheet"
EPILOG = "example:\n  data_prep show data/shapes/test_lmdb --out sheet.png"


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lmdb", metavar="LMDB", type=Path, help="an annotated LMDB")
    flags.add_out(parser, "PNG", "picture to write")
    parser.add_argument("--count", type=flags.count, default=24, metavar="N", help="images on it (default: 24)")
    parser.add_argument("--labelmap", metavar="FILE", help="for the names (default: labelmap.prototxt beside the LMDB)")


def run(args: argparse.Namespace) -> None:
    sheet.write(args.lmdb, args.out, args.count, args.labelmap)
    print(args.out)
