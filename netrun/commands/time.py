"""`netrun time`: how long a model's passes take."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from netrun.commands import flags
from ssd_common.arguments import positive

if TYPE_CHECKING:
    from netrun.evaluation.timing import Timing

HELP = "time a model's forward and backward passes, and its layers one by one"
EXAMPLES = """
netrun time --model runs/mine/train.prototxt --iterations 20 --precision bf16
netrun time --model runs/mine/deploy.prototxt --phase TEST          # with suppression
"""
HEAVY = ("netrun.evaluation.timing", "netrun.training.batch_size")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add this command's flags."""
    add = parser.add_argument
    add("--model", required=True, metavar="FILE", help="net prototxt")
    add("--weights", metavar="FILE", help="trained weights (default: the fillers')")
    add(
        "--phase",
        choices=("TRAIN", "TEST"),
        default="TRAIN",
        help="default: TRAIN, as Caffe, which leaves out detection_out of a deploy net",
    )
    add(
        "--iterations",
        type=positive,
        default=50,
        metavar="N",
        help="default: 50, as Caffe",
    )
    flags.add_device(parser)
    flags.add_state(parser)
    flags.add_max_pixels(parser)
    flags.add_log(parser)


def run(args: argparse.Namespace) -> int:
    """Time the model, which logs the times. Raises CaffeError, with advice where memory ran out."""
    from caffe_ir import caffe_ir_pb2 as pb
    from netrun.evaluation.timing import time
    from netrun.training import batch_size

    flags.set_up(args)
    device = flags.device(args)
    phase = pb.Phase.Value(args.phase)
    state = {"level": args.level, "stages": flags.stages(args)}

    def measure() -> Timing:
        return time(
            args.model,
            args.weights,
            phase=phase,
            iterations=args.iterations,
            **state,
            device=device,
            options=flags.options(args),
        )

    def advise() -> str:
        how = {**state, "device": device, "precision": args.precision}
        return batch_size.advise_running(args.model, phase, **how)

    batch_size.advised(measure, advise)
    return 0
