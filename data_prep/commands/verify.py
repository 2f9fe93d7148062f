"""`data_prep verify`: reads an LMDB to its end."""

from __future__ import annotations

import argparse

from data_prep.checks.report import Report
from data_prep.commands import flags

HELP = "read an LMDB to its end: decode every image, check every label and box"
NOTES = """
Sizes and counts are compared with the name_size file, the list and dataset.json where these lie
beside the LMDB. The exit status is 1 if there are errors. A truncated or damaged LMDB is reported,
too.
"""
EXAMPLES = "data_prep verify data/shapes/train_lmdb"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add flags for the LMDB, its label map and the report."""
    parser.add_argument("lmdb", metavar="LMDB", type=flags.lmdb, help="an annotated LMDB")
    parser.add_argument(
        "--labelmap",
        metavar="FILE",
        help="labels that may occur (default: labelmap.prototxt beside the LMDB)",
    )
    flags.add_report(parser)
    flags.add_strict(parser)
    flags.add_max_pixels(parser)


def run(args: argparse.Namespace) -> None:
    """Verify the LMDB, and print the report."""
    from data_prep.build.verify import verify

    report = Report(full=bool(args.report))
    print(verify(args.lmdb, labelmap=args.labelmap, report=report))
    flags.finish(args, report)
