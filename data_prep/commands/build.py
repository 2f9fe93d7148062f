"""`data_prep KIND`: a data set of some kind becomes an LMDB, or a train and a test LMDB."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from data_prep.checks.report import Report
from data_prep.commands import encoding, flags, kinds
from data_prep.sources import KINDS

_SUMMARIES = {
    name: f"{kind.title} becomes an LMDB, or a train and a test LMDB" for name, kind in KINDS.items()
}
# As ssd_common.command.Program has commands: every kind's, its module and its line in the list.
COMMANDS = {name: (f"{__name__}:{name}", summary) for name, summary in _SUMMARIES.items()}


class BuildCommand:
    """The command of one kind of data set. kind: its name in KINDS."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.HELP = _SUMMARIES[kind]
        self.NOTES = KINDS[kind].notes
        self.EXAMPLES = KINDS[kind].examples

    def add_flags(self, parser: argparse.ArgumentParser) -> None:
        """Where the data set lies, what of it is taken, and what is written where and how."""
        kinds.add_source(parser, self.kind)
        flags.add_out(
            parser, "LMDB", "the LMDB; with --train-list or --test-share the folder for both LMDBs"
        )
        flags.add_choice(parser, seeded="--test-share and --shuffle")
        kinds.add_selection(parser)
        flags.add_labelmap(parser)
        flags.add_fix(parser)
        encoding.add_flags(parser)
        flags.add_overwrite(parser)

    def run(self, args: argparse.Namespace) -> None:
        """Build, and say what was built and what to do next."""
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
                overwrite=args.overwrite,
                report=report,
                output=output,
            )
        finally:
            if args.report:
                report.write(args.report)
        two = len(parts) == 2
        if not two and not args.list and source.sets():
            names = ", ".join(source.sets())
            print(f"without --list all images were taken; {source.root} has the lists {names}")
        print(*parts, sep="\n")
        if two and not output.classification:
            print(_next(parts[0].lmdb.with_name(FILE_NAME)))


def _next(description: Path) -> str:
    """What to do with a data set. description: its dataset.json."""
    file = shlex.quote(str(description))
    return (
        f"next: make fssd300 DATASET={file},"
        f" or netgen build fssd300 --dataset {file} --out DIR and DIR/train.sh"
    )


command = BuildCommand
