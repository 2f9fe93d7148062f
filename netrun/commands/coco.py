"""COCO's metrics of a result file, as DetectionOutput's save_output_param or any other detector writes it.

example: netrun coco results.json --annotations instances_minival2014.json
"""

from __future__ import annotations

import argparse
import sys

from netrun.evaluation import coco
from ssd_common.tables import aligned


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", metavar="RESULTS.json", help="detections: image_id, category_id, bbox, score")
    parser.add_argument("--annotations", required=True, metavar="FILE", help="COCO's truth, such as instances_minival2014.json")
    parser.add_argument("--per-class", action="store_true", help="the AP of each class, too")


def run(args: argparse.Namespace) -> int:
    truth = coco.read_truth(args.annotations)
    found = coco.read_results(args.results, truth)
    if without := len(truth["images"]) - len({d["image_id"] for d in found}):
        print(f"{args.results}: no detections on {without} of the {len(truth['images'])} images", file=sys.stderr)
    metrics = coco.CocoMetrics(truth, found)
    if args.per_class:
        rows = [(name, f"{ap:.4f}") for name, ap in metrics.per_class.items()]
        print(*aligned(rows, left=2), sep="\n")
    print(metrics.summary)
    return 0
