"""`netrun test`: a model's scores on its test data."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from netrun.commands import flags
from netrun.evaluation.ap_versions import AP_VERSIONS
from ssd_common.arguments import positive
from ssd_common.tables import aligned

if TYPE_CHECKING:
    from netrun.evaluation.model_score import AveragePrecision, ModelScore

HELP = (
    "score a model on its test data: the mean of its outputs, or average precision if it is a"
    " detector with DetectionEvaluate"
)
EXAMPLES = """
netrun test --model runs/mine/test.prototxt --weights mine_iter_1000.caffemodel \\
  --ap-version MaxIntegral
"""
HEAVY = ("netrun.evaluation.model_score", "netrun.training.batch_size")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add this command's flags."""
    add = parser.add_argument
    add("--model", required=True, metavar="FILE", help="test net prototxt")
    add(
        "--weights",
        required=True,
        metavar="FILE[,FILE]",
        help="trained weights",
    )
    add(
        "--iterations",
        type=positive,
        metavar="N",
        help="batches (default: all images once, or 50 as Caffe)",
    )
    add(
        "--ap-version",
        choices=AP_VERSIONS,
        default="11point",
        help="which average precision (default: 11point)",
    )
    add(
        "--coco",
        action="store_true",
        help="COCO's twelve metrics too (a net that writes result files: netrun coco)",
    )
    add(
        "--annotations",
        metavar="FILE",
        help="COCO's truth, such as instances_minival2014.json: --coco with small, medium and large"
        " as COCO has them, by outlines (default: the one in the data's dataset.json, else boxes)",
    )
    add(
        "--labelmap",
        metavar="FILE",
        help="names of the classes (default: the one that the net names)",
    )
    add(
        "--no-jpeg-recoding",
        dest="jpeg_recoding",
        action="store_const",
        const=False,
        help="do not encode images as JPEG again where the net has a batch_sampler, as the SSD fork"
        " does before it scores them",
    )
    flags.add_suppression(parser)
    flags.add_device(parser)
    flags.add_state(parser)
    flags.add_strict(parser)
    flags.add_max_pixels(parser)
    flags.add_log(parser)


def run(args: argparse.Namespace) -> int:
    """Score and print. Returns 1 where a result file was not written.

    Raises CaffeError, with advice where memory ran out."""
    from caffe_ir import caffe_ir_pb2 as pb
    from netrun.evaluation.model_score import test
    from netrun.training import batch_size

    flags.refuse_unreadable(args.model, args.labelmap)
    flags.set_up(args)
    device = flags.device(args)
    state = {"level": args.level, "stages": flags.stages(args)}

    def score() -> ModelScore:
        return test(
            args.model,
            args.weights.split(","),
            iterations=args.iterations,
            ap_version=args.ap_version,
            coco=args.coco,
            annotations=args.annotations,
            labelmap=args.labelmap,
            **state,
            device=device,
            options=flags.options(args),
        )

    def advise() -> str:
        how = {**state, "device": device, "precision": args.precision}
        return batch_size.advise_running(args.model, pb.TEST, **how)

    result = batch_size.advised(score, advise)
    for found in result.average_precisions:
        _print_table(found, args.ap_version, result.names)
    if result.coco:
        print(result.coco.summary)
        print(f"small, medium and large by the areas {result.coco.areas}")
    return int(not result.saved)


def _print_table(
    found: AveragePrecision,
    version: str,
    names: Mapping[int, str],
) -> None:
    """Print AP by class, and mAP by every version, `version` first."""
    rows = []
    for label, ap in found.per_class.items():
        rows.append((f"{label:4d} {names.get(label, '')}", f"{ap:.4f}"))
    print(*aligned(rows), sep="\n")
    others = []
    for other, mean in found.by_version.items():
        if other != version:
            others.append(f"{other} {mean:.4f}")
    print(f"mAP {found.mean:.4f} ({version}; {', '.join(others)})")
