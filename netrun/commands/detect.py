"""`netrun detect`: a detector's boxes, drawn on images and listed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from netrun.commands import flags
from ssd_common.arguments import number, positive

if TYPE_CHECKING:
    from ssd_common.pictures import Box

HELP = "run a detector on images, draw its boxes on them, and list them in detections.json"
EXAMPLES = """
netrun detect --model runs/mine/deploy.prototxt --weights mine_iter_1000.caffemodel \\
  --labelmap data/mine/labelmap.prototxt PHOTOS
"""
HEAVY = ("netrun.evaluation.detect", "netrun.plots.detections")
_MOST = 8  # boxes in a picture's line


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add this command's flags."""
    add = parser.add_argument
    add("--model", required=True, metavar="FILE", help="deploy prototxt")
    add("--weights", required=True, metavar="FILE", help="trained weights")
    add(
        "images",
        nargs="+",
        metavar="IMAGE|FOLDER|LMDB",
        help="what to look at",
    )
    add(
        "--labelmap",
        metavar="FILE",
        help="names of the classes (default: the one named by the net beside MODEL)",
    )
    add(
        "--threshold",
        type=float,
        default=0.5,
        help="lowest score that is shown (default: 0.5)",
    )
    add(
        "--out",
        metavar="DIR",
        default="detections",
        help="for drawn images and detections.json (default: detections)",
    )
    add("--limit", type=positive, metavar="N", help="only the first N images")
    add(
        "--sheet",
        metavar="FILE",
        help="also write one sheet of all images, beside the truth where an LMDB has it",
    )
    add(
        "--mean-value",
        type=_mean,
        metavar="B,G,R",
        help="default: the test net's beside the model, else 104,117,123",
    )
    add(
        "--scale",
        type=float,
        metavar="F",
        help="factor after the mean (default: the test net's beside the model, else 1)",
    )
    add(
        "--batch",
        type=positive,
        default=1,
        metavar="N",
        help="images at once (default: 1)",
    )
    flags.add_suppression(parser)
    flags.add_max_pixels(parser)
    flags.add_device(parser)
    flags.add_glog(parser)


def _mean(words: str) -> list[float] | None:
    """ "104,117,123" → [104.0, 117.0, 123.0]; "" → None."""
    if not words:
        return None
    try:
        return [number(word) for word in words.split(",")]
    except argparse.ArgumentTypeError:
        what = "should be numbers separated by commas"
        raise argparse.ArgumentTypeError(f"'{words}' {what}") from None


def run(args: argparse.Namespace) -> int:
    """Detect, draw and list. Raises CaffeError."""
    from netrun.data.pictures import pictures_in, sources_of
    from netrun.evaluation.detect import ImageDetector
    from netrun.plots.detections import DrawnDetections, write_sheet

    sources = sources_of(args.images)
    flags.refuse_unreadable(args.model, args.labelmap)
    flags.set_up(args)
    detector = ImageDetector(
        args.model,
        args.weights,
        labelmap=args.labelmap,
        mean=args.mean_value,
        scale=args.scale,
        device=flags.device(args),
        options=flags.options(args),
    )
    pictures = pictures_in(sources, detector.names, args.limit)
    drawn = DrawnDetections(args.out)
    shown = []
    for seen in detector.detect(pictures, threshold=args.threshold, batch=args.batch):
        drawn.add(seen)
        print(f"{seen.picture.name}: {_line(seen.boxes)}")
        if args.sheet:
            shown.append(seen)
    drawn.write_list()
    if args.sheet:
        line = f"{Path(args.sheet)}: {len(shown)} images"
        if write_sheet(args.sheet, shown):
            line += ", truth beside detections"
        print(line)
    return 0


def _line(boxes: list[Box]) -> str:
    """The boxes of the highest scores as text; detections.json has all boxes."""
    line = ", ".join(box.caption for box in boxes[:_MOST]) or "nothing"
    if len(boxes) > _MOST:
        line += f", and {len(boxes) - _MOST} more"
    return line
