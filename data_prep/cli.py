"""The command `data_prep`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from caffe_ir.errors import CaffeError, run_command, suggest
from data_prep import dataset, shapes, sheet
from data_prep.voc import Folder

EXAMPLES = """examples:
  data_prep shapes --out data/shapes
  data_prep voc VOC2007 --list trainval --labelmap voc --out data/VOC0712/VOC0712_trainval_lmdb
  data_prep voc PHOTOS --train-list train.txt --test-list test.txt --out data/mine
  data_prep show data/shapes/test_lmdb --out sheet.png"""
VOC_EXAMPLE = """A list has lines `image annotation` relative to DIR, or an image's name alone; ImageSets/Main/NAME.txt goes by NAME.
Without lists every annotation in DIR/Annotations is taken.

examples:
  data_prep voc PHOTOS --list test.txt --labelmap labelmap.prototxt --out data/mine/test_lmdb
  data_prep voc VOC2007 --train-list trainval --test-list test --labelmap voc --out data/voc2007
The second also writes data/voc2007/dataset.json, for `netgen build ID --dataset data/voc2007/dataset.json`."""


class Parser(argparse.ArgumentParser):
    """Raises CaffeError instead of exiting, and names the nearest flag or command."""

    def error(self, message: str) -> NoReturn:
        if choice := re.match(r"argument COMMAND: invalid choice: '(.*?)' \(choose from (.*)\)", message):
            commands = re.findall(r"\w+", choice[2])
            raise CaffeError(f"no command '{choice[1]}'{suggest(choice[1], commands) or ' (one of ' + ', '.join(commands) + ')'}")
        raise CaffeError(f"{message}; see {self.prog} --help")

    def parse_known_args(self, args=None, namespace=None):
        """Refuse unknown flags here, where the command's own are known, and before it complains of what is missing instead."""
        flags = [flag for action in self._actions for flag in action.option_strings]
        for word in [] if self._subparsers else args:
            if word.startswith("--") and word.split("=")[0] not in flags:
                self.error(f"unknown argument {word}{suggest(word.split('=')[0], flags)}")
        return super().parse_known_args(args, namespace)


def parser() -> Parser:
    top = Parser(prog="data_prep", description="Annotated LMDBs for Caffe's SSD fork and netrun, from a folder of photographs.",
                 epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)  # fmt: skip
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, help: str, example: str, run: Callable[[argparse.Namespace], None]) -> Parser:
        added = commands.add_parser(name, help=help, description=help, epilog=example, allow_abbrev=False,
                                    formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
        added.set_defaults(run=run)
        return added

    voc = command("voc", "a VOC-style folder becomes an LMDB, or a train and a test LMDB", VOC_EXAMPLE, _voc)
    voc.add_argument("folder", metavar="DIR", type=Path, help="folder with JPEGImages and Annotations")
    voc.add_argument("--out", required=True, type=Path, help="the LMDB; with --train-list the folder for both LMDBs")
    voc.add_argument("--list", metavar="LIST", help="images of the LMDB (default: all)")
    voc.add_argument("--train-list", metavar="LIST", help="images of train_lmdb")
    voc.add_argument("--test-list", metavar="LIST", help="images of test_lmdb")
    voc.add_argument("--labelmap", metavar="FILE", help="a label map, or voc, coco, coco_ids, ilsvrc (default: made of the classes found)")
    voc.add_argument("--overwrite", action="store_true", help="replace what is there")

    drawn = command("shapes", "draw a small data set of shapes and build its LMDBs",
                    "example:\n  data_prep shapes --out data/shapes", _shapes)  # fmt: skip
    drawn.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to make")
    drawn.add_argument("--train", type=_count, default=300, metavar="N", help="training images (default: 300)")
    drawn.add_argument("--test", type=_count, default=60, metavar="N", help="test images (default: 60)")
    drawn.add_argument("--size", type=_count, default=300, metavar="PIXELS", help="side of an image, at least 64 (default: 300)")
    drawn.add_argument("--seed", type=int, default=0, help="another seed, other images (default: 0)")
    drawn.add_argument("--overwrite", action="store_true", help="replace what is there")

    show = command("show", "draw images of an LMDB with their boxes as one sheet",
                   "example:\n  data_prep show data/shapes/test_lmdb --out sheet.png", _show)  # fmt: skip
    show.add_argument("lmdb", metavar="LMDB", type=Path, help="an annotated LMDB")
    show.add_argument("--out", required=True, type=Path, metavar="PNG", help="picture to write")
    show.add_argument("--count", type=_count, default=24, metavar="N", help="images on it (default: 24)")
    show.add_argument("--labelmap", metavar="FILE", help="for the names (default: labelmap.prototxt beside the LMDB)")
    return top


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive whole number")
    return int(text)


def _voc(args: argparse.Namespace) -> None:
    if bool(args.train_list) != bool(args.test_list):
        raise CaffeError("--train-list and --test-list go together (--list for a single LMDB)")
    if args.list and args.train_list:
        raise CaffeError("--list is for a single LMDB; leave it out with --train-list and --test-list")
    folder = Folder(args.folder)
    out = Path(args.out.resolve()) if args.out.name in ("", "..") else args.out
    if args.train_list:
        train, test = folder.read_list(args.train_list), folder.read_list(args.test_list)
        parts = dataset.build_dataset(folder, train, test, out, name=out.resolve().name, labels=args.labelmap, overwrite=args.overwrite)
    else:
        items = folder.read_list(args.list) if args.list else folder.all()
        parts = [dataset.build_lmdb(folder, items, out, labels=args.labelmap, overwrite=args.overwrite)]
        if not args.list and folder.sets():
            print(f"without --list all images were taken; {folder.root} has the lists {', '.join(folder.sets())}")
    print(*parts, sep="\n")
    if args.train_list:
        print(f"next: netgen build ssd300_voc0712 --dataset {out / dataset.DESCRIPTION} --out DIR")


def _shapes(args: argparse.Namespace) -> None:
    print(*shapes.build(args.out, train=args.train, test=args.test, size=args.size, seed=args.seed, overwrite=args.overwrite), sep="\n")


def _show(args: argparse.Namespace) -> None:
    sheet.write(args.lmdb, args.out, args.count, args.labelmap)
    print(args.out)


def main(argv: Sequence[str]) -> None:
    args = parser().parse_args(argv)
    args.run(args)


def entry() -> int:
    return run_command("data_prep", main)
