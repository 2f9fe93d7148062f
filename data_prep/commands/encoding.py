"""Flags of the fork's convert_annoset and create_annoset.py, by the same names, and of workers."""

from __future__ import annotations

import argparse

from data_prep.build.output import Output
from data_prep.commands import flags
from data_prep.images.encoding import ENCODE_TYPES, Encoding
from ssd_common.arguments import positive, switch
from ssd_common.errors import UsageError
from ssd_common.suggest import suggest

BOUND = 65500  # pixels; a JPEG has at most 65,535 a side


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add flags for records, as the fork's tools have them, and for the workers."""
    group = parser.add_argument_group(
        "records",
        "as the fork's convert_annoset writes them with the same flags, which may be spelt as"
        " there",
    )
    _add_images(group)
    _add_records(group)
    group = parser.add_argument_group("work")
    flags.add_workers(group, "images at a time")
    flags.add_max_pixels(group)
    group.add_argument(
        "--shards",
        type=positive,
        default=0,
        metavar="N",
        help="a folder of N LMDBs, which netrun reads as one",
    )


def _add_images(group: argparse._ArgumentGroup) -> None:
    """Add flags that say how records keep images."""
    add = group.add_argument
    add(
        "--encode-type",
        metavar="TYPE",
        help="encode images as jpg (default), png, …; files of the type are copied as they are",
    )
    _add_switch(group, "--encoded", None, "false, and no --encode-type: raw pixels")
    _add_switch(group, "--gray", False, "grey images")
    _add_side(group, "--min-dim", "enlarge images whose shorter side is less")
    _add_side(group, "--max-dim", "shrink images whose longer side is more")
    _add_side(group, "--resize-width", "resize all images; with --resize-height")
    _add_side(group, "--resize-height", "resize all images; with --resize-width")


def _add_records(group: argparse._ArgumentGroup) -> None:
    """Add flags that say what records hold, and in which order."""
    _add_switch(
        group,
        "--check-size",
        False,
        "refuse images of several sizes (as records have them)",
    )
    _add_switch(
        group,
        "--check-label",
        True,
        "refuse label maps with a name or label twice (always done)",
    )
    _add_switch(
        group,
        "--shuffle",
        False,
        "in random order, one that --seed gives (the fork's is another each time);"
        " not the test images",
    )
    group.add_argument(
        "--anno-type",
        choices=("detection", "classification"),
        default="detection",
        help="classification: a list has a label, a number, for each image, and records have no"
        " boxes",
    )
    group.add_argument("--backend", default="lmdb", help="lmdb, and nothing else")


def _add_side(group: argparse._ArgumentGroup, flag: str, text: str) -> None:
    """Add a flag that takes pixels, 0 for none.

    text: its help.
    """
    group.add_argument(flag, type=_pixels, default=0, metavar="N", help=text)


def _add_switch(group: argparse._ArgumentGroup, flag: str, default: bool | None, text: str) -> None:
    """Add a flag that stands alone or before true or false.

    text: its help.
    """
    group.add_argument(
        flag,
        nargs="?",
        type=switch,
        const=True,
        default=default,
        metavar="false",
        help=text,
    )


def output(args: argparse.Namespace) -> Output:
    """Turn the flags into an Output.

    Raises UsageError where they contradict each other.
    """
    encode_type = _encode_type(args)
    _check_flags(args, encode_type)
    encoding = Encoding(
        encode_type.lower(),
        bool(encode_type) or args.encoded is not False,
        args.gray,
        args.min_dim,
        args.max_dim,
        args.resize_height,
        args.resize_width,
    )
    return Output(
        encoding,
        args.anno_type == "classification",
        args.check_size,
        args.shards,
        args.workers,
        args.scheduler,
    )


def _encode_type(args: argparse.Namespace) -> str:
    """Return the type that images are encoded as, "" where each file's name or --encoded says."""
    if args.encode_type is not None:
        return args.encode_type
    if args.encoded is None:
        return "jpg"
    return ""


def _check_flags(args: argparse.Namespace, encode_type: str) -> None:
    """Raise UsageError where flags contradict each other."""
    if args.backend != "lmdb":
        raise UsageError(
            f"--backend {args.backend}: only lmdb is written;"
            " netrun reads nothing else, and Caffe reads it, too"
        )
    if encode_type and encode_type.lower() not in ENCODE_TYPES:
        near = suggest(encode_type, ENCODE_TYPES)
        known = ", ".join(ENCODE_TYPES)
        raise UsageError(f"--encode-type {encode_type}: not one of {known}{near}")
    if bool(args.resize_width) != bool(args.resize_height):
        raise UsageError(
            "--resize-width and --resize-height go together (the fork's tool ignores one alone)"
        )
    if args.resize_width and (args.min_dim or args.max_dim):
        raise UsageError(
            "--min-dim and --max-dim exclude --resize-width and --resize-height"
            " (the fork's tool ignores the latter)"
        )
    if args.anno_type == "classification" and not (args.list or args.train_list):
        raise UsageError(
            "--anno-type classification needs --list, or --train-list and --test-list,"
            " with lines `image label`"
        )


def _pixels(text: str) -> int:
    """Parse a number of pixels, for argparse."""
    if not text.isdigit() or int(text) > BOUND:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a number of pixels up to {BOUND} (0 for none)"
        )
    return int(text)
