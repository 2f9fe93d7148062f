"""`netrun coco`: COCO's metrics of a result file."""

from __future__ import annotations

import argparse
import sys

from ssd_common.errors import printable
from ssd_common.tables import aligned

HELP = (
    "COCO's metrics of a result file, as DetectionOutput's save_output_param or any other"
    " detector writes it"
)
EXAMPLES = "netrun coco results.json --annotations instances_minival2014.json"
HEAVY = ("netrun.evaluation.coco",)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add this command's flags."""
    parser.add_argument(
        "results",
        metavar="RESULTS.json",
        help="detections: image_id, category_id, bbox, score",
    )
    parser.add_argument(
        "--annotations",
        required=True,
        metavar="FILE",
        help="COCO's truth, such as instances_minival2014.json",
    )
    parser.add_argument(
        "--per-class",
        action="store_true",
        help="the AP of each class, too",
    )


def run(args: argparse.Namespace) -> int:
    """Compute and print the metrics. Raises CaffeError for files of another kind."""
    from netrun.evaluation.coco import coco

    metrics = coco(args.results, args.annotations)
    if metrics.empty_images:
        images = f"{metrics.empty_images} of the {metrics.images} images"
        print(f"{args.results}: no detections on {images}", file=sys.stderr)
    if args.per_class:
        rows = [(printable(name), f"{ap:.4f}") for name, ap in metrics.per_class.items()]
        print(*aligned(rows, left=2), sep="\n")
    print(metrics.summary)
    return 0
