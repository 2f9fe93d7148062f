"""Flags that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

from data_prep.checks.report import Report
from data_prep.sources.choice import Choice
from data_prep.sources.drawing import GROUPS
from ssd_common import image_limits
from ssd_common.arguments import positive
from ssd_common.errors import CaffeError
from ssd_common.words import counted


def share(text: str) -> float:
    """Parse a number between 0 and 1, for argparse."""
    try:
        if 0 < float(text) < 1:
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}' is not a share between 0 and 1, such as 0.2")


def lmdb(text: str) -> Path:
    """Parse the path of an LMDB, which has a name even where `.` is given; for argparse."""
    path = Path(text)
    if path.name in ("", ".."):
        path = path.resolve()
    if not path.name:
        raise argparse.ArgumentTypeError(f"'{text}' is no LMDB")
    return path


def add_choice(parser: argparse.ArgumentParser, seeded: str = "--test-share") -> None:
    """Add flags that choose images of a data set.

    seeded: the flags that --seed is for.
    """
    parser.add_argument("--list", metavar="LIST", help="images of the LMDB (default: all)")
    parser.add_argument("--train-list", metavar="LIST", help="images of train_lmdb")
    parser.add_argument("--test-list", metavar="LIST", help="images of test_lmdb")
    parser.add_argument(
        "--test-share",
        metavar="SHARE",
        type=share,
        help="instead of two lists: this share of the images, 0.2 for every fifth, is drawn for"
        " test_lmdb, the others for train_lmdb",
    )
    parser.add_argument(
        "--group-by",
        choices=tuple(GROUPS),
        help="draw these together, as images with the same content always are. folder: those of a"
        " folder; prefix: those whose paths differ in the number at their end alone, as a video's"
        " frames, or in Roboflow's ending",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help=f"another draw of {seeded} (default: 0)",
    )


def choice(args: argparse.Namespace) -> Choice:
    """Turn the flags of add_choice into a Choice.

    Raises UsageError where they contradict each other.
    """
    found = Choice(
        args.list, args.train_list, args.test_list, args.test_share, args.seed, args.group_by
    )
    found.check()
    return found


def add_labelmap(parser: argparse.ArgumentParser) -> None:
    """Add `--labelmap`, for commands that build or check."""
    parser.add_argument(
        "--labelmap",
        metavar="FILE",
        help="a label map, or voc, coco, coco_ids, ilsvrc (default: made of the classes found)",
    )


def add_out(parser: argparse.ArgumentParser, metavar: str, text: str) -> None:
    """Add `--out`, which must be given.

    text: its help.
    """
    parser.add_argument("--out", required=True, type=Path, metavar=metavar, help=text)


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Add `--overwrite`, for commands that build."""
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")


def add_workers(parser: argparse._ActionsContainer, workers: str) -> None:
    """Add `--workers` and `--scheduler`.

    workers: what they are, for the help.
    """
    parser.add_argument(
        "--workers",
        type=positive,
        default=0,
        metavar="N",
        help=f"{workers} (default: one per core); the bytes are the same",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="let a Dask cluster do it, whose workers see the same files (tcp://host:8786)",
    )


def add_fix(parser: argparse.ArgumentParser) -> None:
    """Add `--fix` and `--report`, for commands that build or check."""
    parser.add_argument(
        "--fix",
        choices=("clip", "drop"),
        help="mend boxes in what is built. clip: cut them to the image, put corners in order, scale"
        " fractions to pixels, and leave out objects that then have no pixel or are there twice;"
        " drop: leave out every object at fault",
    )
    add_report(parser)


def add_confine(parser: argparse.ArgumentParser) -> None:
    """Add `--confine`, for commands that build or check."""
    parser.add_argument(
        "--confine",
        action="store_true",
        help="refuse images and annotations outside DIR, such as ../x.png, also by links",
    )


def add_report(parser: argparse.ArgumentParser) -> None:
    """Add `--report`."""
    parser.add_argument(
        "--report",
        metavar="FILE",
        type=Path,
        help="write everything that is wrong, a line each, or for FILE.json as JSON",
    )


def add_max_pixels(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add `--max-pixels`, for commands that decode images."""
    image_limits.add_flag(parser)


def add_strict(parser: argparse.ArgumentParser) -> None:
    """Add `--strict`, for commands that only check."""
    parser.add_argument("--strict", action="store_true", help="exit status 1 for warnings, too")


def finish(args: argparse.Namespace, report: Report) -> None:
    """Print the report and write it to --report.

    Raises CaffeError with the number of errors and warnings if there are errors, or if there are
      warnings and --strict is set.
    """
    print(*report.grouped(), sep="\n")
    if args.report:
        report.write(args.report)
        print(f"all of them: {args.report}")
    counts = report.counts()
    errors = sum(counts.get("error", {}).values())
    warnings = sum(counts.get("warning", {}).values())
    if errors or (args.strict and warnings):
        raise CaffeError(f"{counted(errors, 'error')}, {counted(warnings, 'warning')}")
