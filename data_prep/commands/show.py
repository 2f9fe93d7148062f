"""`data_prep show`."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys

from data_prep.commands import flags
from data_prep.sources import label_map
from data_prep.statistics import contact_sheet
from ssd_common.errors import CaffeError

HELP = "draw images of an LMDB with their boxes as one sheet"
EPILOG = """With --augmented the images are what a net is fed in training: distorted, expanded, cropped, mirrored, resized. netrun
draws them with its own loader (the same as `netrun show --model TRAIN --source LMDB`), so PyTorch must be installed.

examples:
  data_prep show data/shapes/test_lmdb --out sheet.png
  data_prep show data/shapes/train_lmdb --augmented prototxt/ssd300_voc0712/train.prototxt --out augmented.png"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lmdb", metavar="LMDB", type=flags.lmdb, help="an annotated LMDB")
    flags.add_out(parser, "PICTURE", f"picture to write: {', '.join(contact_sheet.PICTURES)}; with --augmented .png")
    parser.add_argument("--count", type=flags.count, default=24, metavar="N", help="images on it (default: 24)")
    parser.add_argument("--labelmap", metavar="FILE", help="for the names (default: labelmap.prototxt beside the LMDB)")
    parser.add_argument("--augmented", metavar="TRAIN", help="a train prototxt, whose augmentation is applied")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the augmentation (default: 0)")


def run(args: argparse.Namespace) -> None:
    pictures = contact_sheet.PICTURES[: 1 if args.augmented else None]
    if args.out.suffix.lower() not in pictures:
        raise CaffeError(f"--out {args.out}: no picture's name; use {', '.join(pictures)}{' with --augmented' if args.augmented else ''}")
    if args.augmented:
        show_augmented(args)
    else:
        contact_sheet.write(args.lmdb, args.out, args.count, args.labelmap)
        print(args.out)


def show_augmented(args: argparse.Namespace) -> None:
    """Have netrun draw the sheet, in a process of its own: data preparation itself must not need PyTorch."""
    missing = next((name for name in ("torch", "netrun") if importlib.util.find_spec(name) is None), None)
    if missing:
        raise CaffeError(
            f"--augmented needs netrun and PyTorch, and {missing} is not installed; without it show draws the records as they are"
        )
    names = label_map.beside(args.lmdb, args.labelmap)
    options = {"model": args.augmented, "source": args.lmdb, "out": args.out, "count": args.count, "seed": args.seed, "labelmap": names}
    words = [f"--{name}={value}" for name, value in options.items() if value is not None]
    done = subprocess.run([sys.executable, "-m", "netrun", "show", *words], stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"netrun show ended with status {done.returncode}"]
        raise CaffeError(said[-1].removeprefix("netrun: error: "))
