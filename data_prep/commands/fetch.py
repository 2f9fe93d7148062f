"""`data_prep fetch`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from data_prep.download.archives import SETS, archives_of

HELP = "download VOC or COCO, check it, unpack it"


def _line(name: str) -> str:
    """A set's archives and size, for help."""
    archives = SETS[name]
    files = ", ".join(archive.file for archive in archives)
    return f"  {name:13}{files}, {sum(archive.size for archive in archives) / 1e9:.1f} GB"


_SETS = "\n".join(_line(name) for name in SETS)
NOTES = f"""
sets:
{_SETS}

What breaks off goes on where it stopped when it is run again. An archive that you put into DIR
yourself is checked and unpacked. Without a network it says what to get, where, and its checksum.
"""
EXAMPLES = """
data_prep fetch voc0712 --out ~/data && data_prep paper voc0712 ~/data
data_prep fetch coco2017 --out ~/data/coco && data_prep paper coco ~/data/coco
data_prep fetch coco2014 --manual
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which sets, from where, and where to."""
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
        "--mirror", metavar="URL", help="a server that has the archives under URL/NAME"
    )
    parser.add_argument("--manual", action="store_true", help="only say how to get them by hand")


def run(args: argparse.Namespace) -> None:
    """Fetch, and say what was unpacked; or how to do it by hand."""
    archives = archives_of(args.sets)
    # What it imports would slow help.
    from data_prep.download.fetch import NotFetched, fetch, manual

    if args.manual:
        print(*(manual(archive, args.out) for archive in archives), sep="\n")
        return
    try:
        fetch(*args.sets, out=args.out, mirror=args.mirror, keep=args.keep, tell=print)
    except NotFetched as error:
        ways = [manual(archive, args.out) for archive in error.archives]
        print("by hand:", *ways, "then run this again", sep="\n", file=sys.stderr)
        raise
