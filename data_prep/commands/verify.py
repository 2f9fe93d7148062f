"""`data_prep verify`."""

from __future__ import annotations

import argparse

from caffe_ir import text
from data_prep.build.verify import verify
from data_prep.checks.report import Report
from data_prep.commands import flags
from data_prep.sources import label_map

HELP = "read an LMDB to its end: decode every image, check every label and box"
EPILOG = """Sizes and counts are compared with the name_size file, the list and dataset.json where they lie beside the LMDB.
Exit status 1 if there are errors. A truncated or damaged LMDB is reported, too.

example:
  data_prep verify data/shapes/train_lmdb"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lmdb", metavar="LMDB", type=flags.lmdb, help="an annotated LMDB")
    parser.add_argument("--labelmap", metavar="FILE", help="labels that may occur (default: labelmap.prototxt beside the LMDB)")
    flags.add_report(parser)
    flags.add_strict(parser)


def run(args: argparse.Namespace) -> None:
    file = label_map.beside(args.lmdb, args.labelmap)
    items = text.read_labelmap(file).item if file else []
    names = {i.label: i.display_name or i.name for i in items}
    report = Report(full=bool(args.report))
    records, boxes = verify(args.lmdb, report, frozenset(names) if file else None)
    classes = ", ".join(f"{names.get(label, label)} {n}" for label, n in sorted(boxes.items()))
    print(f"{args.lmdb}: {records} records, {boxes.total()} objects: {classes or 'none'}" + ("" if file else " (no label map: any label)"))
    flags.finish(args, report)
