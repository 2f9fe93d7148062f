"""`netrun weights`: list, compare and convert files of weights, or fit them to another net."""

from __future__ import annotations

import argparse

from ssd_common.errors import UsageError, printable
from ssd_common.tables import aligned
from ssd_common.words import counted

HELP = (
    "look at files of weights (.caffemodel, binary or .h5), compare or convert them,"
    " or make some fit another net"
)
EXAMPLES = """
netrun weights list VGG.caffemodel
netrun weights fit --model train.prototxt --weights VGG.caffemodel --rename fc6=fc6_conv \\
  --out start.caffemodel
netrun weights convert net.caffemodel --out net.caffemodel.h5
netrun weights diff one.caffemodel other.caffemodel
"""
HEAVY = ("netrun.engine.transfer", "netrun.weights.contents")

FILES = {"list": 1, "fit": 0, "convert": 1, "diff": 2}
NEEDED = {"list": (), "fit": ("model", "weights", "out"), "convert": ("out",), "diff": ()}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add this command's flags."""
    parser.add_argument(
        "action",
        metavar="ACTION",
        choices=FILES,
        help="list: a file's layers; fit: to a net; convert: between binary and HDF5; diff: how two"
        " files differ",
    )
    parser.add_argument(
        "files",
        nargs="*",
        default=[],
        metavar="FILE",
        help="weights to list, convert or compare",
    )
    parser.add_argument(
        "--model",
        metavar="FILE",
        help="fit: prototxt of the net that the weights are for; its data need not be there",
    )
    parser.add_argument(
        "--phase",
        choices=("TRAIN", "TEST"),
        default="TRAIN",
        help="fit: which of the net's layers (default: TRAIN)",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE[,FILE]",
        help="fit: weights to take over; of layers in several files the last counts",
    )
    parser.add_argument(
        "--rename",
        action="append",
        type=_rename,
        default=[],
        metavar="OLD=NEW",
        help="fit: the files' layer OLD is the net's NEW",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="fit, convert: file to write; HDF5 where it ends in .h5",
    )


def _rename(word: str) -> tuple[str, str]:
    """ "fc6=fc6_conv" → ("fc6", "fc6_conv")."""
    old, _, new = word.partition("=")
    if not old or not new:
        raise argparse.ArgumentTypeError(f"'{word}' should be OLD=NEW")
    return old, new


def run(args: argparse.Namespace) -> int:
    """Do what args.action says. Raises UsageError where it needs other words, CaffeError."""
    action = args.action
    missing = [f"--{name}" for name in NEEDED[action] if not getattr(args, name)]
    if missing:
        raise UsageError(f"weights {action} needs {', '.join(missing)}")
    if len(args.files) != FILES[action]:
        wanted = counted(FILES[action], "file")
        raise UsageError(f"weights {action} takes {wanted}, not {len(args.files)}")
    return _ACTIONS[action](args)


def _list(args: argparse.Namespace) -> int:
    from caffe_ir.rules import blob_shape_text
    from netrun.weights.contents import list_weights

    layers = list_weights(args.files[0])
    rows = []
    for layer in layers:
        shapes = " ".join(map(blob_shape_text, layer.shapes))
        name = printable(layer.name) or "''"
        rows.append((name, printable(layer.type), shapes, f"{layer.count:,}"))
    for line in aligned(rows, left=3):
        print(line)
    total = sum(layer.count for layer in layers)
    print(f"{len(rows)} layers with parameters, {total:,} values")
    return 0


def _fit(args: argparse.Namespace) -> int:
    from caffe_ir import caffe_ir_pb2 as pb
    from netrun.engine.transfer import fit_weights

    phase = pb.Phase.Value(args.phase)
    files = args.weights.split(",")
    found = fit_weights(
        args.model,
        files,
        args.out,
        phase=phase,
        renames=dict(args.rename),
    )
    for name, why in found.anew.items():
        print(f"{name}: filled anew: {why}")
    if found.left:
        print(f"not in the net: {printable(', '.join(found.left))}")
    copied = len(found.copied)
    anew = len(found.anew)
    counts = f"{copied} of {copied + anew} layers with parameters copied, {anew} filled anew"
    print(f"{args.out}: {counts}")
    return 0


def _convert(args: argparse.Namespace) -> int:
    from netrun.weights.contents import convert_weights

    convert_weights(args.files[0], args.out)
    print(args.out)
    return 0


def _diff(args: argparse.Namespace) -> int:
    """Show the differences. Like the command `diff`, return 1 where there are any."""
    from netrun.weights.contents import compare_weights

    lines = compare_weights(*args.files)
    print("\n".join(map(printable, lines)) or "the same weights")
    return int(bool(lines))


_ACTIONS = {"list": _list, "fit": _fit, "convert": _convert, "diff": _diff}
