"""The command `data_prep`."""

from __future__ import annotations

import argparse
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from caffe_ir.errors import CaffeError, run_command, suggest
from data_prep.commands import build, check, fetch, paper, shapes, show, stats, verify
from data_prep.sources import KINDS

COMMANDS = {"paper": paper, "check": check, "fetch": fetch, "shapes": shapes, "show": show, "stats": stats, "verify": verify}
EXAMPLES = """examples:
  data_prep shapes --out data/shapes
  data_prep voc VOC2007 --list trainval --labelmap voc --out data/VOC0712/VOC0712_trainval_lmdb
  data_prep voc PHOTOS --train-list train.txt --test-list test.txt --out data/mine
  data_prep fetch voc0712 --out ~/data && data_prep paper voc0712 ~/data
  data_prep coco COCO --train-list train2017 --test-list val2017 --classes person,car --out data/street
  data_prep check voc PHOTOS --train-list train.txt --test-list test.txt
  data_prep stats lmdb data/mine/train_lmdb --net ssd300_voc0712 --out stats.png
  data_prep show data/shapes/test_lmdb --out sheet.png"""


class Parser(argparse.ArgumentParser):
    """Raises CaffeError instead of exiting, and names the nearest flag or command."""

    def error(self, message: str) -> NoReturn:
        if choice := re.match(r"argument (COMMAND|KIND): invalid choice: '(.*?)' \(choose from (.*)\)", message):
            names = re.findall(r"\w+", choice[3])
            first = "it comes first, " if choice[1] == "KIND" else ""
            near = suggest(choice[2], names) or f" ({first}one of {', '.join(names)})"
            raise CaffeError(f"no {choice[1].lower()} '{choice[2]}'{near}")
        raise CaffeError(f"{message}; see {self.prog} --help")

    def parse_known_args(self, args=None, namespace=None):
        """Refuse unknown flags here, where the command's own are known, and before it complains of what is missing instead."""
        flags = {flag: action for action in self._actions for flag in action.option_strings}
        args = args if self._subparsers else [_spelt(word, flags) for word in args]
        for word in [] if self._subparsers else args:
            if word.startswith("--") and word.split("=")[0] not in flags:
                self.error(f"unknown argument {word}{suggest(word.split('=')[0], flags)}")
        return super().parse_known_args(args, namespace)


def _spelt(word: str, flags: Mapping[str, argparse.Action]) -> str:
    """A word in argparse's spelling: gflags has `--encode_type=jpg` and `--gray`, which takes no word after it, but `=false`."""
    flag, equals, value = word.partition("=")
    name = flag if flag in flags else flag.replace("_", "-")
    switch = name in flags and flags[name].nargs == "?" and not equals
    return f"{name}=true" if switch else f"{name}{equals}{value}" if name in flags else word


def parser() -> Parser:
    top = Parser(prog="data_prep", description="Annotated LMDBs for Caffe's SSD fork and netrun, from a folder of photographs.",
                 epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)  # fmt: skip
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, what: str, epilog: str, add_flags: Callable[[argparse.ArgumentParser], None],
                run: Callable[[argparse.Namespace], None]) -> None:  # fmt: skip
        added = commands.add_parser(name, help=what, description=what, epilog=epilog, allow_abbrev=False,
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
