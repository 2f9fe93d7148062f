"""`netrun train`: training by a solver prototxt."""

from __future__ import annotations

import argparse

from netrun.commands import flags
from netrun.training.actions import EFFECTS

HELP = "train or finetune a model as its solver prototxt says, or resume training from a snapshot"
EXAMPLES = """
netrun train --solver runs/mine/solver.prototxt --gpu 0,1 \\
  --weights models/VGG_ILSVRC_16_layers_fc_reduced.caffemodel
netrun train --solver runs/mine/solver.prototxt --snapshot latest
"""
HEAVY = ("netrun.training.train",)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add this command's flags."""
    add = parser.add_argument
    add("--solver", required=True, metavar="FILE", help="solver prototxt")
    add(
        "--weights",
        metavar="FILE[,FILE]",
        help="weights to start from, matched by layer name",
    )
    add(
        "--snapshot",
        metavar="FILE|latest",
        help="solver state to resume from; 'latest': the newest of snapshot_prefix, or the"
        " beginning (or --weights) where there is none",
    )
    flags.add_device(parser, several=True)
    flags.add_state(parser)
    add(
        "--sigint-effect",
        choices=EFFECTS,
        default="stop",
        help="what SIGINT does (default: stop, with a snapshot, exit status 0)",
    )
    add(
        "--sighup-effect",
        choices=EFFECTS,
        default="snapshot",
        help="what SIGHUP does (default: snapshot); SIGTERM stops with one, exit status 143",
    )
    add(
        "--sync-bn",
        action="store_true",
        help="several processes: BatchNorm over all their batches, not each over its own",
    )
    add(
        "--jpeg-recoding",
        action="store_const",
        const=True,
        help="encode images as JPEG again after each of distort, expand and crop, as the SSD fork"
        " (slower; test nets always do)",
    )
    flags.add_strict(parser)
    flags.add_max_pixels(parser)
    flags.add_log(parser)


def run(args: argparse.Namespace) -> int:
    """Train in this process, or in a process for each GPU. Raises CaffeError."""
    from netrun.runtime.device import parse
    from netrun.training import distributed
    from netrun.training.signals import TERMINATED, Signals
    from netrun.training.train import refuse_two_starts, solver_param, train, wanted_gpu

    refuse_two_starts(args.weights, args.snapshot)
    stages = flags.stages(args)
    param = solver_param(args.solver, args.level, stages)
    here = distributed.place()
    if here is None and not args.cpu:
        gpus = parse(args.gpu)
        if len(gpus) > 1:
            return distributed.launch(["train", *args.argv], len(gpus))
    here = here or distributed.Place()
    flags.set_up(args, quiet=here.rank > 0)
    signals = Signals(args.sigint_effect, args.sighup_effect)
    result = train(
        args.solver,
        weights=args.weights,
        resume=args.snapshot,
        level=args.level,
        stages=stages,
        device=flags.device(args, default=wanted_gpu(param), local=here.local),
        options=flags.options(args),
        signals=signals,
    )
    if signals.terminated and not result.finished:
        return TERMINATED
    return 0
