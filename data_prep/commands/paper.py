"""`data_prep paper`."""

from __future__ import annotations

import argparse
from pathlib import Path

from data_prep.build import papers
from data_prep.build.dataset import Output
from data_prep.checks.report import Report
from data_prep.commands import flags
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

HELP = "build a paper's data set where its nets look for it: VOC0712, VOC0712++, COCO, ILSVRC DET"
EPILOG = "\n".join(
    (
        "NAME, its training images; its test images:",
        *(f"  {name:10} {paper.about}" for name, paper in papers.PAPERS.items()),
        "",
        "DIR is what `data_prep fetch` makes: VOCdevkit with VOC2007 and VOC2012; annotations, train2017 and val2017 of COCO, or 2014's;",
        "ILSVRC's Data, Annotations and ImageSets. Training images are shuffled, as by the SSD fork's scripts, but as --seed decides.",
        "",
        "examples:",
        "  data_prep paper voc0712 ~/data/VOCdevkit      # data/VOC0712/VOC0712_trainval_lmdb, VOC0712_test_lmdb, labelmap_voc.prototxt, …",
        "  data_prep paper coco ~/data/coco --out /ssd/data",
    )
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help=", ".join(papers.PAPERS))
    parser.add_argument("folder", metavar="DIR", type=Path, help="where the data set lies")
    parser.add_argument("--out", type=Path, default=Path("data"), metavar="DIR", help="folder of all data sets (default: data)")
    parser.add_argument("--seed", type=int, default=0, help="another order of the training images (default: 0)")
    parser.add_argument(
        "--workers", type=flags.count, default=0, metavar="N", help="processes (default: one per core); the bytes are the same"
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="let a Dask cluster do it, whose workers see the same files")
    flags.add_fix(parser)
    flags.add_overwrite(parser)


def run(args: argparse.Namespace) -> None:
    if args.name not in papers.PAPERS:
        known = suggest(args.name, papers.PAPERS) or f" (one of {', '.join(papers.PAPERS)})"
        raise CaffeError(f"no data set '{args.name}' of a paper{known}")
    output = Output(workers=args.workers, scheduler=args.scheduler)
    report = Report(full=bool(args.report))
    try:
        parts = papers.build(
            args.name, args.folder, args.out, seed=args.seed, overwrite=args.overwrite, fix=args.fix, report=report, output=output
        )
    finally:
        if args.report:
            report.write(args.report)
    print(*parts, sep="\n")
