"""`data_prep fetch`: downloads public data sets."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from data_prep.download.archives import SETS, archives_of

HELP = "download VOC or COCO, check it, unpack it"


def _line(name: str) -> str:
    """Describe a set in help: its archives and their size."""
    archives = SETS[name]
    files = ", ".join(archive.file for archive in archives)
    size = sum(archive.size for archive in archives)
    return f"  {name:13}{files}, {size / 1e9:.1f} GB"


_SETS = "\n".join(_line(name) for name in SETS)
NOTES = f"""
sets:
{_SETS}

An interrupted download continues where it stopped when you run the command again. An archive that
you put into DIR yourself is checked and unpacked. Without a network the command says what to get,
from where, and with which checksum.
"""
EXAMPLES = """
data_prep fetch voc0712 --out ~/data && data_prep paper voc0712 ~/data
data_prep fetch coco2017 --out ~/data/coco && data_prep paper coco ~/data/coco
data_prep fetch coco2014 --manual
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add flags for the sets, the server and the folder."""
    parser.add_argument("sets", metavar="SET", nargs="+", help=", ".join(SETS))
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("."),
        metavar="DIR",
        help="folder to unpack in (default: here)",
    )
    parser.add_argument("--keep", action="store_true", help="keep the archives")
    parser.add_argument(
        "--mirror",
        metavar="URL",
        help="a server that has the archives under URL/NAME",
    )
    parser.add_argument("--manual", action="store_true", help="only say how to get them by hand")


def run(args: argparse.Namespace) -> None:
    """Fetch the sets and print what was unpacked, or how to get them by hand."""
    archives = archives_of(args.sets)
    # At the top these imports would slow --help.
    from data_prep.download.fetch import NotFetched, fetch, manual

    if args.manual:
        for archive in archives:
            print(manual(archive, args.out))
        return
    try:
        fetch(*args.sets, out=args.out, mirror=args.mirror, keep=args.keep, tell=print)
    except NotFetched as error:
        ways = [manual(archive, args.out) for archive in error.archives]
        print("by hand:", *ways, "then run this again", sep="\n", file=sys.stderr)
        raise
