"""`data_prep KIND`: turns a data set of one kind into an LMDB, or a train and a test LMDB."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from data_prep.checks.report import Report
from data_prep.commands import encoding, flags, kinds
from data_prep.sources import KINDS

_SUMMARIES = {
    name: f"{kind.title} becomes an LMDB, or a train and a test LMDB"
    for name, kind in KINDS.items()
}
# One command for every kind, as ssd_common.command.Program takes them: module and summary by name.
COMMANDS = {name: (f"{__name__}:{name}", summary) for name, summary in _SUMMARIES.items()}


class BuildCommand:
    """The command that builds one kind of data set.

    kind: its name in KINDS.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.HELP = _SUMMARIES[kind]
        self.NOTES = KINDS[kind].notes
        self.EXAMPLES = KINDS[kind].examples

    def add_flags(self, parser: argparse.ArgumentParser) -> None:
        """Add flags for the data set, the choice among its images, and the LMDBs to write."""
        kinds.add_source(parser, self.kind)
        flags.add_out(
            parser,
            "LMDB",
            "the LMDB; with --train-list or --test-share the folder for both LMDBs",
        )
        flags.add_choice(parser, seeded="--test-share and --shuffle")
        kinds.add_selection(parser)
        flags.add_labelmap(parser)
        flags.add_fix(parser)
        flags.add_confine(parser)
        encoding.add_flags(parser)
        flags.add_overwrite(parser)

    def run(self, args: argparse.Namespace) -> None:
        """Build the LMDBs, and print what they hold and what to do next."""
        with kinds.other_kinds_named(args, self.kind):
            self._build(args)

    def _build(self, args: argparse.Namespace) -> None:
        from caffe_ir.dataset_file import FILE_NAME
        from data_prep.build.build import build

        choice = flags.choice(args)
        output = encoding.output(args)
        source = kinds.opened(args, self.kind)
        report = Report(full=bool(args.report))
        try:
            parts = build(
                source,
                args.out,
                **choice._asdict(),
                shuffle=args.shuffle,
                labelmap=args.labelmap,
                fix=args.fix,
                confine=args.confine,
                overwrite=args.overwrite,
                report=report,
                output=output,
            )
        finally:
            if args.report:
                report.write(args.report)
        has_test_lmdb = len(parts) == 2
        if not has_test_lmdb and not args.list and source.sets():
            names = ", ".join(source.sets())
            print(f"without --list all images were taken; {source.root} has the lists {names}")
        print(*parts, sep="\n")
        if has_test_lmdb and not output.classification:
            description = parts[0].lmdb.with_name(FILE_NAME)
            print(_next_step(description))


def _next_step(description: Path) -> str:
    """Say how to train on a data set.

    description: its dataset.json.
    """
    file = shlex.quote(str(description))
    return (
        f"next: make fssd300 DATASET={file},"
        f" or netgen build fssd300 --dataset {file} --out DIR and DIR/train.sh"
    )


command = BuildCommand
