"""`data_prep check KIND`: reports every fault of a data set."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from data_prep.checks.report import Report
from data_prep.commands import flags, kinds
from data_prep.sources import KINDS
from data_prep.sources.guess import guess
from ssd_common.command import epilog
from ssd_common.errors import CaffeError

HELP = "say everything that is wrong with a data set, before anything is built"
NOTES = """
Checks what a build checks, and reports everything at once. Errors keep a data set from being built;
warnings are about things that the SSD fork's own tools write all the same. The exit status is 1 if
there are errors (with --strict also for warnings). The files of the data set are never changed:
--fix reports what a build with the same flag would write. Without KIND, `data_prep check DIR` takes
the kind that DIR looks like, and says which.
"""
EXAMPLES = """
data_prep check voc VOC2007 --train-list trainval --test-list test --labelmap voc
data_prep check coco COCO/annotations.json --decode --report faults.json
data_prep check PHOTOS
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add a subcommand for every kind of data set."""
    commands = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for name, kind in KINDS.items():
        summary = f"check {kind.title}"
        added = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=epilog(NOTES, EXAMPLES),
        )
        kinds.add_source(added, name)
        flags.add_choice(added)
        kinds.add_selection(added)
        flags.add_labelmap(added)
        flags.add_fix(added)
        flags.add_confine(added)
        added.add_argument(
            "--decode",
            action="store_true",
            help="decode every image, where a build only reads the header of a JPEG",
        )
        flags.add_strict(added)
        flags.add_max_pixels(added)


def split(argv: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the words with a kind before a folder or file that has none: what it looks like.

    Raises as guess does, and CaffeError for a path that leads nowhere.
    """
    if not argv or argv[0] in KINDS:
        return argv, []
    path = Path(argv[0])
    if path.exists():
        kind = guess(path)
        print(f"{path} looks like {kind}, {KINDS[kind].title}")
        return [kind, *argv], []
    if len(path.parts) > 1 and not argv[0].startswith("-"):
        raise CaffeError(f"{path}: no such folder or file")
    return argv, []


def run(args: argparse.Namespace) -> None:
    """Check the data set, and print the report."""
    with kinds.other_kinds_named(args, args.kind):
        _check(args)


def _check(args: argparse.Namespace) -> None:
    from data_prep.build.check import check

    choice = flags.choice(args)
    source = kinds.opened(args, args.kind)
    found = check(
        source,
        **choice._asdict(),
        labelmap=args.labelmap,
        fix=args.fix,
        confine=args.confine,
        decode=args.decode,
        report=Report(full=bool(args.report)),
        name=args.kind,
    )
    print(found)
    flags.finish(args, found.report)
