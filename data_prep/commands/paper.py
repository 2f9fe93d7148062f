"""`data_prep paper`: builds the data set of a paper."""

from __future__ import annotations

import argparse
from pathlib import Path

from data_prep.build.paper_sets import PAPER_SETS
from data_prep.checks.report import Report
from data_prep.commands import flags

HELP = "build a paper's data set where its nets look for it: VOC0712, VOC0712++, COCO, ILSVRC DET"
_SETS = "\n".join(f"  {name:10} {found.about}" for name, found in PAPER_SETS.items())
NOTES = f"""
NAME, its training images; its test images:
{_SETS}

DIR is what `data_prep fetch` makes: VOCdevkit with VOC2007 and VOC2012; annotations, train2017 and
val2017 of COCO, or 2014's; ILSVRC's Data, Annotations and ImageSets. Training images are shuffled,
as by the SSD fork's scripts, but as --seed decides.
"""
EXAMPLES = """
data_prep paper voc0712 ~/data/VOCdevkit      # data/VOC0712/VOC0712_trainval_lmdb, …
data_prep paper coco ~/data/coco --out /ssd/data
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add flags for the data set, its folder, and what to write where."""
    names = list(PAPER_SETS)
    parser.add_argument("name", metavar="NAME", choices=names, help=", ".join(names))
    parser.add_argument("folder", metavar="DIR", type=Path, help="where the data set lies")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("data"),
        metavar="DIR",
        help="folder of all data sets (default: data)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="another order of the training images (default: 0)",
    )
    flags.add_workers(parser, "processes")
    flags.add_max_pixels(parser)
    flags.add_fix(parser)
    flags.add_overwrite(parser)


def run(args: argparse.Namespace) -> None:
    """Build the LMDBs, and print what they hold."""
    from data_prep.build.output import Output
    from data_prep.build.papers import paper

    report = Report(full=bool(args.report))
    try:
        parts = paper(
            args.name,
            args.folder,
            args.out,
            seed=args.seed,
            fix=args.fix,
            overwrite=args.overwrite,
            report=report,
            output=Output(workers=args.workers, scheduler=args.scheduler),
        )
    finally:
        if args.report:
            report.write(args.report)
    print(*parts, sep="\n")
