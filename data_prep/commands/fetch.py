"""`data_prep fetch`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from data_prep.download.archives import REGISTERED, SETS, Archive
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

HELP = "download VOC or COCO, check it, unpack it"
EPILOG = "\n".join(
    (
        "sets:",
        *(
            f"  {name:13}{', '.join(a.file for a in archives)}, {sum(a.size for a in archives) / 1e9:.1f} GB"
            for name, archives in SETS.items()
        ),
        "",
        "What breaks off goes on where it stopped when it is run again. An archive that you put into DIR yourself is checked and unpacked.",
        "Without a network it says what to get, where, and its checksum.",
        "",
        "examples:",
        "  data_prep fetch voc0712 --out ~/data && data_prep paper voc0712 ~/data",
        "  data_prep fetch coco2017 --out ~/data/coco && data_prep paper coco ~/data/coco",
        "  data_prep fetch coco2014 --manual",
    )
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sets", metavar="SET", nargs="+", help=", ".join(SETS))
    parser.add_argument("--out", type=Path, default=Path("."), metavar="DIR", help="folder to unpack in (default: here)")
    parser.add_argument("--keep", action="store_true", help="keep the archives")
    parser.add_argument("--mirror", metavar="URL", help="a server that has the archives under URL/NAME")
    parser.add_argument("--manual", action="store_true", help="only say how to get them by hand")


def run(args: argparse.Namespace) -> None:
    from data_prep.download import fetch  # what it imports would slow every other command

    for name in args.sets:
        if name in REGISTERED:
            raise CaffeError(
                f"{name} is to be had after registering only: {REGISTERED[name]}; `data_prep {name} --help` says how it should lie"
            )
        if name not in SETS:
            raise CaffeError(f"no data set '{name}'{suggest(name, SETS) or ' (one of ' + ', '.join(SETS) + ')'}")
    archives = list(dict.fromkeys(archive for name in args.sets for archive in SETS[name]))
    if args.manual:
        print(*(fetch.manual(archive, args.out) for archive in archives), sep="\n")
        return
    faults = [fault for archive in archives if (fault := _fault(fetch.fetch, archive, args))]
    if faults:
        print("by hand:", *(fetch.manual(archive, args.out) for archive, _ in faults), "then run this again", sep="\n", file=sys.stderr)
        raise CaffeError("; ".join(str(error) for _, error in faults))


def _fault(fetch: Callable[..., bool], archive: Archive, args: argparse.Namespace) -> tuple[Archive, CaffeError] | None:
    try:
        done = fetch(archive, args.out, args.mirror, args.keep)
    except CaffeError as error:
        return archive, error
    print(f"{archive.file}: {'unpacked in' if done else 'already unpacked in'} {args.out}")
    return None
