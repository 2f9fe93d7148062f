"""`data_prep KIND …`: a data set of some kind becomes an LMDB, or a train and a test LMDB."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from data_prep.build import dataset
from data_prep.checks.report import Report
from data_prep.commands import encoding, flags
from data_prep.sources import KINDS, selection


class KindCommand:
    """`data_prep KIND`: the command of one kind of data set. kind: its name in KINDS."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.HELP = f"{KINDS[kind].HELP} becomes an LMDB, or a train and a test LMDB"
        self.EPILOG = KINDS[kind].EPILOG

    def add_flags(self, parser: argparse.ArgumentParser) -> None:
        add_flags(parser, self.kind)

    def run(self, args: argparse.Namespace) -> None:
        run(args)


command = KindCommand


def add_flags(parser: argparse.ArgumentParser, kind: str) -> None:
    KINDS[kind].add_flags(parser)
    flags.add_out(parser, "LMDB", "the LMDB; with --train-list or --test-share the folder for both LMDBs")
    flags.add_lists(parser)
    selection.add_flags(parser)
    flags.add_labelmap(parser)
    flags.add_fix(parser)
    encoding.add_flags(parser)
    flags.add_overwrite(parser)


def run(args: argparse.Namespace) -> None:
    flags.check_lists(args)
    output = encoding.output(args)
    source = selection.select(KINDS[args.command].open_source(args), args)
    out = Path(args.out.resolve()) if args.out.name in ("", "..") else args.out
    report = Report(full=bool(args.report))
    more = {"labels": args.labelmap, "overwrite": args.overwrite, "fix": args.fix, "report": report, "output": output}
    try:
        items, *test = flags.chosen(args, source)
        report.add(flags.left_out(args, source, items, *test))
        items = dataset.shuffled(items, args.seed) if args.shuffle else items
        if test:
            parts = dataset.build_dataset(source, items, test[0], out, name=out.resolve().name, **more)
        else:
            parts = [dataset.build_lmdb(source, items, out, **more)]
    finally:
        if args.report:
            report.write(args.report)
    if not test and not args.list and source.sets():
        print(f"without --list all images were taken; {source.root} has the lists {', '.join(source.sets())}")
    print(*parts, sep="\n")
    if test and not output.classification:
        file = shlex.quote(str(out / dataset.DESCRIPTION))
        print(f"next: make fssd300 DATASET={file}, or netgen build fssd300 --dataset {file} --out DIR and DIR/train.sh")
