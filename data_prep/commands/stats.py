"""`data_prep stats KIND …`."""

from __future__ import annotations

import argparse
from pathlib import Path

from data_prep.commands import flags
from data_prep.sources import KINDS, selection
from data_prep.statistics import object_table, prior_coverage, stats
from ssd_common.errors import CaffeError

HELP = "count classes, sizes and shapes of objects, and how well a net's prior boxes cover them"
EPILOG = """Of LMDBs or of a data set that is not yet built. With --net it says which share of the objects, by their size at the net's
input, any prior box overlaps by half: what none does is matched to its best one only, and hardly learnt.

examples:
  data_prep stats lmdb data/shapes/train_lmdb --net ssd300_voc0712 --out stats.png
  data_prep stats voc VOC2007 --list trainval --net ssd300_voc0712 --net ssd512_voc0712 --out compared.png"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for name in ("lmdb", *KINDS):
        what = f"statistics of {KINDS[name].HELP if name in KINDS else 'LMDBs'}"
        added = kinds.add_parser(name, help=what, description=what, epilog=EPILOG, formatter_class=parser.formatter_class)
        if name in KINDS:
            KINDS[name].add_flags(added)
            added.add_argument("--list", metavar="LIST", help="images to look at (default: all)")
            selection.add_flags(added)
        else:
            added.add_argument("lmdb", metavar="LMDB", type=flags.lmdb, nargs="+", help="annotated LMDBs, taken together")
            added.add_argument("--labelmap", metavar="FILE", help="for the names (default: labelmap.prototxt beside each LMDB)")
        added.add_argument(
            "--net", metavar="ID|FILE", action="append", default=[],
            help="hold a net's prior boxes against them: a zoo id, or a prototxt; again for another net, to compare them",
        )  # fmt: skip
        added.add_argument("--out", metavar="PNG", type=Path, help="also draw it all as a picture")


def run(args: argparse.Namespace) -> None:
    nets = [prior_coverage.read_net(name) for name in args.net]
    if args.kind == "lmdb":
        found = object_table.of_lmdbs(args.lmdb, args.labelmap)
    else:
        source = selection.select(KINDS[args.kind].open_source(args), args)
        found = object_table.of_source(source, source.read_list(args.list) if args.list else source.items())
    if not len(found):
        raise CaffeError(f"{len(found.images)} images, and not one object{stats.left_out(found)}")
    covered = [stats.covered(found, net) for net in nets]
    print(stats.summary(found), *stats.tables(found), stats.advice(found), *(table for c in covered for table in c.tables), sep="\n\n")
    if args.out:
        from data_prep.statistics import figure

        figure.write(args.out, found, covered)
        print(f"\n{args.out}")
