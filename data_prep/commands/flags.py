"""Flags that several commands share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from data_prep.checks.faults import Fault
from data_prep.checks.report import Report
from data_prep.sources import image_lists
from data_prep.sources.source import Item, Source
from ssd_common.errors import CaffeError


def count(text: str) -> int:
    """A positive whole number, for argparse."""
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive whole number")
    return int(text)


def share(text: str) -> float:
    """A number between 0 and 1, for argparse."""
    try:
        if 0 < float(text) < 1:
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}' is not a share between 0 and 1, such as 0.2")


def lmdb(text: str) -> Path:
    """The path of an LMDB, which has a name even where it is given as `.`; for argparse."""
    path = Path(text) if Path(text).name not in ("", "..") else Path(text).resolve()
    if not path.name:
        raise argparse.ArgumentTypeError(f"'{text}' is no LMDB")
    return path


def add_lists(parser: argparse.ArgumentParser) -> None:
    """Which images of a data set are meant: --list, --train-list and --test-list, or --test-share; see chosen."""
    parser.add_argument("--list", metavar="LIST", help="images of the LMDB (default: all)")
    parser.add_argument("--train-list", metavar="LIST", help="images of train_lmdb")
    parser.add_argument("--test-list", metavar="LIST", help="images of test_lmdb")
    parser.add_argument(
        "--test-share",
        metavar="SHARE",
        type=share,
        help="instead of two lists: this share of the images, 0.2 for every fifth, is drawn for test_lmdb, the others for train_lmdb",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another draw of --test-share and --shuffle (default: 0)")


def chosen(args: argparse.Namespace, source: Source) -> tuple[list[Item], ...]:
    """The images that the flags of add_lists name: one list, or those for training and those for testing. Raises CaffeError."""
    if args.train_list:
        return source.read_list(args.train_list), source.read_list(args.test_list)
    items = source.read_list(args.list) if args.list else source.items()
    return image_lists.split(items, args.test_share, args.seed) if args.test_share else (items,)


def left_out(args: argparse.Namespace, source: Source, *parts: list[Item]) -> list[Fault]:
    """The images that lie beside those of the data set without an annotation, unless flags choose among its images."""
    if args.list or args.train_list or args.classes or args.map or args.empty:
        return []
    known = {os.path.normpath(os.path.join(source.root, item.image)) for part in parts for item in part}
    folders = [folder for folder in sorted({os.path.dirname(image) for image in known}) if os.path.isdir(folder)]
    near = (os.path.join(folder, name) for folder in folders for name in sorted(os.listdir(folder)) if image_lists.is_image(name))
    return [Fault("unannotated", image, "no annotation: left out") for image in near if image not in known]


def check_lists(args: argparse.Namespace) -> None:
    """Raise CaffeError where the flags of add_lists contradict each other."""
    if args.test_share and args.train_list:
        raise CaffeError("--test-share draws the test images; leave it out with --train-list and --test-list")
    if bool(args.train_list) != bool(args.test_list):
        raise CaffeError("--train-list and --test-list go together (--list for a single LMDB)")
    if args.list and args.train_list:
        raise CaffeError("--list is for a single LMDB; leave it out with --train-list and --test-list")


def add_labelmap(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--labelmap", metavar="FILE", help="a label map, or voc, coco, coco_ids, ilsvrc (default: made of the classes found)"
    )


def add_out(parser: argparse.ArgumentParser, metavar: str, what: str) -> None:
    parser.add_argument("--out", required=True, type=Path, metavar=metavar, help=what)


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")


def add_fix(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fix",
        choices=("clip", "drop"),
        help="mend boxes in what is built. clip: cut them to the image, put corners in order, scale fractions to pixels, and leave out"
        " objects that then have no pixel or are there twice; drop: leave out every object at fault",
    )
    add_report(parser)


def add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--report", metavar="FILE", type=Path, help="write everything that is wrong, a line each, or for FILE.json as JSON")


def add_strict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strict", action="store_true", help="exit status 1 for warnings, too")


def finish(args: argparse.Namespace, report: Report) -> None:
    """Print the report and write it to --report. Raises CaffeError with the numbers if there are errors, or --strict and warnings."""
    print(*report.grouped(), sep="\n")
    if args.report:
        report.write(args.report)
        print(f"all of them: {args.report}")
    errors, warnings = (sum(report.counts().get(severity, {}).values()) for severity in ("error", "warning"))
    if errors or (args.strict and warnings):
        raise CaffeError(f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}")
