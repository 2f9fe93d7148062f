"""`netrun show`: training images as a net sees them."""

from __future__ import annotations

import argparse
import logging

from netrun.commands import flags
from netrun.runtime import log
from ssd_common.arguments import positive

HELP = (
    "draw the images that a net's AnnotatedData layer feeds it, augmented as in training, with"
    " their boxes, as one sheet"
)
EXAMPLES = "netrun show --model train.prototxt --out sheet.png"
HEAVY = ("netrun.plots.training_images",)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add this command's flags."""
    add = parser.add_argument
    add(
        "--model",
        required=True,
        metavar="FILE",
        help="train prototxt, or any with an AnnotatedData layer",
    )
    add("--out", required=True, metavar="PNG", help="picture to write")
    add(
        "--count",
        type=positive,
        default=24,
        metavar="N",
        help="images on it (default: 24)",
    )
    add(
        "--source",
        metavar="LMDB",
        help="take these images in place of the net's own",
    )
    add(
        "--labelmap",
        metavar="FILE",
        help="names of the classes (default: the one named by the net)",
    )
    add(
        "--phase",
        choices=("TRAIN", "TEST"),
        default="TRAIN",
        help="default: TRAIN",
    )
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of the random numbers, as a solver's random_seed (default: 0)",
    )
    flags.add_max_pixels(parser)


def run(args: argparse.Namespace) -> int:
    """Draw the sheet. Raises CaffeError."""
    from caffe_ir import caffe_ir_pb2 as pb
    from netrun.plots.training_images import show

    log.setup(level=logging.WARNING)
    show(
        args.model,
        args.out,
        count=args.count,
        source=args.source,
        labelmap=args.labelmap,
        phase=pb.Phase.Value(args.phase),
        seed=args.seed,
    )
    print(args.out)
    return 0
