"""`netgen`: writes detectors' nets, and looks at nets."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ssd_common.arguments import Parser
from ssd_common.command import run_command
from ssd_common.errors import CaffeError

if TYPE_CHECKING:
    from netgen.recipe import Detector

EXAMPLES = """examples:
  netgen list
  netgen build fssd300 --gpus 0,1
  netgen build ssd300 --dataset data/mine/dataset.json --out runs/mine
  netgen summary fssd300 --phase train
  netgen card fssd300
  netgen diff ssd300 fssd300
  netgen check runs/mine/*.prototxt"""


def parser() -> Parser:
    top = Parser(prog="netgen", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, what: str) -> Parser:
        shown = [line for line in EXAMPLES.splitlines() if line.startswith((f"  netgen {name}", "examples:"))]
        return commands.add_parser(name, help=what, description=what, epilog="\n".join(shown), formatter_class=top.formatter_class)

    command("list", "every detector of the zoo")

    build = command("build", "write a detector's train, test, deploy and solver prototxt and its launch script")
    build.add_argument("id", nargs="?", metavar="ID", help="zoo id; without a data set VOC 07+12 is meant")
    build.add_argument("--all", action="store_true", help="every headline of the zoo, into prototxt/")
    build.add_argument("--check", action="store_true", help="write nothing; fail if a file on disk is not what would be written")
    build.add_argument(
        "--target", default="ssd", choices=("ssd", "fssd"), help="Caffe build: ssd, or fssd, which has Interp (default: ssd)"
    )
    build.add_argument("--dataset", metavar="NAME|FILE", help="another data set: a name, or the dataset.json of your own")
    build.add_argument("--size", type=_size, metavar="N|HxW", help="another input size in pixels: side, or height x width")
    build.add_argument("--classes", type=int, metavar="N", help="so many classes, background included (default: the data set's)")
    build.add_argument("--backbone", metavar="NAME", help="another backbone below the same neck: vgg16, resnet101, mobilenet")
    build.add_argument("--data", metavar="DIR", help="where the data sets lie (default: data)")
    build.add_argument(
        "--gpus", type=_gpus, metavar="0,1", help="GPUs to train on, or cpu; the effective batch stays (default: the authors')"
    )
    build.add_argument("--batch-per-gpu", type=int, metavar="N", help="images per GPU and pass; iter_size makes up for the rest")
    build.add_argument("--batch", type=int, metavar="N", help="another effective batch, for a trial run; the learning rate is scaled alike")
    build.add_argument("--iters", type=int, metavar="N", help="a run of N iterations, the schedule in proportion")
    build.add_argument("--out", metavar="DIR", help="for files, snapshots and results (default: prototxt/ID; runs/ID with other options)")
    build.add_argument("--quiet", action="store_true", help="do not list what was written")
    build.add_argument("--print-sources", action="store_true", help="write nothing; print the LMDBs that the nets read")

    summary = command("summary", "source maps, boxes, parameters and multiply-adds of a net")
    summary.add_argument("net", metavar="ID|FILE", help="zoo id or prototxt")
    summary.add_argument("--phase", choices=("train", "test", "deploy"), help="default: deploy of an id, and what a file is for")
    summary.add_argument("--target", default="ssd", choices=("ssd", "fssd"), help="of an id (default: ssd)")
    summary.add_argument("--layers", action="store_true", help="every layer, too")

    card = command("card", "all there is to know of a detector: paper, figures, data, schedule, boxes, costs, the command")
    card.add_argument("id", nargs="?", metavar="ID", help="zoo id")
    card.add_argument("--all", action="store_true", help="write every detector's card, into docs/zoo/")
    card.add_argument("--check", action="store_true", help="write nothing; fail if a page of docs/zoo/ is not what would be written")

    diff = command("diff", "how net B differs from net A; exit status 1 if it does")
    diff.add_argument("a", metavar="A", help="zoo id, prototxt or caffemodel")
    diff.add_argument("b", metavar="B", help="zoo id, prototxt or caffemodel")
    diff.add_argument("--phase", choices=("train", "test", "deploy"), help="default: deploy of an id, and what a file is for")
    diff.add_argument("--target", default="ssd", choices=("ssd", "fssd"), help="of ids (default: ssd)")

    check = command("check", "check nets and solvers: fields, shapes, heads against boxes, a solver's nets")
    check.add_argument("files", nargs="+", metavar="FILE")
    return top


def _gpus(text: str) -> list[int]:
    """ "0,1" → [0, 1]; "cpu" and "" → []."""
    if text.strip().lower() in ("", "cpu", "none"):
        return []
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise argparse.ArgumentTypeError(f"'{text}' should be numbers such as 0,1, or cpu")
    return [int(gpu) for gpu in text.split(",")]


def _size(text: str) -> int | tuple[int, int]:
    """ "300" → 300; "512x320" → (512, 320), height first."""
    if not re.fullmatch(r"\d+(x\d+)?", text):
        raise argparse.ArgumentTypeError(f"'{text}' should be a number of pixels such as 300, or height and width such as 512x320")
    numbers = tuple(int(number) for number in text.split("x"))
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def _list(args: argparse.Namespace) -> None:
    from netgen.reports.summary import table  # noqa: PLC0415
    from netgen.zoo import entries  # noqa: PLC0415

    rows = [("id", "input", "what")]
    for zoo_id, make in entries().items():
        card = (make.__doc__ or "").strip().splitlines()[0]
        rows.append((zoo_id, "{}x{}".format(*make().image_size), card))
    print(table(rows, left=3))


def _detector(args: argparse.Namespace, zoo_id: str) -> Detector:
    import netgen  # noqa: PLC0415
    from netgen.zoo import headlines  # noqa: PLC0415

    changed: dict[str, Any] = {
        "dataset": args.dataset,
        "data": args.data,
        "gpus": args.gpus,
        "batch_per_gpu": args.batch_per_gpu,
        "batch": args.batch,
        "iterations": args.iters,
        "size": args.size,
        "classes": args.classes,
        "backbone": args.backbone,
    }
    detector = netgen.configure(zoo_id, **changed)
    if args.out is not None:
        # Named outright, the default place means the default layout, with what training writes in runs/.
        folder = os.path.normpath(args.out)
        return detector if folder == os.path.normpath(detector.net_folder) else replace(detector, folder=folder)
    if args.target == "ssd" and all(option is None for option in changed.values()) and detector.id in headlines():
        return detector
    return replace(detector, folder=f"runs/{detector.id}")  # the committed nets stay as the papers have them


def _build(args: argparse.Namespace) -> int:
    from netgen.zoo import headlines  # noqa: PLC0415

    if args.all == bool(args.id):
        raise CaffeError("build takes either an ID or --all; `netgen list` shows the ids")
    if args.all and (args.out or args.dataset):
        raise CaffeError("--all takes neither --out nor --dataset: they would put several detectors' files in one folder")
    stale: list[str] = []
    for zoo_id in headlines() if args.all else [args.id]:
        detector = _detector(args, zoo_id)
        if args.print_sources:
            data = detector.dataset
            print(data.path(data.train_lmdb), data.path(data.test_lmdb), sep="\n")
        elif args.check:
            stale += _stale(detector, args.target)
        else:
            _write(detector, args)
    if stale:
        raise CaffeError(
            f"{len(stale)} files are not what netgen writes: {', '.join(stale[:3])}{', …' * (len(stale) > 3)}; run netgen build"
        )
    return 0


def _stale(detector: Detector, target: str) -> list[str]:
    from pathlib import Path  # noqa: PLC0415

    from netgen.writer import holds, texts  # noqa: PLC0415

    folder = Path(detector.net_folder)
    return [str(folder / name) for name, content in texts(detector, target).items() if not holds(folder / name, content)]


def _write(detector: Detector, args: argparse.Namespace) -> None:
    from netgen.writer import write  # noqa: PLC0415

    written = write(detector, args.target)
    if not args.quiet:
        names = ", ".join(path.name for path in written)
        print(f"{detector.net_folder}: {'wrote ' + names if names else 'nothing changed'} ({detector.plan})")
    if detector.plan.effective != detector.plan.wanted:
        print(f"netgen: {detector.id}: {detector.plan}", file=sys.stderr)


def _summary(args: argparse.Namespace) -> None:
    from caffe_ir.text import read_net  # noqa: PLC0415
    from netgen.reports.summary import summary  # noqa: PLC0415

    if os.path.exists(args.net) or args.net.endswith(".prototxt") or os.sep in args.net:
        print(summary(read_net(args.net), args.phase, layers=args.layers))
        return
    import netgen  # noqa: PLC0415

    phase = args.phase or "deploy"
    print(summary(netgen.build(args.net, phase, args.target), phase, layers=args.layers))


def _card(args: argparse.Namespace) -> None:
    from netgen.reports.zoo_page import card, write  # noqa: PLC0415

    if (args.all or args.check) == bool(args.id):
        raise CaffeError("card takes either an ID or --all; `netgen list` shows the ids")
    print(card(args.id) if args.id else "\n".join(write(args.check)) or "nothing changed")


def _diff(args: argparse.Namespace) -> int:
    from netgen.reports.net_diff import diff  # noqa: PLC0415

    found = diff(args.a, args.b, args.phase, args.target)
    if found:
        print(found)
    return int(bool(found))


def _check(args: argparse.Namespace) -> int:
    from netgen.reports.summary import COLUMNS, check, table  # noqa: PLC0415

    rows: list[Sequence[str]] = [COLUMNS]
    solvers: list[Sequence[str]] = []
    failed = 0
    for file in args.files:
        try:
            row = check(file)
            (rows if len(row) == len(COLUMNS) else solvers).append(row)
        except CaffeError as error:
            failed = 1
            print(f"netgen: error: {error}", file=sys.stderr)
    if len(rows) > 1:
        print(table(rows, left=2))
    if solvers:
        print(table(solvers, left=2))
    return failed


def main(argv: Sequence[str]) -> int:
    """Run one command. Raises CaffeError."""
    args = parser().parse_args(argv)
    commands = {"list": _list, "build": _build, "summary": _summary, "card": _card, "diff": _diff, "check": _check}
    return commands[args.command](args) or 0


def entry() -> int:
    """The console script `netgen`."""
    return run_command("netgen", main)
