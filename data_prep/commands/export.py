"""`data_prep export`: writes LMDBs out as images and annotations."""

from __future__ import annotations

import argparse
import shlex

from data_prep.checks.report import Report
from data_prep.commands import flags
from data_prep.writers.formats import FORMATS

HELP = "write LMDBs out as images and annotations, for other tools: VOC, COCO, YOLO"
_LAYOUTS = "\n".join(f"{name}:\n{found.layout.strip()}" for name, found in FORMATS.items())
NOTES = f"""
Images keep their bytes (raw pixels become PNG), and boxes get back the pixels that they had: the
data set that is written gives the same records again. Difficult objects are crowds in COCO's files
and cannot be marked in YOLO's. Where an LMDB has no label map, its labels are the names of classes.
Records that are damaged are left out; the exit status is then 1.

{_LAYOUTS}
"""
EXAMPLES = """
data_prep export data/shapes/train_lmdb data/shapes/test_lmdb --out shapes
data_prep export inherited_lmdb --labelmap voc --format coco --out inherited
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add flags for the LMDBs, the format and the folder."""
    parser.add_argument(
        "lmdbs",
        metavar="LMDB",
        type=flags.lmdb,
        nargs="+",
        help="annotated LMDBs, each for a split: train_lmdb for train",
    )
    parser.add_argument(
        "--format",
        choices=tuple(FORMATS),
        default="voc",
        help="of the annotations (default: voc)",
    )
    flags.add_out(parser, "DIR", "the folder to make; nothing may be there")
    parser.add_argument(
        "--labelmap",
        metavar="FILE",
        help="names of classes: a label map, or voc, coco, coco_ids, ilsvrc"
        " (default: labelmap.prototxt beside the LMDB)",
    )
    flags.add_report(parser)
    flags.add_strict(parser)
    flags.add_max_pixels(parser)


def run(args: argparse.Namespace) -> None:
    """Write the data set, and print what it holds and what is wrong."""
    from data_prep.writers.export import export

    report = Report(full=bool(args.report))
    found = export(
        args.lmdbs,
        args.out,
        format=args.format,
        labelmap=args.labelmap,
        report=report,
    )
    print(found)
    if found.left_out:
        print(f"{found.left_out} damaged records are not among them")
    folder = shlex.quote(str(args.out))
    lists = f"--list {next(iter(found.images))}"
    if len(found.images) == 2:
        train, test = found.images
        lists = f"--train-list {train} --test-list {test}"
    map_file = shlex.quote(str(args.out / "labelmap.prototxt"))
    again = f"data_prep {args.format} {folder} {lists} --labelmap {map_file} --out LMDB"
    print(f"back again: {again}")
    flags.finish(args, report)
