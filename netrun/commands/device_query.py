"""`netrun device_query`: the devices that this machine computes with."""

from __future__ import annotations

import argparse

from netrun.commands import flags

HELP = "show what netrun can compute with on this machine"
EXAMPLES = "netrun device_query --gpu 0"
HEAVY = ("netrun.runtime.device",)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add this command's flags."""
    parser.add_argument(
        "--gpu",
        metavar="ID",
        default="",
        help="only these GPUs (default: all)",
    )
    flags.add_glog(parser)


def run(args: argparse.Namespace) -> int:
    """Print a line for each device. Raises CaffeError for a GPU that does not exist."""
    from netrun.runtime.device import describe

    print("\n".join(describe(args.gpu)))
    return 0
