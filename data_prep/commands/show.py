"""`data_prep show`: draws images of an LMDB."""

from __future__ import annotations

import argparse

from data_prep.commands import flags
from data_prep.images.encoding import PICTURE_NAMES
from ssd_common.arguments import positive

HELP = "draw images of an LMDB with their boxes as one sheet"
NOTES = """
With --augmented the images are what a net gets in training: distorted, expanded, cropped, mirrored,
resized. netrun draws them with its own loader (as `netrun show --model TRAIN --source LMDB` does),
so PyTorch must be installed.
"""
EXAMPLES = """
data_prep show data/shapes/test_lmdb --out sheet.png
data_prep show data/mine/train_lmdb --augmented runs/mine/train.prototxt --out augmented.png
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add flags for the LMDB, the picture, and what to draw."""
    parser.add_argument("lmdb", metavar="LMDB", type=flags.lmdb, help="an annotated LMDB")
    suffixes = ", ".join(PICTURE_NAMES)
    flags.add_out(parser, "PICTURE", f"picture to write: {suffixes}; with --augmented .png")
    add = parser.add_argument
    add("--count", type=positive, default=24, metavar="N", help="images on it (default: 24)")
    add(
        "--labelmap",
        metavar="FILE",
        help="for the names (default: labelmap.prototxt beside the LMDB)",
    )
    add("--augmented", metavar="TRAIN", help="a train prototxt, whose augmentation is applied")
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of the augmentation (default: 0)",
    )
    flags.add_max_pixels(parser)


def run(args: argparse.Namespace) -> None:
    """Draw the picture, and print its path."""
    from data_prep.statistics.contact_sheet import show

    show(
        args.lmdb,
        args.out,
        count=args.count,
        labelmap=args.labelmap,
        augmented=args.augmented,
        seed=args.seed,
    )
    print(args.out)
