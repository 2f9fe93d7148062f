"""The command `data_prep`."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Sequence

from data_prep.commands import build, check, fetch, paper, shapes, show, stats, verify
from data_prep.sources import KINDS
from ssd_common.arguments import Parser
from ssd_common.command import run_command

COMMANDS = {"paper": paper, "check": check, "fetch": fetch, "shapes": shapes, "show": show, "stats": stats, "verify": verify}
EXAMPLES = """examples:
  data_prep shapes --out data/shapes
  data_prep voc VOC2007 --list trainval --labelmap voc --out data/VOC0712/VOC0712_trainval_lmdb
  data_prep voc PHOTOS --test-share 0.2 --out data/mine
  data_prep fetch voc0712 --out ~/data && data_prep paper voc0712 ~/data
  data_prep coco COCO --train-list train2017 --test-list val2017 --classes person,car --out data/street
  data_prep check yolo PHOTOS --train-list train --test-list val
  data_prep stats lmdb data/mine/train_lmdb --net ssd300_voc0712 --out stats.png
  data_prep show data/shapes/test_lmdb --out sheet.png"""


def parser() -> Parser:
    top = Parser(prog="data_prep", description="Annotated LMDBs for Caffe's SSD fork and netrun, from a folder of photographs.",
                 epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, what: str, epilog: str, add_flags: Callable[[argparse.ArgumentParser], None],
                run: Callable[[argparse.Namespace], None]) -> None:  # fmt: skip
        added = commands.add_parser(name, help=what, description=what, epilog=epilog,
                                    formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
        add_flags(added)
        added.set_defaults(run=run)

    for name, kind in KINDS.items():
        what = f"{kind.HELP} becomes an LMDB, or a train and a test LMDB"
        command(name, what, kind.EPILOG, functools.partial(build.add_flags, kind=name), build.run)
    for name, module in COMMANDS.items():
        command(name, module.HELP, module.EPILOG, module.add_flags, module.run)
    return top


def main(argv: Sequence[str]) -> None:
    args = parser().parse_args(argv)
    args.run(args)


def entry() -> int:
    return run_command("data_prep", main)
