"""`data_prep check KIND …`."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from data_prep.build import dataset
from data_prep.build.workers import Workers
from data_prep.checks.boxes import Fix
from data_prep.checks.dataset_checks import DatasetChecks
from data_prep.checks.faults import Fault
from data_prep.checks.item_checks import Rules, inspect
from data_prep.checks.report import Report
from data_prep.commands import flags
from data_prep.images.image import EncodedImage, Encoding, read_image
from data_prep.sources import KINDS, label_map, selection
from data_prep.sources.source import Item, Source
from ssd_common.errors import CaffeError

HELP = "say everything that is wrong with a data set, before anything is built"
EPILOG = """Checks what a build checks, and tells everything in one report. Errors keep a data set from being built; warnings are about
what the SSD fork's own tools write all the same; exit status 1 if there are errors (with --strict also for warnings).
The files that are checked are never changed: --fix says what a build with the same flag would write.

examples:
  data_prep check voc VOC2007 --train-list trainval --test-list test --labelmap voc
  data_prep check coco COCO/annotations.json --decode --report faults.json"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for name, kind in KINDS.items():
        what = f"check {kind.HELP}"
        added = kinds.add_parser(name, help=what, description=what, epilog=EPILOG, formatter_class=parser.formatter_class)
        kind.add_flags(added)
        flags.add_lists(added)
        selection.add_flags(added)
        flags.add_labelmap(added)
        flags.add_fix(added)
        added.add_argument("--decode", action="store_true", help="decode every image, where a build only reads the header of a JPEG")
        flags.add_strict(added)


def run(args: argparse.Namespace) -> None:
    flags.check_lists(args)
    source = selection.select(KINDS[args.kind].open_source(args), args)
    found = flags.chosen(args, source)
    parts = dict(zip(("train", "test") if len(found) == 2 else (args.list or args.kind,), found, strict=True))
    report = Report(full=bool(args.report))
    report.add(flags.left_out(args, source, *found))
    boxes = check(source, parts, report, labels=args.labelmap, fix=args.fix, decode=args.decode)
    print(summary(parts, boxes))
    flags.finish(args, report)


def check(
    source: Source, parts: dict[str, list[Item]], report: Report, *, labels: str | None, fix: Fix | None, decode: bool
) -> Counter[str]:
    """Add all that is wrong with the items of each part to the report, as a build would; objects by class, as built."""
    items = [item for part in parts.values() for item in part]
    given, classes = dataset.class_map(source, items, labels)
    named = str(given or source.root)
    rules = Rules(label_map.labels_of(classes, named), named, fix, source.whole_pixels)
    dataset_checks, boxes = DatasetChecks(rules), Counter[str]()
    owners = iter([(part, item) for part, listed in parts.items() for item in listed])
    with tqdm(total=len(items), desc="checked", unit=" images", disable=None, leave=False) as progress, Workers() as workers:
        for batch in workers.map(_look, _Job(source, rules, decode), items):
            for seen, (part, item) in zip(batch, owners, strict=False):
                report.add(seen.faults)
                report.add(dataset_checks.add(part, item, seen.key, seen.classes))
                boxes.update(seen.classes)
            progress.update(len(batch))
    report.add([] if report.failed else dataset_checks.classes(given=given is not None))
    return boxes


class _Job(NamedTuple):
    source: Source
    rules: Rules
    decode: bool


class _Seen(NamedTuple):
    """An item, checked. key: of its image's content; classes: number of its objects by class."""

    faults: list[Fault]
    key: bytes
    classes: Counter[str]


def _look(job: _Job, _: int, items: list[Item]) -> list[_Seen]:
    """What worker processes do."""
    found = (inspect(job.source, item, job.rules, _decoded if job.decode else read_image) for item in items)
    return [_Seen(f.faults, f.key, Counter(o.name for o in (f.annotation.objects if f.annotation else ()))) for f in found]


def _decoded(path: str, encoding: Encoding, stated: tuple[int, int]) -> EncodedImage:
    """An image that could be decoded to its end. Raises CaffeError."""
    image = read_image(path, encoding, stated)
    if cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_COLOR) is None:
        raise CaffeError(f"{path}: not an image that OpenCV can read")
    return image


def summary(parts: dict[str, list[Item]], boxes: Counter[str]) -> str:
    """What was checked, in one line."""
    images = ", ".join(f"{name}: {len(items)} images" for name, items in parts.items())
    classes = ", ".join(f"{name} {n}" for name, n in sorted(boxes.items()))
    return f"{images}; {boxes.total()} objects" + (f": {classes}" if classes else "")
