"""Flags of the fork's convert_annoset and create_annoset.py, under their names, and of who does the work."""

from __future__ import annotations

import argparse
from typing import Any

from data_prep.build.dataset import Output
from data_prep.commands import flags
from data_prep.images.image import ENCODE_TYPES, Encoding
from ssd_common.arguments import switch
from ssd_common.errors import CaffeError

BOUND = 65500  # pixels; a JPEG ends at 65,535


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What is written, of the fork's tools; and how."""
    group = parser.add_argument_group(
        "records", "as the fork's convert_annoset writes them with the same flags, which may be spelt as there"
    )
    group.add_argument(
        "--encode-type", metavar="TYPE", help="encode images as jpg (default), png, …; files of the type are copied as they are"
    )
    group.add_argument("--encoded", nargs="?", type=switch, const=True, metavar="false", help="false, and no --encode-type: raw pixels")
    group.add_argument("--gray", nargs="?", type=switch, const=True, default=False, metavar="false", help="grey images")
    group.add_argument("--min-dim", type=_pixels, default=0, metavar="N", help="enlarge images whose shorter side is less")
    group.add_argument("--max-dim", type=_pixels, default=0, metavar="N", help="shrink images whose longer side is more")
    group.add_argument("--resize-width", type=_pixels, default=0, metavar="N", help="resize all images; with --resize-height")
    group.add_argument("--resize-height", type=_pixels, default=0, metavar="N", help="resize all images; with --resize-width")
    group.add_argument("--check-size", nargs="?", type=switch, const=True, default=False, metavar="false",
                       help="refuse images of several sizes (as records have them)")  # fmt: skip
    group.add_argument("--check-label", nargs="?", type=switch, const=True, default=True, metavar="false",
                       help="refuse label maps with a name or label twice (always done)")  # fmt: skip
    group.add_argument("--shuffle", nargs="?", type=switch, const=True, default=False, metavar="false",
                       help="in random order, one that --seed gives (the fork's is another each time); not the test images")  # fmt: skip
    group.add_argument("--anno-type", choices=("detection", "classification"), default="detection",
                       help="classification: a list has a label, a number, for each image, and records have no boxes")  # fmt: skip
    group.add_argument("--backend", default="lmdb", help="lmdb, and nothing else")
    group = parser.add_argument_group("work")
    group.add_argument(
        "--workers", type=flags.count, default=0, metavar="N", help="images at a time (default: one per core); the bytes are the same"
    )
    group.add_argument(
        "--scheduler", metavar="ADDRESS", help="let a Dask cluster do it, whose workers see the same files (tcp://host:8786)"
    )
    group.add_argument("--shards", type=flags.count, default=0, metavar="N", help="a folder of N LMDBs, which netrun reads as one")


def output(args: argparse.Namespace) -> Output:
    """What the flags say. Raises CaffeError where they contradict each other."""
    if args.backend != "lmdb":
        raise CaffeError(f"--backend {args.backend}: only lmdb is written; netrun reads nothing else, and Caffe reads it, too")
    encode_type = args.encode_type
    if encode_type is None:
        encode_type = "" if args.encoded is not None else "jpg"  # --encoded alone: what each file's name says
    if encode_type and encode_type.lower() not in ENCODE_TYPES:
        raise CaffeError(f"--encode-type {encode_type}: not one of {', '.join(ENCODE_TYPES)}")
    if bool(args.resize_width) != bool(args.resize_height):
        raise CaffeError("--resize-width and --resize-height go together (the fork's tool ignores one alone)")
    if args.resize_width and (args.min_dim or args.max_dim):
        raise CaffeError("--min-dim and --max-dim exclude --resize-width and --resize-height (the fork's tool ignores the latter)")
    if args.anno_type == "classification" and not (args.list or args.train_list):
        raise CaffeError("--anno-type classification needs --list, or --train-list and --test-list, with lines `image label`")
    encoded = bool(encode_type) or args.encoded is not False
    sizes: dict[str, Any] = {name: getattr(args, name) for name in ("min_dim", "max_dim", "resize_height", "resize_width")}
    encoding = Encoding(encode_type.lower(), encoded, args.gray, **sizes)
    return Output(encoding, args.anno_type == "classification", args.check_size, args.shards, args.workers, args.scheduler)


def _pixels(text: str) -> int:
    if not text.isdigit() or int(text) > BOUND:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of pixels up to {BOUND} (0 for none)")
    return int(text)
