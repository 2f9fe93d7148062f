"""`netgen build`: write, check or query the files of one detector."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from netgen.commands import flags
from netgen.names import AP_VERSIONS, RESULT_FORMATS
from netgen.reports.answers import KEYS
from ssd_common.arguments import Parser, at_least, offer, positive, with_help
from ssd_common.errors import UsageError

if TYPE_CHECKING:
    from netgen.run import Run
    from netgen.zoo.configuration import Options

HELP = "write a detector's train, test, deploy and solver prototxt and its launch script"
EXAMPLES = """
netgen build fssd300 --gpus 0,1
netgen build ssd300 --dataset data/mine/dataset.json --out runs/mine
netgen build ssd300 --print max_iter
"""
_OUT = "for files, snapshots and results (default: prototxt/ID; runs/ID with other options)"
_CHECK = "write nothing; fail if a file on disk is not what would be written"


def add_flags(parser: Parser) -> None:
    """Add the detector, the changes to it, and where its files go."""
    add = parser.add_argument
    flags.add_detector(parser, "id", "zoo id; one without a data set means VOC 07+12")
    flags.add_target(parser, "Caffe build: ssd, or fssd, which has Interp")
    _add_data_flags(parser)
    _add_batch_flags(parser)
    _add_start_flag(parser)
    add("--out", metavar="DIR", help=_OUT)
    add("--check", action="store_true", help=_CHECK)
    add("--quiet", action="store_true", help="do not list what was written")
    _add_print_flags(parser)
    flags.add_plugin(parser)


def _add_data_flags(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "--dataset",
        metavar="NAME|FILE",
        help="another data set: a name, or the dataset.json of your own",
    )
    add(
        "--size",
        type=_size,
        metavar="N|HxW",
        help="another input size in pixels: side, or height x width",
    )
    add("--height", type=positive, metavar="H", help="with --width: the same as --size HxW")
    add("--width", type=positive, metavar="W", help="with --height: the same as --size HxW")
    add(
        "--classes",
        type=at_least(2, ", background included"),
        metavar="N",
        help="number of classes, background included (default: the data set's)",
    )
    backbone = add("--backbone", metavar="NAME", help="another backbone below the same neck")
    offer(backbone, _backbones, in_help=True)
    add("--data", metavar="DIR", help="folder of the data sets (default: data)")
    _add_recipe_flags(parser)


def _add_recipe_flags(parser: Parser) -> None:
    """Add what stays the detector's own on other data, unless it is named here."""
    add = parser.add_argument
    add(
        "--difficult",
        choices=["train", "ignore"],
        help="train on objects marked difficult (COCO: crowds), or not (default: the detector's)",
    )
    add(
        "--ap-version",
        choices=AP_VERSIONS,
        help="average precision of the tests (default: the detector's)",
    )
    add(
        "--result-format",
        choices=RESULT_FORMATS,
        help="of the files with the tests' detections (default: the detector's)",
    )


def _backbones() -> list[str]:
    from netgen.backbones.registry import with_all_strides

    return with_all_strides()


def _add_batch_flags(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "--gpus",
        type=_gpus,
        metavar="0,1",
        help="GPUs to train on, or cpu; the effective batch stays (default: the authors')",
    )
    add(
        "--batch-per-gpu",
        type=positive,
        metavar="N",
        help="images per GPU and pass; iter_size makes up for the rest",
    )
    add(
        "--batch",
        type=positive,
        metavar="N",
        help="another effective batch, for a trial run; the learning rate is scaled alike",
    )
    add(
        "--iters",
        type=positive,
        metavar="N",
        help="a run of N iterations, the schedule in proportion",
    )


def _add_start_flag(parser: Parser) -> None:
    parser.add_argument(
        "--start",
        metavar="RUN",
        help="folder of the run whose newest weights training starts from"
        " (default: the papers' own start, in runs/ or models/)",
    )


def _add_print_flags(parser: Parser) -> None:
    add = parser.add_argument
    keys = ", ".join(f"{key} ({answer.what})" for key, answer in KEYS.items())
    add(
        "--print",
        action="append",
        default=[],
        choices=list(KEYS),
        metavar="KEY",
        help=f"write nothing; print one fact for a shell, a KEY per flag: {keys}",
    )
    add(
        "--print-sources",
        action="append_const",
        dest="print",
        const="sources",
        help="the same as --print sources",
    )


def _gpus(text: str) -> list[int]:
    """Parse GPU numbers: "0,1" → [0, 1]; "cpu" and "" → []."""
    if text.strip().lower() in ("", "cpu", "none"):
        return []
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise argparse.ArgumentTypeError(f"'{text}' should be numbers such as 0,1, or cpu")
    gpus = [int(gpu) for gpu in text.split(",")]
    if len(set(gpus)) < len(gpus):
        raise argparse.ArgumentTypeError(f"'{text}' should name each GPU once")
    return gpus


def _size(text: str) -> int | tuple[int, int]:
    """Parse a size: "300" → 300; "512x320" → (512, 320), height first."""
    if not re.fullmatch(r"0*[1-9]\d*(x0*[1-9]\d*)?", text):
        raise argparse.ArgumentTypeError(
            f"'{text}' should be a number of pixels such as 300,"
            " or height and width such as 512x320"
        )
    height, _, width = text.partition("x")
    if not width:
        return int(height)
    return int(height), int(width)


def _given_size(args: argparse.Namespace) -> int | tuple[int, int] | None:
    """Return the input size that the flags ask for, height first; None without one.

    Raises UsageError for a height without a width, and for two sizes.
    """
    sides = (args.height, args.width)
    if sides == (None, None):
        return args.size
    if args.size is not None:
        raise UsageError(with_help("--size with --height and --width: give one of them", args.prog))
    if None in sides:
        raise UsageError(with_help("--height and --width go together", args.prog))
    return sides


def run(args: argparse.Namespace) -> None:
    """Print facts, check the files, or write them.

    Raises CaffeError for an unknown detector or an option that does not fit it, and with --check
    for a stale file.
    """
    from netgen.run import Run
    from netgen.writer import refuse_stale, stale
    from netgen.zoo.configuration import placed
    from netgen.zoo.registry import get

    flags.load_plugins(args)
    placed_run = placed(args.id, args.target, out=args.out, **_options(args))
    if args.print:
        lines: list[object] = []
        for key in args.print:
            lines.extend(KEYS[key].lines(placed_run))
        print(*lines, sep="\n")
    elif args.check:
        refuse_stale(stale(placed_run), "run netgen build")
    else:
        _write(placed_run, Run.of(get(args.id)), quiet=args.quiet)


def _options(args: argparse.Namespace) -> Options:
    """Return the keyword arguments of `placed` that change the detector."""
    difficult = None
    if args.difficult is not None:
        difficult = args.difficult == "train"
    return {
        "dataset": args.dataset,
        "data": args.data,
        "gpus": args.gpus,
        "batch_per_gpu": args.batch_per_gpu,
        "batch": args.batch,
        "iterations": args.iters,
        "size": _given_size(args),
        "classes": args.classes,
        "backbone": args.backbone,
        "difficult": difficult,
        "ap_version": args.ap_version,
        "result_format": args.result_format,
        "start": args.start,
    }


def _name(path: Path, folder: str) -> str:
    """Return a file's name in the folder, or its path if it is elsewhere."""
    if path.parent == Path(folder):
        return path.name
    return str(path)


def _warn_of_snapshots(run: Run) -> None:
    """Warn where the launcher would go on from a snapshot of another net in the same folder."""
    from netgen.reports.answers import net_changed

    pattern = f"{Path(run.snapshot_prefix).name}_iter_*.solverstate*"
    snapshots = Path(run.snapshot_prefix).parent
    if any(snapshots.glob(pattern)) and net_changed(run):
        what = "are of another net, which train.sh would go on from; take another --out"
        sys.stderr.write(f"netgen: {run.id}: the snapshots in {snapshots} {what}\n")


def _write(run: Run, own: Run, *, quiet: bool) -> None:
    """Write a run's files, and say what is not as in the recipe's own."""
    from netgen.reports.changes import report
    from netgen.writer import write

    _warn_of_snapshots(run)
    written = write(run)
    if not quiet:
        what = "nothing changed"
        if written:
            what = "wrote " + ", ".join(_name(path, run.net_folder) for path in written)
        print(f"{run.net_folder}: {what} ({run.plan})")
        for line in report(own, run):
            print(line)
        height, width = run.image_size
        if height != width:
            print(f"input {width} wide, {height} high")
    if run.plan.effective != run.plan.wanted:
        sys.stderr.write(f"netgen: {run.id}: {run.plan}\n")
